"""Faults: what happens to processes and disks of a sweep while it runs. `FAULTS` names all of them."""

from __future__ import annotations

import os
import signal
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tests.chaos.damage import CutCheckpoint, CutJournal, CutRecord, Damage, DamageCaches, FlipJournal
from tests.chaos.disturbed_sweep import DisturbedSweep
from tests.chaos.proxy import MISBEHAVIOURS
from tests.chaos.scene import Scene

__all__ = ["FAULTS", "Fault"]

GENTLE = frozenset({0, 130})
"""All was done before the signal came, or the sweep was interrupted."""
ANY = frozenset({0, 1, 130, None})
"""None: killed."""


class Fault(ABC):
    """One thing that goes wrong."""

    exit_codes: frozenset[int | None] = ANY
    """Those with which the command may end."""

    def sweep(self, scene: Scene) -> DisturbedSweep:
        """The sweep that it happens to."""
        return scene.disk_sweep

    def impossible(self, scene: Scene) -> str:
        """Why it cannot happen on this machine; empty if it can."""
        return ""

    @abstractmethod
    def strike(self, scene: Scene) -> str:
        """Let it happen at a random moment; returns what was done. The sweep is to resume from here on."""


@dataclass(frozen=True)
class Kill(Fault):
    """SIGKILL to a process."""

    kind: str

    def strike(self, scene: Scene) -> str:
        sweep = scene.disk_sweep
        scene.at_random_moment(sweep, sweep.alive, in_mid_run=self.kind not in ("driver", "mirror"))
        pid = scene.victim(sweep, self.kind, sweep.alive)
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        return f"SIGKILL to {self.kind} {pid}"


class KillGroup(Fault):
    """SIGKILL to the whole process group of the shell."""

    def strike(self, scene: Scene) -> str:
        sweep = scene.disk_sweep
        scene.at_random_moment(sweep, sweep.alive, in_mid_run=False)
        group = sweep.alive().shell.pid
        os.killpg(group, signal.SIGKILL)
        sweep.alive().wait(10)
        return f"SIGKILL to process group {group}"


class KillShell(Fault):
    """SIGKILL to the shell in which the user has started the sweep."""

    def strike(self, scene: Scene) -> str:
        sweep = scene.disk_sweep
        scene.at_random_moment(sweep, sweep.alive, in_mid_run=False)
        shell = sweep.alive().shell
        shell.kill()
        return f"SIGKILL to shell {shell.pid}"


@dataclass(frozen=True)
class Signal(Fault):
    """A signal to the driver, once or twice, at any moment after Python itself has started."""

    number: signal.Signals
    times: int
    exit_codes: frozenset[int | None] = GENTLE

    def strike(self, scene: Scene) -> str:
        sweep = scene.disk_sweep
        scene.at_random_moment(sweep, sweep.alive, in_mid_run=False)
        command = sweep.alive()
        gaps = [0.0, *(scene.draw.uniform(0, 1.5) for _ in range(self.times - 1))]
        for gap in gaps:
            time.sleep(gap)
            command.ask(self.number)
        began = time.monotonic()
        command.wait(scene.pace.wait_seconds)
        seconds = time.monotonic() - began
        return f"{self.number.name} x {self.times} to driver {command.driver}, ended after {seconds:.1f} s"


@dataclass(frozen=True)
class Suspend(Fault):
    """SIGSTOP to a process, and SIGCONT later."""

    kind: str

    def strike(self, scene: Scene) -> str:
        sweep = scene.disk_sweep
        scene.at_random_moment(sweep, sweep.alive, in_mid_run=True)
        pid = scene.victim(sweep, self.kind, sweep.alive)
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGSTOP)
            time.sleep(scene.pace.suspend_seconds)
            os.kill(pid, signal.SIGCONT)
        return f"{self.kind} {pid} suspended for {scene.pace.suspend_seconds:g} s"


class KillForMemory(Fault):
    """Ray's memory monitor finds the machine full as soon as one or two workers have started, and kills them."""

    def strike(self, scene: Scene) -> str:
        sweep = scene.disk_sweep
        words = {line.split()[0]: int(line.split()[1]) for line in Path("/proc/meminfo").read_text().splitlines()}
        total, free = words["MemTotal:"], words["MemAvailable:"]
        limit = (total - free + scene.draw.uniform(0.2e6, 1.2e6)) / total  # in kB
        values = {"RAY_memory_usage_threshold": f"{limit:.4f}", "RAY_memory_monitor_refresh_ms": "250"}
        command = sweep.alive(values=values)
        began = time.monotonic()
        command.wait(scene.pace.full_seconds + 40)
        ended = "it ended" if command.ended else "it ran"
        return f"{100 * limit:.1f} % of memory counted as full for {time.monotonic() - began:.0f} s, then {ended}"


@dataclass(frozen=True)
class FillDisk(Fault):
    """A disk without room, or without inodes, for some time."""

    disk: str
    files: bool = False
    exit_codes: frozenset[int | None] = ANY | {2}

    def impossible(self, scene: Scene) -> str:
        return scene.disks[self.disk].refusal

    def strike(self, scene: Scene) -> str:
        sweep, disk = scene.disk_sweep, scene.disks[self.disk]
        scene.at_random_moment(sweep, sweep.alive, in_mid_run=False)
        command, left = sweep.alive(), scene.draw.choice((0, 0, 4096, 65536))
        began = time.monotonic()
        try:
            if self.files:
                disk.fill_with_files(left_files=left // 4096)
            else:
                disk.fill(left)
            command.wait(scene.pace.full_seconds)
        finally:
            disk.relieve()
        room = f"{left // 4096} files" if self.files else f"{left} bytes"
        ended = "the command ended" if command.ended else "the command ran on"
        return f"{self.disk}/ with room for {room}; {ended} after {time.monotonic() - began:.1f} s"


@dataclass(frozen=True)
class Misbehave(Fault):
    """A tracking server, or the network before it, that answers badly for some requests."""

    name: str
    exit_codes: frozenset[int | None] = ANY

    def strike(self, scene: Scene) -> str:
        sweep, proxy = scene.disk_sweep, scene.proxy

        def alive():
            return sweep.alive("--tracking-uri", proxy.uri)

        scene.at_random_moment(sweep, alive, in_mid_run=scene.draw.random() < 0.5)
        requests = scene.draw.randint(1, 8)
        proxy.misbehave(self.name, requests)
        deadline = time.monotonic() + scene.pace.full_seconds
        while not proxy.behaves and time.monotonic() < deadline:
            alive()
            time.sleep(0.1)
        proxy.misbehave("", 0)
        return f"{requests} requests answered with {self.name!r}"


@dataclass(frozen=True)
class DamageFiles(Fault):
    """Files of the run directory are cut or changed while no command runs: SIGTERM has ended it."""

    damage: Damage
    exit_codes: frozenset[int | None] = GENTLE

    def strike(self, scene: Scene) -> str:
        sweep = scene.disk_sweep
        run_dir, deadline = sweep.folder / "runs", time.monotonic() + scene.pace.wait_seconds
        scene.at_random_moment(sweep, sweep.alive, in_mid_run=True)
        while not self.damage.targets(run_dir) and time.monotonic() < deadline:
            sweep.alive()
            time.sleep(0.1)
        sweep.stop()
        return self.damage.do(run_dir, sweep.excuses, scene.draw)


class TakeOver(Fault):
    """A driver is suspended for so long that the same command on another machine takes over its lease."""

    exit_codes: frozenset[int | None] = ANY | {2}

    def impossible(self, scene: Scene) -> str:
        try:
            scene.store_sweep  # noqa: B018 - made by asking for it
        except ImportError as error:
            return str(error)
        return ""

    def sweep(self, scene: Scene) -> DisturbedSweep:
        return scene.store_sweep

    def strike(self, scene: Scene) -> str:
        sweep = scene.store_sweep
        sweep.wait_for_progress(sweep.alive, scene.pace.wait_seconds)
        first = sweep.alive()
        first.send(signal.SIGSTOP)
        second = sweep.second_driver()
        began = time.monotonic()
        try:
            sweep.wait_for_progress(lambda: None, scene.pace.wait_seconds)
        finally:
            first.send(signal.SIGCONT)
        waited = time.monotonic() - began
        sweep.excuses.superseded += 2  # of the trials in flight
        sweep.note_end_of(first, scene.pace.wait_seconds)
        sweep.command = second
        return f"driver {second.driver} took over from {first.driver} within {waited:.0f} s"


SIGNALS = {"hup": signal.SIGHUP, "quit": signal.SIGQUIT, "term": signal.SIGTERM, "int": signal.SIGINT}

FAULTS: Mapping[str, Fault] = {
    **{f"kill-{kind}": Kill(kind) for kind in ("driver", "mirror", "executor", "raylet", "gcs", "agent", "worker")},
    **{f"kill-{kind}": Kill(kind) for kind in ("fork-server", "trial")},
    "kill-group": KillGroup(),
    "kill-shell": KillShell(),
    **{f"{name}-once": Signal(number, 1) for name, number in SIGNALS.items()},
    **{f"{name}-twice": Signal(number, 2) for name, number in SIGNALS.items()},
    "suspend-driver": Suspend("driver"),
    "suspend-worker": Suspend("worker"),
    "suspend-fork-server": Suspend("fork-server"),
    "suspend-trial": Suspend("trial"),
    "memory-kill": KillForMemory(),
    "full-run-dir": FillDisk("runs"),
    "full-out": FillDisk("out"),
    "full-database": FillDisk("db"),
    "no-inodes": FillDisk("runs", files=True),
    **{f"proxy-{name}": Misbehave(name) for name in MISBEHAVIOURS if name and name != "html"},
    "proxy-html": Misbehave("html", exit_codes=ANY | {2}),  # a sweep that starts says that this is no MLflow server
    "cut-journal": DamageFiles(CutJournal()),
    "flip-journal": DamageFiles(FlipJournal()),
    "cut-record": DamageFiles(CutRecord()),
    "cut-checkpoint": DamageFiles(CutCheckpoint()),
    "damage-caches": DamageFiles(DamageCaches()),
    "take-over": TakeOver(),
}
"""Every fault by its name on the command line."""
