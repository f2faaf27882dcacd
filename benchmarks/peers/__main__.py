"""Beside tools that users might pick instead: `python -m benchmarks.peers [--json OUT] [--quick] [--only NAME ...]`.

Forty trials of half a CPU second with five reports on two slots, under each tool as its documentation says; then the
same once more, killed with all of its processes when half of the trials have ended, and started again. A trial counts
as run again if it had ended a quarter of a second before the kill. Tools that are not installed are left out:
`pip install '.[peers]'`.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from benchmarks.page import refresh
from benchmarks.peers import work
from benchmarks.peers.run import Run, run_apart
from benchmarks.peers.table import AGAIN, FIRST, OUTSIDE, REPEATED, WALL
from benchmarks.report import Figure, at_most, below, command_line, information, publish, write_figures
from orchestrator.machine.own_folder import temporary_folder

SPACE = """
name: peers
question: What does it cost to run trials?
workload: benchmarks.peers.ours
method: ablation
seeds: {trials}
rows:
  all: {{}}
resources: {{cpus: 1, gpus: 0}}
"""
QUICK = {"PEERS_TRIALS": "4", "PEERS_WORK_SECONDS": "0.02", "PEERS_LIBRARY": "json"}
LIMITS = {WALL: 1.42, FIRST: 3.1, OUTSIDE: 4.1}
"""Ours beside a pool by hand: 17, 5 and 12 s where the pool takes 12.0, 1.6 and 2.9 s."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Peer:
    """A tool, and the program that uses it."""

    title: str
    words: tuple[str, ...]
    """Arguments of the interpreter."""
    needs: tuple[str, ...] = ()
    """Modules that have to be installed."""
    logs_to_mlflow: bool = False
    quick: bool = False
    """Part of a quick run."""


def program(name: str, *words: str) -> tuple[str, ...]:
    """A module of this folder as arguments of the interpreter."""
    return ("-m", f"benchmarks.peers.{name}", *words)


PEERS = {
    "pool": Peer(title="a pool by hand", words=program("pool"), quick=True),
    "optuna": Peer(title="Optuna, journal, 2 processes", words=program("optuna_journal")),
    "exca": Peer(title="exca", words=program("exca_map"), needs=("exca",)),
    "hydra": Peer(
        title="Hydra + joblib",
        words=program("hydra_joblib"),
        needs=("hydra", "joblib", "hydra_plugins.hydra_joblib_launcher"),
    ),
    "optuna_mlflow": Peer(
        title="Optuna + MLflow callback",
        words=program("optuna_journal", "--mlflow"),
        needs=("optuna_integration",),
        logs_to_mlflow=True,
    ),
    "tune": Peer(title="bare Tune, reuse_actors, no logging", words=program("tune")),
    "ours": Peer(
        title="ours, store and MLflow",
        words=("-m", "orchestrator.sweep", "space.yaml", "--max-concurrent", "2"),
        logs_to_mlflow=True,
        quick=True,
    ),
    "submitit": Peer(title="submitit local", words=program("submitit_local"), needs=("submitit",)),
    "syne_tune": Peer(title="Syne Tune local", words=program("syne_tune_local"), needs=("syne_tune",)),
    "tune_mlflow": Peer(
        title="Tune as it comes + MLflowLoggerCallback", words=program("tune", "--mlflow"), logs_to_mlflow=True
    ),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Measured:
    """What was seen of a peer."""

    whole: Run
    again: Run | None
    """The run after the kill; None if there was no kill."""
    repeated: int
    """Trials that had ended, and settled, before the kill and ran again."""

    @property
    def cpu_outside(self) -> float:
        """CPU seconds besides the work of the trials."""
        return self.whole.cpu_seconds - len(self.whole.ended) * work.WORK_SECONDS


def main() -> int:
    """Measure, print and write; returns 1 if a goal is missed or a tool fails."""
    parser = command_line(__doc__)
    parser.add_argument("--only", nargs="+", choices=tuple(PEERS), metavar="NAME", help="only these, and the pool")
    given = parser.parse_args()
    if given.quick and QUICK.items() - os.environ.items():
        os.environ.update(QUICK)
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])  # noqa: S606 - `work` has read its sizes
    found: dict[str, Measured] = {}
    failed: list[str] = []
    for name, peer in PEERS.items():
        if (given.quick and not peer.quick) or (given.only and name not in (*given.only, "pool")):
            continue
        if missing := [module for module in peer.needs if not is_installed(module)]:
            print(f"{name}: not installed ({missing[0]})", flush=True)
            continue
        try:
            found[name] = measure(peer, kill=not given.quick or name == "pool")
        except RuntimeError as error:  # the others are measured all the same
            failed.append(name)
            print(f"{name}: failed: {error}", flush=True)
            continue
        shown = ", ".join(f"{figure.ours:.1f} {figure.figure}" for figure in information_of(name, found[name]))
        print(shown, flush=True)
        write_figures(figures(found, counts=not given.quick), given.json)
    held = publish(figures(found, counts=not given.quick), given.json)
    refresh(given.json)
    return 0 if held and not failed else 1


def is_installed(module: str) -> bool:
    """Whether a module can be imported; its parents are."""
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:
        return False


def measure(peer: Peer, *, kill: bool) -> Measured:
    """A whole run; then, if asked for, one that is killed at half time and started again.

    Raises RuntimeError if a trial did not end.
    """
    with temporary_folder("benchmark") as folder:
        whole = run_in(folder, peer)
    require_all(peer, whole.ended)
    if not kill:
        return Measured(whole=whole, again=None, repeated=0)
    with temporary_folder("benchmark") as folder:
        before = run_in(folder, peer, kill_after=work.TRIALS // 2)
        again = run_in(folder, peer)
    require_all(peer, before.ended + again.ended)
    return Measured(whole=whole, again=again, repeated=len(set(before.settled).intersection(again.started)))


def require_all(peer: Peer, ended: tuple[int, ...]) -> None:
    """Raises RuntimeError if a trial did not end."""
    if missing := set(range(work.TRIALS)).difference(ended):
        raise RuntimeError(f"{peer.title}: {len(missing)} trials did not end")


def run_in(folder: Path, peer: Peer, kill_after: int = 0) -> Run:
    """A run in a folder that may have an earlier one."""
    (folder / "space.yaml").write_text(SPACE.format(trials=work.TRIALS), encoding="utf-8")
    return run_apart(list(peer.words), folder, kill_after)


def figures(found: Mapping[str, Measured], *, counts: bool) -> list[Figure]:
    """Our goals, and a figure of each kind for every peer."""
    seen = {PEERS[name].title: information_of(PEERS[name].title, item) for name, item in found.items()}
    return [*goals(found, counts=counts), *(figure for one in seen.values() for figure in one)]


def goals(found: Mapping[str, Measured], *, counts: bool) -> list[Figure]:
    """Ours beside the pool and beside each peer that logs to MLflow too, and the trials that we run again."""
    if (ours := found.get("ours")) is None:
        return []
    made = []
    if (pool := found.get("pool")) is not None:
        for what, limit in LIMITS.items():
            measured = (kind_of(item, what) for item in (ours, pool))
            made.append(at_most(f"peers: {what}, beside {PEERS['pool'].title}", *measured, limit, counts=counts))
    for name, item in found.items():
        if PEERS[name].logs_to_mlflow and name != "ours":
            measured = (kind_of(one, WALL) for one in (ours, item))
            made.append(at_most(f"peers: {WALL}, beside {PEERS[name].title}", *measured, 1.0, counts=counts))
    if ours.again is not None:
        made.append(below(f"peers: {REPEATED}", ours.repeated, 1, counts=counts, unit=""))
    return made


def kind_of(measured: Measured, what: str) -> float:
    """A figure in seconds by its name."""
    whole = measured.whole
    return {WALL: whole.seconds, FIRST: whole.first_step_seconds, OUTSIDE: measured.cpu_outside}[what]


def information_of(title: str, measured: Measured) -> list[Figure]:
    """The figures of a peer, without goals."""
    made = [information(f"{title}: {what}", kind_of(measured, what)) for what in (WALL, FIRST, OUTSIDE)]
    if measured.again is not None:
        made.append(information(f"{title}: {REPEATED}", measured.repeated, unit=""))
        made.append(information(f"{title}: {AGAIN}", measured.again.seconds))
    return made


if __name__ == "__main__":
    sys.exit(main())
