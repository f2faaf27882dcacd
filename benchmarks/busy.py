"""How busy the slots of a sweep are: `python -m benchmarks.busy [--json OUT] [--quick]`.

Twelve trials that sleep for ten seconds and report five times run on two slots of Ray, with record store and MLflow;
the ideal is 60 seconds. The share with the goal is measured from the start of the first trial to the end of the last
one, so it includes all time between trials. The other share is measured from the moment Ray is up until record store
and MLflow have everything, so it also includes Tune's start, the start of two worker processes and the end of the
mirror. `benchmarks.cold_start` measures the start of Ray.
"""

from __future__ import annotations

import argparse
import json
import sys

from benchmarks.idle_sweep import idle_executor, idle_plan, run_idle
from benchmarks.process import measure_apart
from benchmarks.report import Figure, command_line, information, publish, share_at_least

SLOTS = 2
TRIALS, SECONDS = 12, 10.0
QUICK_TRIALS, QUICK_SECONDS = 4, 0.5
GOAL = 0.95


def main() -> int:
    """Measure, print and write; returns 1 if a goal is missed."""
    parser = command_line(__doc__)
    parser.add_argument("--case", nargs=2, type=float, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.case:
        print(json.dumps(run(int(given.case[0]), given.case[1], quick=given.quick)))
        return 0
    trials, seconds = (QUICK_TRIALS, QUICK_SECONDS) if given.quick else (TRIALS, SECONDS)
    print(f"{trials} trials of {seconds:g} s on {SLOTS} slots", flush=True)
    words = ("--quick",) if given.quick else ()
    found = measure_apart("benchmarks.busy", *words, "--case", trials, seconds)
    return 0 if publish(compare(found, trials * seconds, counts=not given.quick), given.json) else 1


def compare(found: dict[str, float], work: float, *, counts: bool) -> list[Figure]:
    """Share of the slots' time that `work` seconds of trials take."""
    between, whole = (work / SLOTS / found[key] for key in ("between", "whole"))
    return [
        share_at_least("busy share of two slots, first trial's start to last one's end", between, GOAL, counts=counts),
        information("the same, from Ray being up until everything is logged", whole, unit=""),
        information("first trial's start to last one's end, beside the ideal", found["between"], work / SLOTS),
    ]


def run(trials: int, seconds: float, *, quick: bool) -> dict[str, float]:
    """Run the sweep in the current folder; returns the seconds that `compare` takes."""
    with idle_executor(SLOTS, seconds, preload=not quick) as executor:
        done = run_idle(idle_plan("busy", trials), executor)
    records = done.outcomes.values()
    between = max(record.ended_at for record in records) - min(record.started_at for record in records)
    return {"between": between, "whole": done.seconds}


if __name__ == "__main__":
    sys.exit(main())
