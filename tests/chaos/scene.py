"""Scene: what the faults of a chaos job meet: sweeps, small disks, a tracking server behind a proxy, and chance."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any
from uuid import uuid4

from tests.chaos.command import Command
from tests.chaos.disturbed_sweep import DisturbedSweep, SweepOnDisk
from tests.chaos.proxy import FaultyProxy
from tests.chaos.small_disk import SmallDisk
from tests.chaos.sweep_in_store import SweepInStore
from tests.end_to_end import mishaps
from tests.end_to_end.conftest import environment
from tests.end_to_end.tracking_server import TrackingServer

__all__ = ["Pace", "Scene"]


@dataclass(frozen=True, kw_only=True)
class Pace:
    """How long a job takes its time."""

    suspend_seconds: float = 60.0
    """Length of a suspension."""
    wait_seconds: float = 300.0
    """Longest wait for a process to appear, and for a sweep to resume."""
    full_seconds: float = 20.0
    """Longest time that a disk stays full."""
    seeds: int = 3
    """Seeds at the beginning."""
    more_seeds: int = 2
    """Further seeds once all trials are done."""
    figures: bool = True
    """Whether commands draw figures when they end, which takes seconds."""


class Scene:
    """Everything is made when it is first needed, and ended by `close`."""

    def __init__(self, folder: Path, draw: random.Random, pace: Pace) -> None:
        self.folder, self.draw, self.pace = folder, draw, pace
        self.mark = uuid4().hex
        self.opened = ExitStack()
        self.sweeps: list[DisturbedSweep] = []

    def close(self) -> None:
        """End all that was started."""
        for sweep in self.sweeps:
            if sweep.command is not None:
                sweep.command.close()
        self.opened.close()

    @cached_property
    def values(self) -> dict[str, str]:
        """The environment of the user who runs the commands."""
        hook = {} if self.pace.figures else mishaps.install(self.folder / "hook", "WITHOUT_FIGURES")
        return environment() | hook

    @cached_property
    def disks(self) -> dict[str, SmallDisk]:
        """A disk each for the run directory, the tables and MLflow's database."""
        sizes = {"runs": 1000, "out": 64, "db": 64}
        disks = {
            name: SmallDisk(self.folder / "disk" / name, megabytes=size, files=20_000) for name, size in sizes.items()
        }
        for disk in disks.values():
            self.opened.callback(disk.close)
        return disks

    @property
    def of_sweeps(self) -> dict[str, Any]:
        """Arguments of every sweep."""
        return {"values": self.values, "seeds": self.pace.seeds, "more_seeds": self.pace.more_seeds}

    @cached_property
    def disk_sweep(self) -> SweepOnDisk:
        """A sweep on these disks."""
        assert self.disks
        sweep = SweepOnDisk(self.folder / "disk", self.mark, **self.of_sweeps)
        self.sweeps.append(sweep)
        return sweep

    @cached_property
    def store_sweep(self) -> SweepInStore:
        """A sweep in an object store. Raises ImportError where there is none to start."""
        sweep = SweepInStore(self.folder / "s3", self.mark, **self.of_sweeps)
        self.opened.callback(sweep.close)
        self.sweeps.append(sweep)
        return sweep

    @cached_property
    def proxy(self) -> FaultyProxy:
        """A proxy before an MLflow server with the database of the sweep on disks."""
        folder = self.folder / "server"
        artifacts = ("--no-serve-artifacts", "--default-artifact-root", str(self.disk_sweep.folder / "mlruns"))
        server = TrackingServer(folder, *artifacts, backend=f"sqlite:///{self.disk_sweep.database}").start()
        self.opened.callback(server.kill)
        proxy = FaultyProxy(server.port)
        self.opened.callback(proxy.close)
        return proxy

    # -- moments

    def at_random_moment(self, sweep: DisturbedSweep, alive: Callable[[], Command], *, in_mid_run: bool) -> None:
        """Wait until a trial reports, unless the moment may be before, and then some time."""
        if in_mid_run or self.draw.random() < 0.5:
            sweep.wait_for_progress(alive, self.pace.wait_seconds)
        time.sleep(self.draw.uniform(0, 2))
        alive()

    def victim(self, sweep: DisturbedSweep, kind: str, alive: Callable[[], Command]) -> int:
        """Id of a process of a kind, as soon as there is one."""
        deadline = time.monotonic() + self.pace.wait_seconds
        while not (found := sweep.find(kind)):
            assert time.monotonic() < deadline, f"no {kind} after {self.pace.wait_seconds:g} s"
            alive()
            time.sleep(0.05)
        return self.draw.choice(found)
