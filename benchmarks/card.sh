#!/usr/bin/env bash
# Measures on one GPU what needs a GPU: `bash benchmarks/card.sh [--tiny]`, in at most 9 minutes on an H100.
#
# The parts run in order of worth. Each has a time limit and writes its result when it ends, so a run that is cut
# short keeps what it has. `--tiny` runs tiny sizes on the CPU, to check that the script works.
#
#   BENCH_OUT      folder of the results (default: reports/results/gpu)
#   BENCH_DATA     CamVid, a folder with train, val and test (default: ../shared/data/camvid_small)
#   BENCH_WEIGHTS  weights of EfficientNet-Lite0: imagenet (default), none or a file
#   BENCH_STEPS    steps of a trial of the sweep (default: 700)
#   BENCH_SEEDS    its seeds (default: 5)
#   BENCH_LIMIT    seconds of the sweep (default: 200)
#   BENCH_PARTS    parts to run (default: "tests steps contrast sweep packing")
#   PYTHON         interpreter (default: .venv/bin/python if it exists, else python3)

set -u
cd "$(dirname "$0")/.." || exit 2
PROJECT=$PWD
if [ -z "${PYTHON:-}" ]; then PYTHON=python3; [ -x .venv/bin/python ] && PYTHON=$PROJECT/.venv/bin/python; fi
OUT=${BENCH_OUT:-reports/results/gpu}
DATA=$(realpath "${BENCH_DATA:-../shared/data/camvid_small}")
WEIGHTS=${BENCH_WEIGHTS:-imagenet}
STEPS=${BENCH_STEPS:-700}
SEEDS=${BENCH_SEEDS:-5}
PARTS=${BENCH_PARTS:-tests steps contrast sweep packing}
DEVICE=cuda QUICK=()
if [ "${1:-}" = --tiny ]; then DEVICE=cpu QUICK=(--quick) STEPS=2 SEEDS=2; fi
export PYTHONPATH="${PYTHONPATH:+$PYTHONPATH:}$PROJECT" PYTHONUNBUFFERED=1
mkdir -p "$OUT" && OUT=$(realpath "$OUT") || exit 2
WORK=$(mktemp -d)
trap 'rm -rf "$WORK"' EXIT
STATUS=0

stamp() { # each line with the seconds since the script began
  while IFS= read -r line; do printf '%4d  %s\n' "$SECONDS" "$line"; done
}

part() { # NAME SECONDS COMMAND...: run one part with a time limit
  local name=$1 limit=$2 began=$SECONDS
  shift 2
  case " $PARTS " in *" $name "*) ;; *) return 0 ;; esac
  echo "== $name (at most $limit s)"
  timeout --kill-after=10 "$limit" "$@" 2>&1 | stamp | tee "$OUT/$name.log" | tail -n 25
  local code=${PIPESTATUS[0]}
  [ "$code" -eq 0 ] || STATUS=1
  echo "== $name: exit code $code after $((SECONDS - began)) s"
}

sweep() { # the five rows of the memory ablation, packed, with its tables
  cd "$WORK" || return 2
  "$PYTHON" -m orchestrator.sweep "$PROJECT/search_spaces/ablation_memory.yaml" --recipe camvid_lite0 --seeds "$SEEDS" \
    --set "data.root=$DATA" --set "model.weights=$WEIGHTS" --set "schedule.steps=$STEPS" \
    --set "schedule.eval_every_steps=$((STEPS / 2))" --name memory_on_gpu --run-dir "$OUT/runs" --out "$OUT/sweep"
}

part tests 150 "$PYTHON" -m pytest -m gpu -q -rs -p no:cacheprovider --junitxml="$OUT/tests.xml"
part steps 120 "$PYTHON" -m benchmarks.train_step --device $DEVICE "${QUICK[@]}" --eager --json "$OUT/train_step.json"
part contrast 90 "$PYTHON" -m benchmarks.contrast_step --device $DEVICE "${QUICK[@]}" --json "$OUT/contrast_step.json"
export -f sweep
export PROJECT PYTHON WORK OUT DATA WEIGHTS STEPS SEEDS
part sweep "${BENCH_LIMIT:-200}" bash -c sweep
part packing 100 "$PYTHON" -m benchmarks.packing --device $DEVICE "${QUICK[@]}" --root "$DATA" --json "$OUT/packing.json"
exit $STATUS
