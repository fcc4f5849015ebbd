#!/usr/bin/env bash
# Runs the tests of the archive against a real S3 server, Versity's gateway over a folder: tools/s3.sh
#
# The server is built once, into .cache/bin, with the versions that its own go.mod names.
set -euo pipefail
cd "$(dirname "$0")/.."

version=v1.8.0
server=.cache/bin/versitygw-$version
if [ ! -x "$server" ]; then
  GOBIN=$PWD/.cache/bin GOFLAGS=-mod=mod go install "github.com/versity/versitygw/cmd/versitygw@$version"
  mv .cache/bin/versitygw "$server"
fi

dir=$(mktemp -d)
mkdir "$dir/tick"
port=${PORT:-17071}
ROOT_ACCESS_KEY=the-key ROOT_SECRET_KEY=the-secret-of-some-length "$server" --port "127.0.0.1:$port" posix "$dir" > "$dir.log" 2>&1 &
pid=$!
trap 'kill $pid; wait $pid || true; rm -rf "$dir" "$dir.log"' EXIT
for _ in $(seq 100); do
  if (exec 3<> "/dev/tcp/127.0.0.1/$port") 2> /dev/null; then break; fi
  kill -0 $pid || { cat "$dir.log"; exit 1; }
  sleep 0.1
done

TAPEDECK_TEST_S3="s3://tick/archive?region=us-east-1&key=the-key&secret=the-secret-of-some-length&endpoint=http://127.0.0.1:$port" \
  go test -count=1 ./internal/archive/... ./internal/store -run 'Place|Names|Sweep|Bucket' -v | grep -- '^ *---\|FAIL\|^ok'
