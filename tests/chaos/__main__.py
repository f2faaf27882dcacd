"""`python -m tests.chaos`: disturbs a sweep in random ways and compares it with an undisturbed one."""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
import time
from pathlib import Path

from tests.chaos.faults import FAULTS
from tests.chaos.job import ChaosJob
from tests.chaos.scene import Pace


def main() -> int:
    """Run the job; returns 0 if nothing was found."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.chaos", description=__doc__, epilog=f"Faults: {', '.join(FAULTS)}."
    )
    parser.add_argument("--rounds", type=int, default=10, metavar="N", help="number of faults (default: 10)")
    parser.add_argument("--seed", type=int, help="of all random choices (default: the time)")
    parser.add_argument("--faults", default="", metavar="A,B", help="only these (default: all)")
    parser.add_argument(
        "--suspend", type=float, default=60.0, metavar="S", help="seconds of a suspension (default: 60)"
    )
    parser.add_argument("--json", type=Path, metavar="OUT", help="write the figures to this file")
    parser.add_argument("--keep", action="store_true", help="keep the folder of the job")
    options = parser.parse_args()
    names = [name for name in options.faults.split(",") if name]
    if unknown := sorted(set(names) - FAULTS.keys()):
        parser.error(f"--faults: unknown: {', '.join(unknown)}; there are {', '.join(FAULTS)}")
    seed = int(time.time()) if options.seed is None else options.seed
    folder = Path(tempfile.mkdtemp(prefix="c", dir="/tmp"))  # short, because the paths of Ray's sockets must be
    print(f"seed {seed}, {options.rounds} rounds in {folder}", flush=True)
    job = ChaosJob(folder, rounds=options.rounds, seed=seed, names=names, pace=Pace(suspend_seconds=options.suspend))
    verdict = job.run(lambda line: print(line, flush=True))
    print(verdict)
    if options.json is not None:
        options.json.write_text(json.dumps(verdict.to_json(), indent=1) + "\n")
    if options.keep or verdict.findings:
        print(f"kept: {folder}")
    else:
        shutil.rmtree(folder)
    return 1 if verdict.findings else 0


if __name__ == "__main__":
    sys.exit(main())
