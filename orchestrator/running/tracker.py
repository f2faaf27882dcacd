"""Tracker: follows a sweep from its start to its end, and decides nothing."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from orchestrator.running.task import Task
from orchestrator.store.attempt_record import AttemptRecord, Point
from orchestrator.store.sweep_record import SweepRecord

__all__ = ["PreparationTracker", "Tracker"]


class Tracker(Protocol):
    """Shows a sweep, or copies it to another place. Called in the driver's process, from one thread."""

    def planned(self, sweep: SweepRecord) -> None:
        """The plan has grown. Also called before `begin`, with the trials that earlier commands added."""

    def begin(self, sweep: SweepRecord, outcomes: Mapping[str, AttemptRecord]) -> None:
        """The sweep starts; `outcomes` holds the results of earlier commands, by trial id."""

    def started(self, task: Task) -> None:
        """A worker has started the task."""

    def reported(self, task: Task, point: Point) -> None:
        """A point of the trial's curves has arrived; the store has it already."""

    def ended(self, task: Task, record: AttemptRecord) -> None:
        """The attempt is over, successful or not; the store has its record already."""

    def finish(self, outcomes: Mapping[str, AttemptRecord], artifacts: Mapping[str, Path], completed: bool) -> None:
        """The sweep is over: all outcomes, the files written for it, and whether every trial has ended."""


class PreparationTracker(Tracker, Protocol):
    """A tracker that is also told what the sweep waits for before trials can report. No tracker needs to be one."""

    def preparing(self, what: str) -> None:
        """What is being started at the moment, such as `starting Ray`; empty: nothing any more. After `begin`."""
