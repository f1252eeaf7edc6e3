#!/usr/bin/env bash
# Installs what the tests need beside Go: a C compiler (the race detector links with it), Python with websockets, Node.js with ws
# and NATS, Chromium, and coturn. Each is left alone when it is there already. Where one can't be installed, it says what to do and
# fails: the tests never skip a client.
set -euo pipefail
cd "$(dirname "$0")"

missing=()
want() { # want PACKAGE COMMAND...: PACKAGE is missing unless COMMAND succeeds
  local package=$1
  shift
  "$@" >/dev/null 2>&1 || missing+=("$package")
}

# The first `python3` on PATH may be one that Debian's packages do not reach, so Debian's own counts too.
python_has_websockets() {
  local python
  for python in "${PARLEY_TEST_PYTHON:-}" python3 /usr/bin/python3; do
    if [ -n "$python" ] && "$python" -c 'import websockets' 2>/dev/null; then return 0; fi
  done
  return 1
}

has_chromium() { command -v chromium || command -v chromium-browser || command -v google-chrome; }

has_cc() { command -v "$(go env CC)" && [ -e /usr/include/stdlib.h ]; }

want gcc has_cc
want libc6-dev has_cc
want python3-websockets python_has_websockets
want nodejs command -v node
want npm command -v npm
want chromium has_chromium
want coturn command -v turnserver

if [ ${#missing[@]} -gt 0 ]; then
  install="apt-get update && apt-get install -y --no-install-recommends ${missing[*]}"
  if [ "$(id -u)" = 0 ]; then
    as_root=()
  elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
    as_root=(sudo -n)
  else
    echo "the tests need: ${missing[*]}" >&2
    echo "this user may not install them; run as root:  $install" >&2
    exit 1
  fi
  if ! command -v apt-get >/dev/null; then
    echo "the tests need: ${missing[*]} (names of Debian's packages); there is no apt-get here, install them by other means" >&2
    exit 1
  fi
  echo "installing: ${missing[*]}"
  if ! { "${as_root[@]}" apt-get update -q && "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -yq --no-install-recommends "${missing[@]}"; }; then
    echo "could not install what the tests need; run by hand:  $install" >&2
    exit 1
  fi
fi

# What the JavaScript needs, in exactly the versions that its lock files name: install DIRECTORY PACKAGE.
install() {
  local wanted present
  wanted=$(node -p "require('$1/package-lock.json').packages['node_modules/$2'].version")
  present=$(node -p "require('$1/node_modules/$2/package.json').version" 2>/dev/null || true)
  if [ "$wanted" != "$present" ]; then
    echo "installing: $2 $wanted from npm"
    if ! npm ci --prefix "$1" --no-audit --no-fund --loglevel=error; then
      echo "could not install $2; run by hand:  npm ci --prefix $1   (from the directory test)" >&2
      exit 1
    fi
  fi
}
install ./clients/javascript ws
install ./clients/oidc oidc-provider
install ../examples/worker-js @nats-io/transport-node

# Debian has no package of Python's NATS client, so the tests do without where it is not.
python_has_nats() {
  local python
  for python in "${PARLEY_TEST_PYTHON:-}" python3 /usr/bin/python3; do
    if [ -n "$python" ] && "$python" -c 'import nats, nkeys' 2>/dev/null; then return 0; fi
  done
  return 1
}
python_has_nats || echo "NOT TESTED here: the worker in Python, examples/worker-py. For that:  pip install 'nats-py[nkeys]'" >&2
