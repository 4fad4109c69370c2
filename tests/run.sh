#!/usr/bin/env bash
# Installs, builds and runs every test. The only test command: CI and people use the same.
set -euo pipefail

usage() {
  cat <<'EOF'
tests/run.sh [--slow]

Runs, from a fresh clone: formatting and lint, the unit tests, the tests of real processes, the fuzzers, the kernels' tests
on emulated ARM boards. Ends with ctest's summary. Real models are fetched once into $BRAMBLE_MODEL_DIR or ~/.cache/bramble/models; where that is
not possible, the tests that need them say that they were skipped.

  --slow   also golden models on emulated ARM workers; clang-tidy and Clang's static analyzer over all sources, and the sanitizer builds (AddressSanitizer with
           UndefinedBehaviorSanitizer, ThreadSanitizer); the coordinator's page in a browser and, as root, packages, the
           Ansible collection and containers on fresh machines (tests/deploy)
EOF
}

slow=false
case ${1:-} in
  '') ;;
  --slow) slow=true ;;
  -h | --help) usage && exit 0 ;;
  *) usage >&2 && exit 2 ;;
esac

cd "$(dirname "$0")/.."
step() { printf '\n== %s (%s)\n' "$1" "$(date +%T)"; }

step "Packages"
bash tools/install-packages test

step "Build"
cmake --preset test >/dev/null
cmake --build --preset test --parallel "$(nproc)"

step "Python for the tests of processes"
tools/test-venv

step "Models"
models=$(tools/get-models)
export BRAMBLE_MODELS=$models

step "Lint"
tools/check format layers scripts words

step "Fuzzers"
tools/fuzz --seconds 60 gguf safetensors

if [ "$(uname -m)" != aarch64 ]; then
  step "Kernels for ARM: Cortex-A72, Cortex-A76, and everything there is"
  cmake --preset arm64-kernels >/dev/null
  cmake --build --preset arm64-kernels --parallel "$(nproc)"
  ctest --preset arm64-kernels
  if $slow; then
    step "A worker for ARM, for the tests of processes"
    tools/arm64-sysroot
    cmake --preset arm64 >/dev/null
    cmake --build --preset arm64 --target bramble-worker --parallel "$(nproc)"
    export BRAMBLE_ARM64=$PWD/build/arm64
  fi
fi

if $slow; then
  step "clang-tidy and static analysis"
  tools/tidy
  tools/tidy --analyze
  for preset in asan tsan; do
    step "Sanitizers: $preset"
    cmake --preset $preset >/dev/null
    cmake --build --preset $preset --parallel "$(nproc)"
    ctest --preset $preset
  done
fi

if $slow; then
  step "Packages, Ansible, containers"
  bash tools/install-packages deploy
  tools/test-venv deploy
  BRAMBLE_BUILD=build/test build/venv/bin/python -B -m pytest -q -rs -p no:cacheprovider tests/deploy
fi

step "Tests"
ctest --preset test
