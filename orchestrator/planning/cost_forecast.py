"""The expected cost of a sweep, from finished trials of the same shapes."""

from __future__ import annotations

import heapq
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from orchestrator.planning.digests import read_cache, write_cache
from orchestrator.planning.plan import Trial
from orchestrator.planning.shape import shape_of
from orchestrator.store.records import AttemptRecord, State
from trainer.config import TrainConfig

__all__ = ["Cost", "CostBook", "Forecast", "duration", "forecast"]

FILE = "costs.json"


@dataclass(frozen=True, kw_only=True, slots=True)
class Cost:
    """What a finished trial took."""

    step_seconds: float
    """For one training step."""
    other_seconds: float
    """For everything else: start, evaluations, pictures."""
    disk_bytes: int
    """Size of its folder."""

    def seconds(self, config: TrainConfig) -> float:
        """Expected duration of a trial with this config, which may have another number of steps."""
        return self.step_seconds * config.schedule.steps + self.other_seconds


class CostBook:
    """The latest cost of each shape, kept in `cache_dir`; if the file is lost, only forecasts are lost."""

    def __init__(self, cache_dir: Path) -> None:
        self.path = cache_dir / FILE
        self.costs: dict[str, Cost] = {}
        for shape, text in read_cache(self.path).items():
            try:
                self.costs[shape] = Cost(**json.loads(text))
            except (TypeError, ValueError):  # written by another version
                continue

    def of(self, config: TrainConfig) -> Cost | None:
        """The cost of a trial of this shape; None before the first one has finished."""
        return self.costs.get(shape_of(config))

    def note(self, config: TrainConfig, record: AttemptRecord, workdir: Path) -> None:
        """Record the cost of a trial that was done in its first attempt; other attempts did not train all steps."""
        step_ms = record.metrics.get("cost/step_ms")
        if record.state is not State.DONE or record.attempt != 1 or step_ms is None:
            return
        trained = step_ms / 1000 * config.schedule.steps
        self.costs[shape_of(config)] = Cost(
            step_seconds=step_ms / 1000,
            other_seconds=max(0.0, record.ended_at - record.started_at - trained),
            disk_bytes=sum(path.stat().st_size for path in workdir.rglob("*") if path.is_file()),
        )

    def save(self) -> None:
        """Write the file."""
        write_cache(self.path, {shape: json.dumps(asdict(cost)) for shape, cost in self.costs.items()})


@dataclass(frozen=True, kw_only=True, slots=True)
class Forecast:
    """The expected cost of some trials. Sums are over the trials whose shape is known."""

    trials: int
    known: int
    """Trials of a shape with a known cost."""
    slots: int
    seconds: float
    """Wall time."""
    gpu_hours: float
    disk_bytes: int

    def describe(self) -> str:
        """One line for the terminal."""
        if not self.known:
            return "forecast: none, because no trial of these shapes has finished here"
        parts = [f"about {duration(self.seconds)} on {self.slots} slot{'s' if self.slots != 1 else ''}"]
        if self.gpu_hours > 0:
            parts.append(f"{self.gpu_hours:.2f} GPU-hours")
        parts.append(f"{self.disk_bytes / 1e6:.0f} MB of disk")
        missing = self.trials - self.known
        note = f" ({missing} of {self.trials} trials not counted: no trial of their shape has finished here)"
        return f"forecast: {', '.join(parts)}{note if missing else ''}"


def forecast(trials: Sequence[Trial], costs: Mapping[str, Cost], *, slots: int, gpus_per_trial: float) -> Forecast:
    """The cost of `trials` on `slots` slots; each starts, in their order, as soon as a slot is free."""
    free_at = [0.0] * max(1, slots)
    known, total, disk = 0, 0.0, 0
    for trial in trials:
        cost = costs.get(shape_of(trial.config))
        if cost is None:
            continue
        known += 1
        seconds = cost.seconds(trial.config)
        total += seconds
        disk += cost.disk_bytes
        heapq.heappush(free_at, heapq.heappop(free_at) + seconds)
    return Forecast(
        trials=len(trials),
        known=known,
        slots=len(free_at),
        seconds=max(free_at),
        gpu_hours=total * gpus_per_trial / 3600,
        disk_bytes=disk,
    )


def duration(seconds: float) -> str:
    """`45 s`, `3 min`, `2 h 05 min`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60:02d} min"
