#!/usr/bin/env bash
# Gets this machine ready, in as far as it is not: system packages, Rust, and the tests' Python environment.
#
#   tools/setup/setup.sh build          what `make build` needs
#   tools/setup/setup.sh test           that, the tests' virtual environment, build/venv, and a browser
#   tools/setup/setup.sh fuzz           what `make build` needs and clang with libFuzzer (Linux)
#   tools/setup/setup.sh package        what `make build` needs and what builds packages (Debian 12)
#   tools/setup/setup.sh portability    what `make build` needs, build/venv (clang-tidy), clang with libc++, and what runs programs for Arm (Linux)
#
# Repeatable. What was found complete once is not looked at again until this folder, the lists of packages or the
# system changes (the stamps in build/setup).
set -euo pipefail
cd "$(dirname "$0")/../.."

readonly MIN_RUST=87 # 1.87
readonly RUSTUP="curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh -s -- -y --profile minimal"
export PATH="$PWD/build/rust-toolchain/bin:$PATH:$HOME/.cargo/bin" # the first one: fetched here, where no other would do

say() { echo "-- $*"; }
fail() {
  printf '\nset-up: %s\n' "$*" >&2
  exit 1
}

stamp_key() { # level -> what its result depends on
  { cat tools/setup/setup.sh tools/setup/Brewfile tools/setup/page.json tools/setup/rust.json tools/portability/compiler.sh tests/requirements.txt /etc/os-release \
    2>/dev/null || true; } | cksum
  uname -sm
}

# --- system packages --------------------------------------------------------------------------------------------------

boost_packages() { # Debian 12's default Boost, 1.74, has neither Boost.JSON nor Boost.URL
  if [ "$ID-${VERSION_ID:-}" = debian-12 ]; then
    echo libboost1.81-dev libboost-json1.81-dev libboost-url1.81-dev
  else
    echo libboost-dev libboost-json-dev libboost-url-dev
  fi
}

clang_packages() { # compiler.sh's option -> names
  tools/portability/compiler.sh "$1" 2>/dev/null || { update_lists && tools/portability/compiler.sh "$1"; }
}

debian_packages() { # level -> names
  echo g++ cmake ninja-build pkg-config ca-certificates curl python3 python3-venv libspdlog-dev libcli11-dev libgtest-dev \
    libturbojpeg0-dev libjpeg-dev libpng-dev libwebp-dev libgif-dev libcurl4-openssl-dev libssl-dev libopenblas-dev \
    libavformat-dev libavcodec-dev libavutil-dev libswscale-dev prometheus-cpp-dev
  boost_packages
  case "$1" in
    portability) clang_packages --packages ;;
    fuzz) clang_packages --fuzz-packages ;;
    test)
      echo patchelf
      [ "$ID" != debian ] || echo chromium # Ubuntu's is a snap
      ;;
    package) echo patchelf dpkg-dev nasm make zlib1g-dev libdav1d-dev ;;
  esac
}

as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi
}

update_lists() {
  say "Updating apt's package lists" >&2
  as_root apt-get update -qq >&2 || say "apt-get update failed; going on with the lists at hand" >&2
}

missing_debian_packages() { # level -> the names that dpkg does not list as installed
  local name
  for name in $(debian_packages "$1"); do
    [ "$(dpkg-query -W -f='${db:Status-Status}' "$name" 2>/dev/null)" = installed ] || echo "$name"
  done
}

set_up_debian() { # level
  local missing
  missing=$(missing_debian_packages "$1" | tr '\n' ' ')
  [ -n "$missing" ] || return 0
  as_root true 2>/dev/null || fail "these packages are missing; please install them, then try again:

    sudo apt-get update && sudo apt-get install --no-install-recommends $missing
"
  update_lists
  say "Installing $missing"
  # shellcheck disable=SC2086  # the names are words on purpose
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null ||
    fail "apt-get could not install: $missing
    Pippin needs Debian 12, Ubuntu 24.04, or newer."
}

set_up_macos() {
  local major
  major=$(sw_vers -productVersion | cut -d. -f1)
  if [ "$major" -lt 14 ] || [ "$(uname -m)" != arm64 ]; then fail "MLX needs macOS 14 or newer on Apple Silicon."; fi
  xcode-select -p >/dev/null 2>&1 || fail "Apple's compiler is missing; please run: xcode-select --install"
  command -v brew >/dev/null || fail "Homebrew is missing; see https://brew.sh for the one command that installs it."
  brew bundle check --quiet --file=tools/setup/Brewfile >/dev/null 2>&1 ||
    brew bundle install --no-upgrade --file=tools/setup/Brewfile
}

set_up_other() {
  say "This system is not one that the set-up knows (Debian 12+, Ubuntu 24.04+, macOS 14+). Going on with what is here."
  say "Needed: a C++20 compiler (GCC 12+ or clang 16+), CMake 3.24+, Ninja, pkg-config, Python 3.9+ with venv, and the"
  say "development files of Boost 1.81+ (JSON, URL), spdlog, CLI11, GoogleTest, libjpeg-turbo, libpng, libwebp, giflib, FFmpeg 5.1+, libcurl, prometheus-cpp, OpenBLAS."
  local tool
  for tool in c++ cmake ninja pkg-config python3; do
    command -v "$tool" >/dev/null || fail "$tool is not found."
  done
}

set_up_system() { # level
  if [ "$(uname -s)" = Darwin ]; then
    set_up_macos
    return
  fi
  ID=unknown ID_LIKE=""
  if [ -r /etc/os-release ]; then . /etc/os-release; fi
  case " $ID $ID_LIKE " in
    *" debian "* | *" ubuntu "*) set_up_debian "$1" ;;
    *) set_up_other ;;
  esac
}

# --- Rust -------------------------------------------------------------------------------------------------------------

rust_minor() { # the x of rustc 1.x; 0 where there is none
  { rustc --version 2>/dev/null || true; } | sed -n 's/^rustc 1\.\([0-9]*\).*/\1/p' | grep . || echo 0
}

set_up_rust() {
  local minor
  minor=$(rust_minor)
  if [ "$minor" -ge "$MIN_RUST" ] && command -v cargo >/dev/null; then return; fi
  say "Pippin's text library needs Rust 1.$MIN_RUST or newer (found: $(rustc --version 2>/dev/null || echo none))"
  python3 tools/setup/fetch_rust.py --out build/rust-toolchain || fail "Rust could not be fetched; please install it (https://rustup.rs), then try again:

    $RUSTUP
"
}

# --- Python -----------------------------------------------------------------------------------------------------------

set_up_venv() {
  local requirements
  requirements=$(cat tests/requirements.txt && python3 --version)
  if [ -x build/venv/bin/python ] && [ "$(cat build/venv/installed 2>/dev/null)" = "$requirements" ]; then return; fi
  say "Installing the tests' Python packages into build/venv"
  rm -rf build/venv
  python3 -m venv build/venv || fail "python3 could not make a virtual environment (Debian, Ubuntu: apt-get install python3-venv)."
  build/venv/bin/python -m pip install --quiet --disable-pip-version-check --only-binary=:all: -r tests/requirements.txt ||
    fail "pip could not install tests/requirements.txt (is PyPI reachable?)."
  echo "$requirements" >build/venv/installed
}

# --- the chat page's tests ----------------------------------------------------------------------------------------------

set_up_browser() { # Chromium or Chrome of the system, else the one that Playwright brings
  local name
  python3 tools/setup/fetch_page.py --for test --out build/page/test
  for name in chromium google-chrome google-chrome-stable; do
    if command -v "$name" >/dev/null; then return; fi
  done
  say "Fetching Playwright's Chromium for the tests of the chat page"
  build/venv/bin/python -m playwright install chromium || fail "Playwright could not fetch Chromium; please install Chromium or Chrome."
  if [ "$(uname -s)" = Linux ]; then
    as_root build/venv/bin/python -m playwright install-deps chromium >/dev/null ||
      say "Without root rights Chromium's own libraries were not looked at (playwright install-deps chromium)"
  fi
}

# ----------------------------------------------------------------------------------------------------------------------

level=${1:-build}
case "$level" in build | test | fuzz | package | portability) ;; *) fail "unknown level '$level' (build, test, fuzz, package or portability)" ;; esac
stamp=build/setup/$level
key=$(stamp_key)
if [ "$(cat "$stamp" 2>/dev/null)" = "$key" ] && command -v cargo >/dev/null && command -v cmake >/dev/null &&
  { [[ $level != test && $level != portability ]] || [ -x build/venv/bin/python ]; }; then
  exit 0
fi
set_up_system "$level"
set_up_rust
case "$level" in test | portability) set_up_venv ;; esac
[ "$level" != test ] || set_up_browser
mkdir -p build/setup
echo "$key" >"$stamp"
say "Ready to $level"
