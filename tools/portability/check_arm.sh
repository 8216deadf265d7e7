#!/usr/bin/env bash
# The CPU kernels' tests on 64-bit Arm, emulated.
#
#   tools/portability/check_arm.sh      (after tools/setup/setup.sh portability)
#
# One processor for each instruction set that the kernels know there: it must find that one and no better one, and pass that
# one's tests. Built in build/portability/arm.
set -euo pipefail
cd "$(dirname "$0")/../.."

if [ "$(uname -m)" = aarch64 ]; then
  echo "portability: this is an Arm processor; 'make test' is the check of its kernels"
  exit 0
fi

build=build/portability/arm
cmake -G Ninja -S tools/portability/arm -B "$build" -DCMAKE_BUILD_TYPE=Release -DCMAKE_SYSTEM_NAME=Linux \
  -DCMAKE_SYSTEM_PROCESSOR=aarch64 -DCMAKE_C_COMPILER=aarch64-linux-gnu-gcc -DCMAKE_CXX_COMPILER=aarch64-linux-gnu-g++ \
  >/dev/null
cmake --build "$build" --target pippin_cpu_test
python3 tools/check_isa/check_isa.py "$build"

run() { # processor, the instruction sets that the kernels should find there, the tests to run
  local emulated=(qemu-aarch64 -L /usr/aarch64-linux-gnu -cpu "$1" "$build/cpu/pippin_cpu_test") found
  found=$("${emulated[@]}" --gtest_list_tests | sed -n 's|^  .*/\(neon_[a-z0-9]*\).*|\1|p' | sort -u | xargs)
  if [ "$found" != "$2" ]; then
    echo "portability: on $1 the kernels found '$found', not '$2'" >&2
    exit 1
  fi
  echo "== The CPU kernels' tests on $1: $3"
  "${emulated[@]}" --gtest_brief=1 --gtest_filter="$3"
}

# Attention over a thousand keys takes a minute there. I8MM changes nothing in it, and the scalar kernels are those that
# every machine tests: neon_dotprod runs it for all.
long='AttentionTest.ChunksBatchAndThreadsChangeNoBit'
run max "neon_dotprod neon_i8mm" "*/neon_i8mm:-*$long*"
run neoverse-n1 neon_dotprod '*/neon_dotprod'
run cortex-a57 "" "-*$long*"
