"""Damage: files of a run directory that are cut or changed while no command runs, as bad disks and copies do."""

from __future__ import annotations

import json
import random
from abc import ABC, abstractmethod
from collections.abc import Iterable
from pathlib import Path

from tests.chaos.evidence import read_attempt, read_point
from tests.chaos.verifier import Excuses

__all__ = ["CutCheckpoint", "CutJournal", "CutRecord", "Damage", "DamageCaches", "FlipJournal"]


class Damage(ABC):
    """One kind of damage."""

    @abstractmethod
    def targets(self, run_dir: Path) -> list[Path]:
        """The files that can be damaged at present, best ones first."""

    @abstractmethod
    def do(self, run_dir: Path, excuses: Excuses, draw: random.Random) -> str:
        """Damage a file and note what may therefore be missing; returns what was done."""


def is_done(folder: Path) -> bool:
    """Whether a trial has a record that is done."""
    return any(read_attempt(path).state == "done" for path in folder.glob("attempt_*.json"))


def unfinished_first(paths: Iterable[Path]) -> list[Path]:
    """Files in the folders of trials with some content, those of unfinished trials first."""
    return sorted((path for path in paths if path.stat().st_size), key=lambda path: (is_done(path.parent), path))


def excuse_lines(path: Path, before: bytes, excuses: Excuses) -> int:
    """Note the lines of `path` that are broken now and were not in `before`; returns their number."""
    left = [point for point in map(read_point, path.read_bytes().splitlines()) if point is not None]
    lost = [point for point in map(read_point, before.splitlines()) if point is not None and point not in left]
    excuses.steps.update((path.parent.name, point["step"]) for point in lost)
    excuses.lines[path.parent.name] += len(lost)
    return len(lost)


class JournalDamage(Damage):
    """Damage to the points of a trial."""

    def targets(self, run_dir: Path) -> list[Path]:
        return unfinished_first(run_dir.glob("trials/*/points*.jsonl"))


class CutJournal(JournalDamage):
    """The end of a file of points is missing, as after a crash of the machine."""

    def do(self, run_dir: Path, excuses: Excuses, draw: random.Random) -> str:
        path = self.targets(run_dir)[0]
        content = path.read_bytes()
        path.write_bytes(content[: -draw.randint(1, len(content.splitlines(keepends=True)[-1]))])
        return f"{excuse_lines(path, content, excuses)} lines cut off {path.relative_to(run_dir)}"


class FlipJournal(JournalDamage):
    """One bit of a file of points is another."""

    def do(self, run_dir: Path, excuses: Excuses, draw: random.Random) -> str:
        path = self.targets(run_dir)[0]
        content = bytearray(before := path.read_bytes())
        place = draw.randrange(len(content))
        content[place] ^= 1 << draw.randrange(8)
        path.write_bytes(content)
        lost = excuse_lines(path, before, excuses)
        return f"a bit of byte {place} of {path.relative_to(run_dir)}: {lost} lines"


class CutRecord(Damage):
    """The record of a finished trial is cut short."""

    def targets(self, run_dir: Path) -> list[Path]:
        found = sorted(run_dir.glob("trials/*/attempt_*.json"))
        return [path for path in found if read_attempt(path).state == "done"]

    def do(self, run_dir: Path, excuses: Excuses, draw: random.Random) -> str:
        path = draw.choice(self.targets(run_dir))
        content = path.read_bytes()
        path.write_bytes(content[: draw.randrange(len(content) - 2)])
        excuses.records.add((path.parent.name, int(path.stem.rpartition("_")[2])))
        return f"cut {path.relative_to(run_dir)}"


class CutCheckpoint(Damage):
    """The newest checkpoint of a trial is cut short."""

    def targets(self, run_dir: Path) -> list[Path]:
        return unfinished_first(run_dir.glob("trials/*/last.pt"))

    def do(self, run_dir: Path, excuses: Excuses, draw: random.Random) -> str:
        path = self.targets(run_dir)[0]
        content = path.read_bytes()
        path.write_bytes(content[: draw.randrange(len(content))])
        return f"cut {path.relative_to(run_dir)}{', of a finished trial' if is_done(path.parent) else ''}"


class DamageCaches(Damage):
    """All caches of a run directory have a bit changed, or hold something else."""

    def targets(self, run_dir: Path) -> list[Path]:
        return sorted([*run_dir.glob("cache/*.json"), *run_dir.glob("sweeps/*/records.parquet")])

    def do(self, run_dir: Path, excuses: Excuses, draw: random.Random) -> str:
        found = self.targets(run_dir)
        for path in found:
            content = bytearray(path.read_bytes())
            if content and draw.random() < 0.7:
                content[draw.randrange(len(content))] ^= 1 << draw.randrange(8)
                path.write_bytes(content)
            else:
                path.write_bytes(json.dumps(["something else"]).encode())
        return f"damaged {', '.join(path.name for path in found)}"
