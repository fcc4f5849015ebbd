#!/usr/bin/env bash
# Brings what `make test` needs beside Go, on a bare Debian machine too.
#
#   tools/deps.sh go     what the Go tests use: a C compiler (race detector), tools that make and cut off
#                        a test disk, sqlite3 (the store is read as a user would read it), redis-server (a broker)
#   tools/deps.sh web    Node.js, npm and Chromium
#
# What is missing is installed with apt-get when we may (root, or sudo without a password). Otherwise it is
# named, and the steps that need it are skipped; under CI=true that is an error instead. Set
# TAPEDECK_NO_INSTALL=1 to keep it from installing anything.
set -euo pipefail

# The oldest Node.js that the build of the page runs on, and what is fetched when the machine's is older
# (Debian 12 has 18): the plain binary from the npm registry, kept in .cache/node.
node_oldest=20.19.0
node_fetched=22.23.3

say() { printf 'deps: %s\n' "$*" >&2; }

# need COMMAND PACKAGE: notes PACKAGE when COMMAND is nowhere to be found.
missing=()
need() {
  command -v "$1" >/dev/null 2>&1 || [ -x "/usr/sbin/$1" ] || [ -x "/sbin/$1" ] || missing+=("$2")
}

install_missing() {
  [ ${#missing[@]} -gt 0 ] || return 0
  local as_root=()
  [ "$(id -u)" = 0 ] || as_root=(sudo -n)
  if [ -n "${TAPEDECK_NO_INSTALL-}" ] || ! command -v apt-get >/dev/null 2>&1 ||
    ! "${as_root[@]}" true 2>/dev/null; then
    say "missing, and not ours to install here: ${missing[*]}"
    say "on Debian or Ubuntu: sudo apt-get install ${missing[*]}"
    [ -z "${CI-}" ] || exit 1
    return 0
  fi
  say "installing ${missing[*]}"
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get update -qq
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" \
    </dev/null >.cache/apt.log 2>&1 || {
    tail -n 20 .cache/apt.log >&2
    say "apt-get could not install ${missing[*]}"
    [ -z "${CI-}" ] || exit 1
  }
}

# node_ok: is the node that would run now new enough?
node_ok() {
  local have
  have=$(node --version 2>/dev/null | tr -d v) && [ -n "$have" ] &&
    [ "$(printf '%s\n' "$node_oldest" "$have" | sort -V | head -n 1)" = "$node_oldest" ]
}

fetch_node() {
  PATH=$PWD/.cache/node/bin:$PATH
  node_ok && return 0
  local arch
  case "$(uname -s)-$(uname -m)" in
  Linux-x86_64) arch=linux-x64 ;;
  Linux-aarch64) arch=linux-arm64 ;;
  *)
    say "Node.js $node_oldest or newer is needed to test the page; install it from your system's packages"
    return 0
    ;;
  esac
  command -v npm >/dev/null 2>&1 || return 0
  say "this machine's Node.js is older than $node_oldest: fetching $node_fetched from the npm registry"
  npm install --prefix .cache/node/npm --no-save --no-audit --no-fund --ignore-scripts --loglevel=error \
    "node-$arch@$node_fetched"
  mkdir -p .cache/node/bin
  ln -sf "../npm/node_modules/node-$arch/bin/node" .cache/node/bin/node
  node_ok || say "the fetched Node.js does not run here"
}

mkdir -p .cache
case "${1-}" in
go)
  need gcc gcc
  [ -e /usr/include/stdlib.h ] || need stdlib.h libc6-dev
  if [ "$(uname -s)" = Linux ]; then
    need mkfs.ext4 e2fsprogs
    need xfs_io xfsprogs
    need losetup mount
    need sqlite3 sqlite3
    need redis-server redis-server
  fi
  install_missing
  ;;
web)
  need node nodejs
  need npm npm
  command -v google-chrome >/dev/null 2>&1 || need chromium chromium
  install_missing
  fetch_node
  ;;
*)
  echo "usage: tools/deps.sh go|web" >&2
  exit 2
  ;;
esac
