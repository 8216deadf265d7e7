#!/usr/bin/env bash
# Installs the peers into build/venv-peers, llama.cpp compiled for this machine (some ten minutes on two cores). Repeatable.
set -euo pipefail
cd "$(dirname "$0")/../.."

venv=build/venv-peers
requirements=bench/peers/requirements.txt
wanted=$(cat "$requirements" && python3 --version)
if [ "$(cat "$venv/installed" 2>/dev/null)" = "$wanted" ]; then exit 0; fi

echo "-- Installing llama.cpp, mlx-lm and mlx-vlm into $venv"
rm -rf "$venv"
python3 -m venv "$venv"
launcher=""
if command -v ccache >/dev/null; then launcher="-DCMAKE_C_COMPILER_LAUNCHER=ccache -DCMAKE_CXX_COMPILER_LAUNCHER=ccache"; fi
CMAKE_ARGS="-DGGML_NATIVE=ON $launcher" "$venv/bin/pip" install --quiet --disable-pip-version-check \
  --no-binary llama-cpp-python -r "$requirements"
echo "$wanted" >"$venv/installed"
