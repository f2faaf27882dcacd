"""GpuPacking: places trials on a cluster, several on one GPU where a probe has shown that they fit.

Two trials have the same shape when they need the same memory: same network, crop, batch size and memory bank, whatever
their seeds and learning rates. Shares are 1/k of a GPU, so that k trials fill it and none spans two.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Sequence
from itertools import islice

from orchestrator.errors import SweepError
from orchestrator.planning.identity import shape_of
from orchestrator.planning.plan import Trial
from orchestrator.running.task import Share
from orchestrator.spec.blocks import Resources
from orchestrator.store.attempt_record import AttemptRecord, State

__all__ = ["GpuPacking", "packed_share"]

HEADROOM = 1.1
"""Memory that a trial may need, relative to the probe's peak: images differ, and so does fragmentation."""

MAX_TRIALS_PER_GPU = 16

CAPACITY_WAIT_SECONDS = 60.0
"""How long a sweep waits for nodes to come back when none is left that can run a trial."""


def packed_share(peak_gb: float, device_gb: float) -> float:
    """The smallest 1/k of a GPU that holds a trial with some headroom; 1 for a trial that fills the device.

    `peak_gb` is the largest amount (1e9 bytes) that the trial's process held on a device of `device_gb`, its CUDA
    context included.
    """
    fraction = HEADROOM * peak_gb / device_gb
    trials = int(1 / fraction + 1e-9) if fraction > 0 else MAX_TRIALS_PER_GPU
    return 1 / max(1, min(MAX_TRIALS_PER_GPU, trials))


class GpuPacking:
    """The share of each trial. `resources.gpus` is `auto`, measured by a probe of each shape, or a fixed number."""

    def __init__(self, resources: Resources) -> None:
        self.resources = resources
        self.gpus_by_shape: dict[str, float] = {}
        """Shares that were measured, or enlarged since."""
        self.shapes: dict[str, str] = {}
        self.probes_apart = False
        """Whether each shape has a probe of its own, because the process of a common one died."""
        self.too_small_since: float | None = None

    def shape(self, trial: Trial) -> str:
        """The trial's shape, computed once."""
        if trial.trial_id not in self.shapes:
            self.shapes[trial.trial_id] = shape_of(trial.config)
        return self.shapes[trial.trial_id]

    def share(self, trial: Trial, capacity: Share) -> Share | None:
        """What a trial takes of a cluster with `capacity`; None when a probe must measure it first.

        A trial with several ranks gets whole GPUs, one for each rank where there are as many: a probe is one process.
        """
        gpus = self.gpus_by_shape.get(self.shape(trial), self.resources.gpus)
        if gpus == "auto" and capacity.gpus > 0:
            ranks = self.resources.ranks
            return None if ranks == 1 else self.of_gpus(max(1, min(ranks, int(capacity.gpus))))
        return self.of_gpus(0.0 if gpus == "auto" else gpus)

    def smallest_share(self, capacity: Share) -> Share:
        """The least that any trial takes of a cluster with `capacity`, as far as is known."""
        gpus = self.resources.gpus
        return self.of_gpus(min([*self.gpus_by_shape.values(), 1.0, capacity.gpus]) if gpus == "auto" else gpus)

    def of_gpus(self, gpus: float) -> Share:
        """A share with `gpus` and the CPUs of one trial."""
        return Share(cpus=self.resources.cpus, gpus=float(gpus))

    def can_start(self, trial: Trial, capacity: Share, available: Share, probing: Collection[Trial]) -> bool:
        """Whether a trial fits into `available`; one whose shape is `probing` at the moment waits for the result."""
        share = self.share(trial, capacity)
        if share is None:  # its probe takes a whole GPU
            measured_now = any(self.shape(other) == self.shape(trial) for other in probing)
            return not measured_now and self.of_gpus(1.0).fits(available)
        return share.fits(available)

    def to_probe(
        self, first: Trial, waiting: Iterable[Trial], available: Share, probing: Collection[Trial]
    ) -> tuple[Trial, ...]:
        """`first`, and one waiting trial of each other shape that the same probe measures: `available` GPUs share them.

        A process opens CUDA once and then measures each shape in seconds, so the rows of an ablation do not wait for
        one another. After a probe whose process died, each shape is measured by a process of its own.
        """
        known = self.gpus_by_shape.keys() | {self.shape(trial) for trial in probing}
        shapes = {self.shape(trial): trial for trial in waiting if self.shape(trial) not in known}
        shapes.pop(self.shape(first), None)
        count = 1 if self.probes_apart else math.ceil((1 + len(shapes)) / max(1, int(available.gpus)))
        return (first, *islice(shapes.values(), count - 1))

    def add_probe(self, trials: Sequence[Trial], record: AttemptRecord) -> None:
        """Keep what a probe measured for the shapes of `trials`; a whole GPU where it failed."""
        if record.state is not State.DONE and len(trials) > 1:
            self.probes_apart = True
            return
        for index, trial in enumerate(trials):
            peak = record.metrics.get(f"probe/peak_memory_gb/{index}") if record.state is State.DONE else None
            total = record.metrics.get(f"probe/device_memory_gb/{index}", 0.0)
            self.gpus_by_shape[self.shape(trial)] = 1.0 if peak is None else packed_share(peak, total)

    def enlarge(self, trial: Trial, share: Share) -> bool:
        """Double the share of the trial's shape after it ran out of memory with `share`; False if that was a whole GPU.

        The new share is 1/k again: what k trials of this size would leave free of a GPU is of no use to others.
        A shape that was enlarged since the trial started, because another trial failed, is not enlarged again.
        """
        if not 0 < share.gpus < 1:
            return False
        shape = self.shape(trial)
        doubled = 1 / max(1, int(1 / (2 * share.gpus) + 1e-9))
        self.gpus_by_shape[shape] = max(self.gpus_by_shape.get(shape, 0.0), doubled)
        return True

    def check(self, capacity: Share) -> None:
        """Raise SweepError when a cluster with `capacity` can run no trial at all."""
        needed = self.smallest_share(capacity)
        if not needed.fits(capacity):
            raise SweepError(
                f"resources: a trial needs {needed.cpus:g} CPUs and {needed.gpus:g} GPUs, but the cluster has only "
                f"{capacity.cpus:g} CPUs and {capacity.gpus:g} GPUs; lower `resources` in the search space"
            )

    def shortage(self, capacity: Share, now: float, *, idle: bool) -> str:
        """Why the sweep must end, if the cluster has been too small for any trial for a minute; else empty.

        `idle`: trials wait and none runs at the time `now` (seconds on one clock); else the minute starts again.
        """
        if not idle or self.smallest_share(capacity).fits(capacity):
            self.too_small_since = None
            return ""
        if self.too_small_since is None:
            self.too_small_since = now
        if now - self.too_small_since <= CAPACITY_WAIT_SECONDS:
            return ""
        return (
            f"the cluster is too small for any trial: only {capacity.cpus:g} CPUs and {capacity.gpus:g} GPUs are left"
        )
