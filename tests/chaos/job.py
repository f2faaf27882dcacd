"""ChaosJob: one fault after another, the same command after each, then the verdict of the verifier.

<folder>/journal.jsonl         a line for each fault: when, what was done, how the sweep resumed
<folder>/disk, s3              the disturbed sweeps with the output of their commands; d, s: their folders for Ray
<folder>/calm-disk, calm-s3    undisturbed runs of the same trials
"""

from __future__ import annotations

import json
import random
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

from tests.chaos.disturbed_sweep import NAME, DisturbedSweep, sweep_line, write_space
from tests.chaos.evidence import read_trials
from tests.chaos.faults import FAULTS
from tests.chaos.scene import Pace, Scene
from tests.chaos.verdict import LEFT_SECONDS, Round, Verdict
from tests.chaos.verifier import Finding, Remains, verify

__all__ = ["ChaosJob"]

FINISH_SECONDS = 900.0


class ChaosJob:
    """Runs `rounds` faults of those in `names`, in an order that follows from `seed`."""

    def __init__(
        self, folder: Path, *, rounds: int, seed: int, names: Sequence[str] = (), pace: Pace | None = None
    ) -> None:
        """`folder` has a short path, on a disk with locks."""
        self.folder, self.seed = folder, seed
        self.draw = random.Random(seed)
        self.rounds = rounds
        self.names = tuple(names) or tuple(FAULTS)
        self.scene = Scene(folder, self.draw, pace or Pace())

    def run(self, say: Callable[[str], None]) -> Verdict:
        """Disturb, finish, compare. `say` gets a line for each round."""
        began, done = time.monotonic(), []
        try:
            for number, name in enumerate(self.schedule(), start=1):
                done.append(result := self.round(number, name))
                say(str(result))
                with (self.folder / "journal.jsonl").open("a") as journal:
                    journal.write(json.dumps(asdict(result)) + "\n")
            findings = [finding for result in done for finding in result.findings]
            trials: dict[str, list[str]] = {}
            for sweep in self.scene.sweeps:
                findings += self.examine(sweep)
                found = read_trials(sweep.remains().run_dir)
                trials |= {
                    f"{sweep.folder.name}/{key}": [a.state for a in trial.attempts] for key, trial in found.items()
                }
            findings += self.find_left()
        finally:
            self.scene.close()
        return Verdict(
            seed=self.seed,
            rounds=tuple(done),
            trials=len(trials),
            attempts=dict(Counter(state for states in trials.values() for state in states)),
            findings=tuple(findings),
            seconds=time.monotonic() - began,
        )

    def schedule(self) -> Iterator[str]:
        """The faults: all of them in random order, again and again."""
        waiting: list[str] = []
        for _ in range(self.rounds):
            waiting = waiting or self.draw.sample(self.names, len(self.names))
            yield waiting.pop()

    def round(self, number: int, name: str) -> Round:
        """One fault, and the same command until the sweep makes progress."""
        fault, at = FAULTS[name], time.time()
        if reason := fault.impossible(self.scene):
            return Round(number=number, fault=name, at=at, done=reason, happened=False, seconds=0.0)
        sweep = fault.sweep(self.scene)
        ended_before, findings = len(sweep.ends), []
        done = fault.strike(self.scene)
        struck = time.monotonic()
        if not sweep.wait_for_progress(sweep.alive, self.scene.pace.wait_seconds):
            findings.append(Finding("stuck", f"{name}: nothing written after {self.scene.pace.wait_seconds:g} s"))
            sweep.stop()
        seconds = time.monotonic() - struck
        ends = sweep.ends[ended_before:]
        for code, said in ends:
            if code not in fault.exit_codes:
                findings.append(Finding("exit code", f"{name}: {code}: {last_line(said)}"))
            if "Traceback (most recent call last)" in said:
                findings.append(Finding("traceback", f"{name}: {last_line(said)}"))
        return Round(
            number=number,
            fault=name,
            at=at,
            done=done,
            happened=True,
            seconds=seconds,
            ends=tuple(code for code, _ in ends),
            findings=tuple(findings),
        )

    def examine(self, sweep: DisturbedSweep) -> list[Finding]:
        """Let a sweep finish, run the same trials undisturbed, and compare the two."""
        if not sweep.finish(FINISH_SECONDS):
            return [Finding("stuck", f"{sweep.folder.name}: not done after {FINISH_SECONDS:g} s")]
        return verify(sweep.remains(), self.calm(sweep), sweep.excuses)

    def calm(self, sweep: DisturbedSweep) -> Remains:
        """What an undisturbed run of the same trials leaves; it runs in one process, without Ray."""
        folder = self.folder / f"calm-{sweep.folder.name}"
        folder.mkdir()
        write_space(folder)
        line = sweep_line(sweep.seeds, "--executor", "serial", "--tracking-uri", "sqlite:///mlflow.db", "--out", "out")
        result = subprocess.run(
            line,
            cwd=folder,
            env=self.scene.values,
            capture_output=True,
            text=True,
            timeout=FINISH_SECONDS,
            check=False,
        )
        assert result.returncode == 0, result.stdout + result.stderr
        return Remains(run_dir=folder / "runs", database=folder / "mlflow.db", out=folder / "out", name=NAME)

    def find_left(self) -> Iterator[Finding]:
        """Processes and temporary folders that outlived their sweeps."""
        deadline = time.monotonic() + LEFT_SECONDS
        while any(sweep.processes() for sweep in self.scene.sweeps) and time.monotonic() < deadline:
            time.sleep(0.5)
        for sweep in self.scene.sweeps:
            for pid, line in sweep.processes().items():
                yield Finding("process left", f"{pid}: {line[:150]}")
            for name in sweep.left_folders():
                yield Finding("folder left", f"{sweep.folder.name}, temporary: {name}")


def last_line(text: str) -> str:
    """The end of what a command has said."""
    lines = text.strip().splitlines()
    return lines[-1][:200] if lines else "nothing was said"
