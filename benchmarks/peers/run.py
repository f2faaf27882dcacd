"""Runs a peer and accounts for all of its processes: `python -m benchmarks.peers.run FOLDER KILL_AFTER WORDS...`.

This process adopts every descendant, also those that daemonize, so that none is left; a control group counts their CPU
time where this user may make one (`cpu_account`), and otherwise that of those which were waited for.
All of them are killed when `KILL_AFTER` trials have ended and their results have had time to be kept; 0 kills none.
Prints a `Run` as JSON. Linux only.
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
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.peers.cpu_account import CpuAccount, cpu_account
from benchmarks.peers.work import JOURNAL, Event, read_journal
from benchmarks.process import environment

__all__ = ["Run", "run_apart"]

ADOPT_ORPHANS = 36
"""PR_SET_CHILD_SUBREAPER of prctl(2)."""
LEFT_SECONDS = 10.0
"""How long descendants may outlive the peer before they are killed."""
LIMIT_SECONDS = 300.0
SETTLE_SECONDS = 0.25
"""How long a tool has to keep the result of a trial; one that ended later than this before a kill may run again."""
POLL_SECONDS = 0.02
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
    settled: tuple[int, ...]
    """Of these, the ones that ended `SETTLE_SECONDS` before the run did."""


def run_apart(words: list[str], folder: Path, kill_after: int = 0) -> Run:
    """Run `python WORDS...` in `folder` in the care of a process of its own. Raises RuntimeError if it fails."""
    command = [sys.executable, "-m", "benchmarks.peers.run", str(folder), str(kill_after), *words]
    done = subprocess.run(command, env=environment(), capture_output=True, text=True)  # noqa: S603
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(words)}: " + " | ".join(done.stderr.splitlines()[-3:]))
    return Run(**json.loads(done.stdout.splitlines()[-1]))


def main(folder: Path, kill_after: int, words: list[str]) -> Run:
    """Run, wait or kill, account."""
    ctypes.CDLL(None, use_errno=True).prctl(ADOPT_ORPHANS, 1, 0, 0, 0)
    journal = folder / "journal.jsonl"
    earlier = len(read_journal(journal))
    with cpu_account() as account:
        before = cpu_seconds(account)
        began = time.time()
        exit_code = wait_or_kill(
            words, folder, journal, lambda: len(settled(read_journal(journal)[earlier:])), kill_after
        )
        seconds = time.time() - began
        if not kill_after:
            if exit_code != 0:
                sys.exit("\n".join((folder / LOG).read_text(errors="replace").splitlines()[-3:]))
            wait_for_descendants()
        kill_descendants()
        used = cpu_seconds(account) - before
    events = read_journal(journal)[earlier:]
    steps = [float(event["time"]) for event in events if event["event"] == "step"]
    return Run(
        seconds=seconds,
        first_step_seconds=min(steps, default=began) - began,
        cpu_seconds=used,
        started=trials(events, "start"),
        ended=trials(events, "end"),
        settled=settled(events, began + seconds),
    )


def cpu_seconds(account: CpuAccount | None) -> float:
    """CPU seconds of all descendants so far; without an account, of those that were waited for."""
    own, others = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    if account is None:
        return others.ru_utime + others.ru_stime
    return account.seconds() - own.ru_utime - own.ru_stime


def wait_or_kill(
    words: list[str], folder: Path, journal: Path, ended: Callable[[], int], kill_after: int
) -> int | None:
    """The exit code of the peer; None if it was killed, with all of its processes, when enough trials had ended.

    Exits if it takes longer than `LIMIT_SECONDS`.
    """
    environment = {**os.environ, JOURNAL: str(journal)}
    with (folder / LOG).open("ab") as log:
        peer = subprocess.Popen([sys.executable, *words], cwd=folder, env=environment, stdout=log, stderr=log)  # noqa: S603
    until = time.monotonic() + LIMIT_SECONDS
    while peer.poll() is None:
        late = time.monotonic() > until
        if late or (kill_after and ended() >= kill_after):
            kill_descendants()
            if late:
                sys.exit(f"not finished after {LIMIT_SECONDS:.0f} s")
            return None
        time.sleep(POLL_SECONDS)
    return peer.returncode


def wait_for_descendants() -> None:
    """Wait until all descendants have ended, at most `LEFT_SECONDS`."""
    until = time.monotonic() + LEFT_SECONDS
    while reap() and time.monotonic() < until:
        time.sleep(POLL_SECONDS)


def settled(events: list[Event], now: float | None = None) -> tuple[int, ...]:
    """The trials that ended `SETTLE_SECONDS` before `now`, in order; by default, before the present."""
    latest = (time.time() if now is None else now) - SETTLE_SECONDS
    return trials([event for event in events if float(event["time"]) <= latest], "end")


def trials(events: list[Event], kind: str) -> tuple[int, ...]:
    """The trials of all events of a kind, in order."""
    return tuple(int(event["trial"]) for event in events if event["event"] == kind)


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
    print(json.dumps(asdict(main(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]))))
