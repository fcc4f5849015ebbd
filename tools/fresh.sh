#!/usr/bin/env bash
# Checks that the committed web/dist is what web/src builds: builds it and compares. When it differs, the
# working tree already holds the right files afterwards and only needs a commit.
set -euo pipefail

digest() { (cd web/dist && find . -type f -print0 | sort -z | xargs -0 sha256sum | sha256sum); }

before=$(digest)
npm --prefix web run build
if [ "$before" != "$(digest)" ]; then
  git --no-pager diff --stat -- web/dist || true
  echo "web/dist was not what web/src builds. It is now: commit it with the change that made it so." >&2
  exit 1
fi
