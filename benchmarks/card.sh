#!/usr/bin/env bash
# Measures on one GPU what needs a GPU: `bash benchmarks/card.sh [--tiny]`, in at most 9 minutes on an H100.
#
# The parts run in order of worth. Each has a time limit and writes its results when it ends, so a run that is cut
# short keeps what it has. `--tiny` runs every part in tiny sizes on the CPU, to check that the script works.
# Needs no network and no virtual environment: PYTHONPATH may name folders with what the interpreter lacks.
#
#   tests      pytest -m gpu, without the benchmarks, which follow                               tests.json
#   steps      the training step in each arithmetic and layout, beside eager float32             train_step.json
#   contrast   the contrast step and its memory, beside plain cross-entropy and the forecast     contrast_step.json
#   loader     images per second for the GPU, beside what its step takes                         data.json
#   sweep      the memory ablation through Ray, packed; then MLflow beside the run directory     sweep/, mlflow.json
#   start      the first step in a fresh process and in a fork, beside opening CUDA              cold_start.json
#   packing    eight trials packed on the GPU, beside one after another                          packing.json
#
#   BENCH_OUT      folder of the results (default: reports/results/gpu)
#   BENCH_DATA     CamVid, a folder with train, val and test (default: ../shared/data/camvid_small)
#   BENCH_WEIGHTS  weights of EfficientNet-Lite0: imagenet (default), none or a file
#   BENCH_STEPS    steps of a trial of the sweep (default: 600)
#   BENCH_SEEDS    its seeds (default: 3)
#   BENCH_LIMIT    seconds of the sweep (default: 180)
#   BENCH_TOTAL    seconds of all parts (default: 540)
#   BENCH_PARTS    parts to run (default: all)
#   PYTHON         interpreter (default: .venv/bin/python if it exists, else python3)

set -u
cd "$(dirname "$0")/.." || exit 2
PROJECT=$PWD
if [ -z "${PYTHON:-}" ]; then PYTHON=python3; [ -x .venv/bin/python ] && PYTHON=$PROJECT/.venv/bin/python; fi
OUT=${BENCH_OUT:-reports/results/gpu}
WEIGHTS=${BENCH_WEIGHTS:-imagenet}
STEPS=${BENCH_STEPS:-600}
SEEDS=${BENCH_SEEDS:-3}
TOTAL=${BENCH_TOTAL:-540}
PARTS=${BENCH_PARTS:-tests steps contrast loader sweep start packing}
DEVICE=cuda QUICK=() ROOT=() SWEEP=()
if [ "${1:-}" = --tiny ]; then
  DEVICE=cpu QUICK=(--quick) STEPS=${BENCH_STEPS:-2} SEEDS=${BENCH_SEEDS:-1}
  SWEEP=(--recipe ./tiny.yaml)
else
  DATA=$(realpath "${BENCH_DATA:-../shared/data/camvid_small}")
  ROOT=(--root "$DATA")
  SWEEP=(--recipe camvid_lite0 --set "data.root=$DATA" --set "model.weights=$WEIGHTS")
fi
export PYTHONPATH="$PROJECT${PYTHONPATH:+:$PYTHONPATH}" PYTHONUNBUFFERED=1
mkdir -p "$OUT" && OUT=$(realpath "$OUT") || exit 2
WORK=$(mktemp -d)
trap 'rm -rf "$WORK"' EXIT
STATUS=0

stamp() { # each line with the seconds since the script began
  while IFS= read -r line; do printf '%4d  %s\n' "$SECONDS" "$line"; done
}

part() { # NAME SECONDS COMMAND...: run one part with a time limit; SIGTERM lets a sweep write what it has
  local name=$1 limit=$2 began=$SECONDS
  shift 2
  case " $PARTS " in *" $name "*) ;; *) return 0 ;; esac
  if [ $((TOTAL - SECONDS)) -lt "$limit" ]; then limit=$((TOTAL - SECONDS)); fi
  if [ "$limit" -lt 5 ]; then echo "== $name: no time is left for it"; STATUS=1; return 0; fi
  echo "== $name (at most $limit s)"
  timeout --kill-after=15 "$limit" "$@" 2>&1 | stamp | tee "$OUT/$name.log" | tail -n 25
  local code=${PIPESTATUS[0]}
  [ "$code" -eq 0 ] || STATUS=1
  printf '{"part": "%s", "exit_code": %d, "seconds": %d, "limit": %d}\n' "$name" "$code" $((SECONDS - began)) "$limit" \
    >>"$OUT/parts.jsonl"
  echo "== $name: exit code $code after $((SECONDS - began)) s"
}

summary() { # the counts of the GPU tests, and the names of those that failed, as JSON
  [ -f "$OUT/tests.xml" ] && "$PYTHON" - "$OUT/tests.xml" >"$OUT/tests.json" <<'PY'
import json, sys
from xml.etree import ElementTree

suite = ElementTree.parse(sys.argv[1]).getroot().find("testsuite")
failed = [case.get("name") for case in suite if case.find("failure") is not None or case.find("error") is not None]
counts = {name: int(suite.get(name)) for name in ("tests", "failures", "errors", "skipped")}
print(json.dumps({**counts, "seconds": float(suite.get("time")), "failed": failed}, indent=1))
PY
}

equal() { # what MLflow holds of the sweep, point by point, beside the run directory
  "$PYTHON" - "$OUT" "$NAME" <<'PY'
import json, sys
from pathlib import Path

from orchestrator.commands.sync import differences
from orchestrator.store.run_directory import RunDirectory

out, name = Path(sys.argv[1]), sys.argv[2]
directory = RunDirectory(out / "runs")
results = directory.results(name)
states = sorted(record.state.value for record in results.outcomes.values())
points = sum(len(point.metrics) for trial_id in results.outcomes for point in directory.points(trial_id))
found = differences(out / "runs", name, None)
facts = {"sweep": name, "trials": {state: states.count(state) for state in states}, "values": points, "differences": found}
(out / "mlflow.json").write_text(json.dumps(facts, indent=1) + "\n")
print(json.dumps(facts))
sys.exit(bool(found) or not points)
PY
}

[ "$DEVICE" = cuda ] || "$PYTHON" -c "from benchmarks.packing import TINY_RECIPE; print(TINY_RECIPE)" >"$WORK/tiny.yaml"
NAME=memory_on_gpu
export -f equal
export PYTHON OUT NAME MLFLOW_TRACKING_URI="sqlite:///$WORK/mlflow.db"
BENCH=("$PYTHON" -m)
PLACE=(--device "$DEVICE" "${QUICK[@]}")

# Folders that come from an archive have no bytecode, and each process of a sweep would compile them at the same time.
IFS=: read -r -a FOLDERS <<<"$PYTHONPATH"
[ "$DEVICE" = cpu ] || for folder in "${FOLDERS[@]:1}" "$PROJECT"/{orchestrator,trainer,reports,benchmarks}; do
  [ -d "$folder" ] && timeout 40 "$PYTHON" -m compileall -q -j 0 "$folder" >/dev/null 2>&1
done

# Only files with such tests are collected, which takes half a minute less on a fresh machine. Those that compile are last.
mapfile -t FILES < <(grep -rlE 'mark\.gpu\b' tests --include='test_*.py' | sort)
part tests 120 "$PYTHON" -m pytest -v -m "gpu and not slow" -rs -p no:cacheprovider --junitxml="$OUT/tests.xml" \
  "${FILES[@]}"
summary
part steps 80 "${BENCH[@]}" benchmarks.train_step "${PLACE[@]}" --eager --json "$OUT/train_step.json"
part contrast 50 "${BENCH[@]}" benchmarks.contrast_step "${PLACE[@]}" --json "$OUT/contrast_step.json"
part loader 60 "${BENCH[@]}" benchmarks.data --gpu-feed "${PLACE[@]}" --json "$OUT/data.json"
part sweep "${BENCH_LIMIT:-180}" env -C "$WORK" "$PYTHON" -m orchestrator.sweep \
  "$PROJECT/search_spaces/ablation_memory.yaml" "${SWEEP[@]}" --seeds "$SEEDS" --set "schedule.steps=$STEPS" \
  --set "schedule.eval_every_steps=$(((STEPS + 1) / 2))" --name "$NAME" --run-dir "$OUT/runs" --out "$OUT/sweep"
case " $PARTS " in *" sweep "*) PARTS="$PARTS mlflow" ;; esac
part mlflow 20 bash -c equal
part start 60 "${BENCH[@]}" benchmarks.cold_start "${PLACE[@]}" --json "$OUT/cold_start.json"
part packing 160 "${BENCH[@]}" benchmarks.packing "${PLACE[@]}" --short "${ROOT[@]}" --json "$OUT/packing.json"
exit $STATUS
