#!/usr/bin/env bash
# Runs a step only when one of the files that it depends on has changed since it last passed.
#
#   tools/once.sh NAME PATHSPEC... -- COMMAND [ARG...]
#
# The inputs are the tracked and untracked (not ignored) files that match the git path specs. What is
# compared is their content, the command and the Go version, so neither a checkout nor a touch makes a
# step run again, and a deleted file does. FORCE=1 runs it whatever has happened. Each run leaves a line
# in .cache/steps.log for the summary at the end of .ci/run.
set -euo pipefail

name=$1
shift
inputs=()
while [ "$1" != -- ]; do
  inputs+=("$1")
  shift
done
shift

stamp=.cache/stamps/$name
mkdir -p .cache/stamps

fingerprint() {
  {
    printf '%s\n' "$*" "${GOFLAGS-}"
    go version
    git ls-files -z --cached --others --exclude-standard -- "${inputs[@]}" |
      sort -z | xargs -0 -r sha256sum 2>/dev/null || true
  } | sha256sum | cut -d' ' -f1
}

# Outside a git checkout (a source archive) the inputs cannot be listed, so the step always runs.
now=
if git rev-parse --git-dir >/dev/null 2>&1; then
  now=$(fingerprint "$@")
  if [ -z "${FORCE-}" ] && [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$now" ]; then
    echo "== $name: nothing changed since it passed (FORCE=1 runs it again)"
    printf '%s\t0\tunchanged\n' "$name" >>.cache/steps.log
    exit 0
  fi
fi

echo "== $name: $*"
rm -f "$stamp"
start=$SECONDS
if "$@"; then
  printf '%s\t%d\tpassed\n' "$name" $((SECONDS - start)) >>.cache/steps.log
  [ -z "$now" ] || echo "$now" >"$stamp"
else
  status=$?
  printf '%s\t%d\tFAILED\n' "$name" $((SECONDS - start)) >>.cache/steps.log
  echo "== $name: failed" >&2
  exit "$status"
fi
