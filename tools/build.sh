#!/usr/bin/env bash
# Configures a preset and builds it.
#
#   tools/build.sh PRESET [TARGET] [-DOPTION=VALUE ...]
#
# Where it does not build with several sources in one translation unit, it is built again with one each: two sources may have
# come to use a local name each, which is an error for PIPPIN_UNITY alone (tools/check_unity says which sources).
set -euo pipefail
cd "$(dirname "$0")/.."
export NINJA_STATUS=${NINJA_STATUS:-"[%f/%t, %e s] "}

preset=$1
shift
target=()
options=()
for argument; do
  case "$argument" in -D*) options+=("$argument") ;; *) target=(--target "$argument") ;; esac
done

build() {
  cmake --preset "$preset" --log-level=WARNING ${options[@]+"${options[@]}"} "$@" && cmake --build --preset "$preset" ${target[@]+"${target[@]}"}
}

if build; then exit 0; fi
grep -Eq '^PIPPIN_UNITY:STRING=(all|tests)' "build/$preset/CMakeCache.txt" || exit 1
echo "== $preset does not build; trying again with one source in each translation unit" >&2
build -DPIPPIN_UNITY=none
