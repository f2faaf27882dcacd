"""Packing: how much of a GPU a trial takes, from what a short run of its shape really needed.

Two trials have one shape when they need the same memory: network, crop, batch and bank, but neither seed nor rate.
Shares are 1/k, so that k trials fill a GPU and none is cut in two.
"""

from __future__ import annotations

from dataclasses import dataclass

from orchestrator.running.task import Share

__all__ = ["Need", "Packing", "largest_fraction"]


HEADROOM = 1.1
"""What a trial may need beyond the probe: other images, another moment of the allocator."""

SMALLEST = 16
"""At most so many trials share a GPU."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Need:
    """What a probe measured, GB (1e9 bytes)."""

    peak_gb: float
    """Largest amount the process held on the device, its context included."""
    device_gb: float
    """Memory of the device."""


def largest_fraction(need: Need) -> float:
    """The largest 1/k that holds the need with some headroom; 1 for a trial that fills the device."""
    share = HEADROOM * need.peak_gb / need.device_gb
    return 1 / max(1, min(SMALLEST, int(1 / share + 1e-9))) if share > 0 else 1 / SMALLEST


class Packing:
    """Shares of trials by shape. `gpus` is what the user said: `auto` measures first, a number is that number."""

    def __init__(self, *, cpus: float, gpus: float | str) -> None:
        self.cpus = cpus
        self.gpus = gpus
        self.known: dict[str, float] = {}
        """GPU share by shape."""

    def share(self, shape: str, capacity: Share) -> Share | None:
        """What a trial of this shape takes of a cluster with `capacity`; None when it is to be probed first."""
        if shape in self.known:
            return Share(cpus=self.cpus, gpus=self.known[shape])
        if self.gpus != "auto":
            return Share(cpus=self.cpus, gpus=float(self.gpus))
        return Share(cpus=self.cpus) if capacity.gpus <= 0 else None

    def learn(self, shape: str, need: Need | None) -> None:
        """Keep what a probe found; None, when it failed: a whole GPU."""
        self.known[shape] = 1.0 if need is None else largest_fraction(need)

    def enlarge(self, shape: str, share: Share) -> bool:
        """Double the share of a shape whose trial ran out of memory with `share`; False when it had a whole GPU.

        A trial that had less than its shape has by now, because another one failed before, needs no more than that.
        """
        if not 0 < share.gpus < 1:
            return False
        self.known[shape] = max(self.known.get(shape, 0.0), min(2 * share.gpus, 1.0))
        return True
