"""Beside tools that users might pick instead: `python -m benchmarks.peers [--json OUT] [--quick] [--only NAME ...]`.

Forty trials of half a CPU second with five reports on two slots, under each tool as its documentation says; then the
same once more, killed with all of its processes when half of the trials have ended, and started again. A trial counts
as run again if it had ended before the kill. Tools that are not installed are left out: `pip install '.[peers]'`.
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from benchmarks.peers import work
from benchmarks.peers.run import Run, run_apart
from benchmarks.report import Figure, at_most, command_line, information, publish
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
QUICK = {"PEERS_TRIALS": "4", "PEERS_WORK_SECONDS": "0.02"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Peer:
    """A tool, and the program that uses it."""

    title: str
    words: tuple[str, ...]
    """Arguments of the interpreter."""
    needs: tuple[str, ...] = ()
    """Modules that have to be installed."""
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
        title="Optuna + MLflow callback", words=program("optuna_journal", "--mlflow"), needs=("optuna_integration",)
    ),
    "tune": Peer(title="bare Tune, reuse_actors, no logging", words=program("tune")),
    "ours": Peer(
        title="ours, store and MLflow",
        words=("-m", "orchestrator.sweep", "space.yaml", "--max-concurrent", "2"),
        quick=True,
    ),
    "submitit": Peer(title="submitit local", words=program("submitit_local"), needs=("submitit",)),
    "syne_tune": Peer(title="Syne Tune local", words=program("syne_tune_local"), needs=("syne_tune",)),
    "tune_mlflow": Peer(title="Tune as it comes + MLflowLoggerCallback", words=program("tune", "--mlflow")),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Measured:
    """What was seen of a peer."""

    whole: Run
    again: Run | None
    """The run after the kill; None if there was no kill."""
    repeated: int
    """Trials that had ended before the kill and ran again."""

    @property
    def cpu_outside(self) -> float:
        """CPU seconds besides the work of the trials."""
        return self.whole.cpu_seconds - len(self.whole.ended) * work.WORK_SECONDS


def main() -> int:
    """Measure, print and write; returns 1 if a goal is missed."""
    parser = command_line(__doc__)
    parser.add_argument("--only", nargs="+", choices=tuple(PEERS), metavar="NAME", help="only these, and the pool")
    given = parser.parse_args()
    if given.quick and QUICK.items() - os.environ.items():
        os.environ.update(QUICK)
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])  # noqa: S606 - `work` has read its sizes
    found: dict[str, Measured] = {}
    for name, peer in PEERS.items():
        if (given.quick and not peer.quick) or (given.only and name not in (*given.only, "pool")):
            continue
        if missing := [module for module in peer.needs if not is_installed(module)]:
            print(f"{name}: not installed ({missing[0]})", flush=True)
            continue
        found[name] = measure(peer, kill=not given.quick or name == "pool")
        print(row(peer, found[name]), flush=True)
    return 0 if publish(figures(found, counts=not given.quick), given.json) else 1


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
    return Measured(whole=whole, again=again, repeated=len(set(before.ended).intersection(again.started)))


def require_all(peer: Peer, ended: tuple[int, ...]) -> None:
    """Raises RuntimeError if a trial did not end."""
    if missing := set(range(work.TRIALS)).difference(ended):
        raise RuntimeError(f"{peer.title}: {len(missing)} trials did not end")


def run_in(folder: Path, peer: Peer, kill_after: int = 0) -> Run:
    """A run in a folder that may have an earlier one."""
    (folder / "space.yaml").write_text(SPACE.format(trials=work.TRIALS), encoding="utf-8")
    return run_apart(list(peer.words), folder, kill_after)


def row(peer: Peer, measured: Measured) -> str:
    """A line of the table."""
    whole = measured.whole
    after = "" if measured.again is None else f"{measured.again.seconds:.1f}"
    return (
        f"| {peer.title:<40} | {whole.seconds:6.1f} | {whole.first_step_seconds:5.1f} | {measured.cpu_outside:6.1f} "
        f"| {measured.repeated:3d} | {after:>6} |"
    )


def figures(found: dict[str, Measured], *, counts: bool) -> list[Figure]:
    """Our goals beside the pool and the peer that logs to MLflow too, and a figure of each kind for every peer."""
    made = []
    ours, pool, logs = (found.get(name) for name in ("ours", "pool", "optuna_mlflow"))
    if ours is not None and pool is not None:
        made += [
            at_most("wall time, beside a pool by hand", ours.whole.seconds, pool.whole.seconds, 1.42, counts=counts),
            at_most(
                "time until the first step, beside a pool by hand",
                ours.whole.first_step_seconds,
                pool.whole.first_step_seconds,
                3.1,
                counts=counts,
            ),
        ]
    if ours is not None and logs is not None:
        title = PEERS["optuna_mlflow"].title
        made += [
            at_most(f"wall time, beside {title}", ours.whole.seconds, logs.whole.seconds, 1.0, counts=counts),
            at_most(
                f"CPU time outside the work, beside {title}", ours.cpu_outside, logs.cpu_outside, 0.86, counts=counts
            ),
        ]
    for name, item in found.items():
        title = PEERS[name].title
        made += [
            information(f"{title}: wall time", item.whole.seconds),
            information(f"{title}: until the first step", item.whole.first_step_seconds),
            information(f"{title}: CPU time outside the work", item.cpu_outside),
        ]
        if item.again is not None:
            made += [
                information(f"{title}: finished trials run again after a kill", item.repeated, unit=""),
                information(f"{title}: wall time after the kill", item.again.seconds),
            ]
    return made


if __name__ == "__main__":
    sys.exit(main())
