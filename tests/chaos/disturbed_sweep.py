"""DisturbedSweep: a sweep whose command runs again whenever it has ended, with more seeds once all trials are done."""

from __future__ import annotations

import os
import signal
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from pathlib import Path

from orchestrator.machine.own_folder import MARK as OWN_MARK
from tests.chaos.command import Command
from tests.chaos.processes import MARK, of_kind, processes_of
from tests.chaos.verifier import Excuses, Remains
from tests.end_to_end.conftest import write_tiny

__all__ = ["NAME", "DisturbedSweep", "SweepOnDisk", "sweep_line", "write_space"]

NAME = "tiny"
STEPS = 110
RULES = """
resources: {cpus: 1, gpus: 0}
retries: {lost: 20, out_of_memory: 2, back_off_seconds: 0.2}
"""
GENTLE_SECONDS = 90.0
"""Time that a command may take to end after SIGTERM."""


def write_space(folder: Path) -> None:
    """The search space and its recipe: trials that take some seconds, with checkpoints on their way."""
    write_tiny(folder)
    recipe, space = folder / "tiny_recipe.yaml", folder / "tiny.yaml"
    schedule = f"steps: {STEPS}, batch_size: 4, eval_every_steps: {STEPS // 5}"
    recipe.write_text(recipe.read_text().replace("steps: 8, batch_size: 4, eval_every_steps: 4", schedule))
    space.write_text(space.read_text() + RULES)


def sweep_line(seeds: int, *arguments: str) -> list[str]:
    """The command line of the sweep."""
    line = [sys.executable, "-m", "orchestrator.sweep", "tiny.yaml", "--name", NAME, "--seeds", str(seeds)]
    return [*line, *arguments]


class DisturbedSweep(ABC):
    """The commands of one sweep, one at a time."""

    def __init__(self, folder: Path, mark: str, *, values: Mapping[str, str], seeds: int, more_seeds: int) -> None:
        """Its commands run with the environment `values`."""
        self.folder, self.mark, self.values = folder, mark, values
        self.seeds, self.more_seeds = seeds, more_seeds
        self.excuses = Excuses()
        self.command: Command | None = None
        self.settings: tuple[str, ...] = ()
        """Further arguments of the present command, and the values of its environment."""
        self.ends: list[tuple[int | None, str]] = []
        """Exit code and output of the commands that have ended."""
        self.temporary = folder / "tmp"
        self.ray = folder.with_name(folder.name[0])
        """Ray's sockets have long names, so that of their folder is short."""
        for place in (self.temporary, self.ray):
            place.mkdir(parents=True)
        write_space(folder)

    # -- where things are

    @property
    @abstractmethod
    def arguments(self) -> tuple[str, ...]:
        """Where the sweep writes."""

    @abstractmethod
    def written(self) -> int:
        """Size of all points and records in bytes; it grows while the sweep makes progress."""

    @abstractmethod
    def remains(self) -> Remains:
        """What the sweep has left, as files."""

    # -- commands

    def environment(self) -> dict[str, str]:
        """That of the user, with the mark and with temporary folders of its own."""
        places = {"RAY_TMPDIR": str(self.ray), "TMPDIR": str(self.temporary), MARK: self.mark}
        return {**self.values, **places}

    def alive(self, *arguments: str, values: Mapping[str, str] | None = None) -> Command:
        """The running command; another one, if the last has ended or was run with other settings."""
        values = values or {}
        settings = (*arguments, *(f"{key}={value}" for key, value in values.items()))
        if self.command is not None and not self.command.ended and self.settings != settings:
            self.stop()
        if self.command is not None and self.command.ended:
            self.note_end()
        if self.command is None:
            self.settings = settings
            self.command = Command(
                sweep_line(self.seeds, *self.arguments, *arguments),
                self.folder,
                self.environment() | values,
                self.folder / "output.txt",
            )
        return self.command

    def note_end(self) -> None:
        """Keep how the command ended; once all trials are done, the next one has more seeds."""
        assert self.command is not None
        if self.note_end_of(self.command) == 0:
            self.seeds += self.more_seeds
        self.command = None

    def note_end_of(self, command: Command, seconds: float = 0.0) -> int | None:
        """Keep how a command ended, or that it had to be killed after `seconds`; returns its exit code."""
        command.wait(seconds)
        self.ends.append((code := command.exit_code, command.said()))
        command.close()
        return code

    def stop(self) -> None:
        """End the command as a batch system does."""
        if self.command is None:
            return
        self.command.ask(signal.SIGTERM)
        self.command.wait(GENTLE_SECONDS)
        if not self.command.ended:
            self.command.send(signal.SIGKILL)
            self.command.wait(GENTLE_SECONDS)
        self.note_end()

    def finish(self, seconds: float) -> bool:
        """Run the command until all trials are done, and then once more; returns whether it succeeded in time."""
        deadline, more = time.monotonic() + seconds, self.more_seeds
        self.more_seeds = 0
        for _ in range(2):  # the second delivers what MLflow lacks, and removes what killed commands have left
            code: int | None = None
            while code != 0:
                if not self.alive().wait(deadline - time.monotonic()):
                    return False
                self.note_end()
                code = self.ends[-1][0]
        self.more_seeds = more
        return True

    def processes(self) -> dict[int, str]:
        """The processes of all commands that are still there."""
        return processes_of(self.mark, self.ray, self.temporary)

    def find(self, kind: str) -> list[int]:
        """Ids of the running processes of a kind (`tests.chaos.processes.KINDS`)."""
        if kind == "driver":
            return [] if self.command is None or self.command.ended else [self.command.driver]
        return of_kind(kind, self.processes())

    def wait_for_progress(self, alive: Callable[[], object], seconds: float) -> bool:
        """Wait until something is written; `alive` is called again and again to keep a command running."""
        before, deadline = self.written(), time.monotonic() + seconds
        while self.written() <= before:
            if time.monotonic() > deadline:
                return False
            alive()
            time.sleep(0.1)
        return True

    def left_folders(self) -> list[str]:
        """Names of the temporary folders and files that are left.

        What a user has once stays: the cache of torch, and our folders, of which that of temporary folders is empty.
        """
        kept = ("torchinductor_", "contrast-", OWN_MARK)
        places = (self.temporary, self.ray)
        found = [entry for place in places for entry in place.iterdir() if not entry.name.startswith(kept)]
        ours = [entry for place in places for entry in place.glob(f"contrast-{os.geteuid()}/*")]
        return sorted(entry.name for entry in (*found, *ours) if entry.name != OWN_MARK)


class SweepOnDisk(DisturbedSweep):
    """A sweep whose run directory, tables and database are in folders of their own, which may be small disks."""

    @property
    def arguments(self) -> tuple[str, ...]:
        return ("--run-dir", "runs", "--out", "out")

    @property
    def database(self) -> Path:
        """MLflow's."""
        return self.folder / "db" / "mlflow.db"

    def alive(self, *arguments: str, values: Mapping[str, str] | None = None) -> Command:
        given = (
            arguments if "--tracking-uri" in arguments else (*arguments, "--tracking-uri", f"sqlite:///{self.database}")
        )
        return super().alive(*given, values=values)

    def written(self) -> int:
        total = 0
        for pattern in ("points*.jsonl", "attempt_*.json"):
            total += sum(path.stat().st_size for path in self.folder.glob(f"runs/trials/*/{pattern}"))
        return total

    def remains(self) -> Remains:
        return Remains(run_dir=self.folder / "runs", database=self.database, out=self.folder / "out", name=NAME)
