#!/usr/bin/env bash
# Measures the fan-out figures of docs/performance.md, one after the other, beside the gorilla broadcaster where a row has it.
#
#   bench/figures.sh           tables
#   bench/figures.sh --json    one JSON report after the other
#
# It takes about five minutes, and wants the machine for itself.
set -euo pipefail
cd "$(dirname "$0")/.."

mkdir -p .cache/bin
go build -trimpath -o .cache/bin/tapedeck-bench ./cmd/tapedeck
go build -C bench -trimpath -o ../.cache/bin/gorilla ./gorilla

fanout() {
  printf '\n$ tapedeck bench fanout %s\n' "$*" >&2
  .cache/bin/tapedeck-bench bench fanout "$@" "${format[@]}" || echo "ended with $?" >&2
}

format=("$@")
peer=(--peer .cache/bin/gorilla)

fanout --clients 1000 --rate max --check sample "${peer[@]}"
fanout --clients 1000 --rate 1000 "${peer[@]}"
fanout --clients 5000 --rate 100 "${peer[@]}"
fanout --clients 10000 --rate 100
fanout --clients 10000 --idle "${peer[@]}"
fanout --clients 1 --rate 1000
