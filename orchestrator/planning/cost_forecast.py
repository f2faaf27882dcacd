"""The expected cost of a sweep, from finished trials of the same shapes."""

from __future__ import annotations

import heapq
import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from orchestrator.machine.json_text import parse_json
from orchestrator.planning.digests import read_cache, write_cache
from orchestrator.planning.identity import shape_of
from orchestrator.planning.plan import Trial
from orchestrator.store.attempt_record import AttemptRecord, State
from orchestrator.workload.loading import workload_of

__all__ = ["Cost", "CostBook", "ExpectedTrial", "describe_cost", "duration"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Cost:
    """What a finished trial took."""

    step_seconds: float
    """For one training step."""
    other_seconds: float
    """For everything else: start, evaluations, pictures."""
    disk_bytes: int
    """Size of its folder."""

    def seconds(self, config: Any) -> float:
        """Expected duration of a trial with this config, which may have another number of steps."""
        return self.step_seconds * (workload_of(config).steps(config) or 0) + self.other_seconds


@dataclass(frozen=True, kw_only=True, slots=True)
class ExpectedTrial:
    """What is known of a trial before it runs."""

    steps: int | None
    """None where the workload does not say."""
    cost: Cost | None = None
    """Of finished trials of its shape; None before the first one."""

    @classmethod
    def of(cls, config: Any, cost: Cost | None = None) -> Self:
        """A trial with this config."""
        return cls(steps=workload_of(config).steps(config), cost=cost)


class CostBook:
    """The latest cost of each shape, kept in `cache_dir`; if the file is lost, only forecasts are lost."""

    def __init__(self, cache_dir: Path) -> None:
        self.path = cache_dir / "costs.json"
        self.costs: dict[str, Cost] = {}
        for shape, text in read_cache(self.path).items():
            try:
                self.costs[shape] = Cost(**parse_json(text))
            except (TypeError, ValueError):  # written by another version
                continue

    def of(self, config: Any) -> Cost | None:
        """The cost of a trial of this shape; None before the first one has finished."""
        return self.costs.get(shape_of(config))

    def expected(self, trials: Sequence[Trial]) -> dict[str, ExpectedTrial]:
        """What is known of each trial, by its id."""
        return {trial.trial_id: ExpectedTrial.of(trial.config, self.of(trial.config)) for trial in trials}

    def note(self, config: Any, record: AttemptRecord, workdir: Path) -> None:
        """Record the cost of a trial that was done in its first attempt; other attempts did not train all steps."""
        if record.state is not State.DONE or record.attempt != 1:
            return
        steps, step_ms = workload_of(config).steps(config), record.metrics.get("cost/step_ms")
        if steps is None:  # trials of a shape last equally long
            steps, step_ms = 0, 0.0
        if step_ms is None:
            return
        trained = step_ms / 1000 * steps
        self.costs[shape_of(config)] = Cost(
            step_seconds=step_ms / 1000,
            other_seconds=max(0.0, record.ended_at - record.started_at - trained),
            disk_bytes=bytes_below(workdir),
        )

    def save(self) -> None:
        """Write the file."""
        write_cache(self.path, {shape: json.dumps(asdict(cost)) for shape, cost in self.costs.items()})


def bytes_below(folder: Path) -> int:
    """Total size of the files in a folder; those that end or cannot be read meanwhile do not count."""
    total = 0
    for path in folder.rglob("*"):
        with suppress(OSError):
            total += path.stat().st_size if path.is_file() else 0
    return total


def describe_cost(trials: Sequence[Trial], costs: CostBook, *, slots: int, gpus_per_trial: float) -> str:
    """One line for the terminal: wall time, GPU-hours and disk space of the trials whose shape has a known cost.

    The trials start in their order, each as soon as one of the `slots` is free.
    """
    free_at_seconds = [0.0] * max(1, slots)
    total_seconds, disk_bytes, unknown = 0.0, 0, 0
    for trial in trials:
        cost = costs.of(trial.config)
        if cost is None:
            unknown += 1
            continue
        seconds = cost.seconds(trial.config)
        total_seconds += seconds
        disk_bytes += cost.disk_bytes
        heapq.heappush(free_at_seconds, heapq.heappop(free_at_seconds) + seconds)
    if unknown == len(trials):
        return "forecast: none, because no trial of these shapes has finished here"
    gpu_hours = total_seconds * gpus_per_trial / 3600
    parts = [
        f"about {duration(max(free_at_seconds))} on {len(free_at_seconds)} slot{'s' if slots > 1 else ''}",
        *([f"{gpu_hours:.2f} GPU-hours"] if gpu_hours > 0 else []),
        f"{disk_bytes / 1e6:.0f} MB of disk",
    ]
    note = f" ({unknown} of {len(trials)} trials not counted: no trial of their shape has finished here)"
    return f"forecast: {', '.join(parts)}{note if unknown else ''}"


def duration(seconds: float) -> str:
    """`45 s`, `3 min`, `2 h 05 min`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60:02d} min"
