"""Runs a peer and accounts for all of its processes: `python -m benchmarks.peers.run FOLDER KILL_AFTER WORDS...`.

This process adopts every descendant, also those that daemonize, so that their CPU time is counted and none is left.
Prints a `Run` as JSON. All of them are killed when `KILL_AFTER` trials
have ended; 0 kills none. Linux only.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.peers.work import JOURNAL, Event, read_journal
from benchmarks.process import environment

__all__ = ["Run", "run_apart"]

ADOPT_ORPHANS = 36
"""PR_SET_CHILD_SUBREAPER of prctl(2)."""
LEFT_SECONDS = 10.0
"""How long descendants may outlive the peer before they are killed."""
LIMIT_SECONDS = 300.0
LOG = "peer.log"


@dataclass(frozen=True, kw_only=True, slots=True)
class Run:
    """One run of a peer."""

    seconds: float
    """From the start of its process to its exit."""
    first_step_seconds: float
    """Until the first step of a trial was taken."""
    cpu_seconds: float
    """Of all its processes, the trials' work included."""
    started: tuple[int, ...]
    """Trials in the order in which they started."""
    ended: tuple[int, ...]
    """Trials in the order in which they ended."""


def run_apart(words: list[str], folder: Path, kill_after: int = 0) -> Run:
    """Run `python WORDS...` in `folder` in the care of a process of its own. Raises RuntimeError if it fails."""
    command = [sys.executable, "-m", "benchmarks.peers.run", str(folder), str(kill_after), *words]
    done = subprocess.run(command, env=environment(), capture_output=True, text=True)  # noqa: S603
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(words)}: " + " | ".join(done.stderr.splitlines()[-3:]))
    return Run(**json.loads(done.stdout.splitlines()[-1]))


def main(folder: Path, kill_after: int, words: list[str]) -> None:
    """Run, wait or kill, account."""
    ctypes.CDLL(None, use_errno=True).prctl(ADOPT_ORPHANS, 1, 0, 0, 0)
    journal = folder / "journal.jsonl"
    earlier = len(read_journal(journal))
    with (folder / LOG).open("ab") as log:
        began = time.time()
        peer = subprocess.Popen(  # noqa: S603
            [sys.executable, *words], cwd=folder, env={**os.environ, JOURNAL: str(journal)}, stdout=log, stderr=log
        )
        while peer.poll() is None and not (kill_after and count(read_journal(journal)[earlier:], "end") >= kill_after):
            if time.time() - began > LIMIT_SECONDS:
                kill_descendants()
                sys.exit(f"not finished after {LIMIT_SECONDS:.0f} s")
            time.sleep(0.02)
    seconds = time.time() - began
    if not kill_after and peer.returncode != 0:
        sys.exit("\n".join((folder / LOG).read_text(errors="replace").splitlines()[-3:]))
    while not kill_after and reap() and time.time() - began - seconds < LEFT_SECONDS:
        time.sleep(0.02)
    kill_descendants()
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    events = read_journal(journal)[earlier:]
    print(
        json.dumps(
            asdict(
                Run(
                    seconds=seconds,
                    first_step_seconds=min(
                        (float(item["time"]) for item in events if item["event"] == "step"), default=0
                    )
                    - began,
                    cpu_seconds=used.ru_utime + used.ru_stime,
                    started=trials(events, "start"),
                    ended=trials(events, "end"),
                )
            )
        )
    )


def trials(events: list[Event], kind: str) -> tuple[int, ...]:
    """The trials of all events of a kind, in order."""
    return tuple(int(item["trial"]) for item in events if item["event"] == kind)


def count(events: list[Event], kind: str) -> int:
    """The number of events of a kind."""
    return len(trials(events, kind))


def reap() -> bool:
    """Take the exit status of all that ended; returns whether any other descendant is left."""
    with suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
        return True
    return False


def kill_descendants() -> None:
    """Kill every process below this one, until there is none."""
    while True:
        parents = parents_by_pid()
        ours, found = {os.getpid()}, 0
        while len(ours) > found:
            found = len(ours)
            ours |= {pid for pid, parent in parents.items() if parent in ours}
        for pid in ours - {os.getpid()}:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if not reap():
            return
        time.sleep(0.01)


def parents_by_pid() -> dict[int, int]:
    """The parent of each process of this machine."""
    found = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError):
                found[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
    return found


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3:])
