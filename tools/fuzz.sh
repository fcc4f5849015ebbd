#!/usr/bin/env bash
# Runs every fuzz target of the repository, one after the other, for the given time each (20s).
# A failing input is written by the go tool to the package's testdata/fuzz: commit it with the mend.
set -euo pipefail
time=${1:-20s}
failed=0
while IFS=: read -r file target; do
  package=./$(dirname "$file")
  echo "== $package $target"
  go test -run '^$' -fuzz "^$target\$" -fuzztime "$time" "$package" || failed=1
done < <(grep -roE --include='*_test.go' '^func Fuzz[A-Za-z0-9_]*' cmd internal | sed 's/func //' | sort)
exit "$failed"
