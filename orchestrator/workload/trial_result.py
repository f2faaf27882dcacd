"""TrialResult: what the training of a trial returns."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Progress", "TrialResult"]

Progress = Callable[[int, dict[str, float]], None]
"""`progress(step, metrics)` records a point of a running trial. It may raise to stop the trial: let it pass."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TrialResult:
    """What the training of a trial returns; only `metrics` is needed."""

    metrics: Mapping[str, float]
    """The final figures: `final/...`, `cost/...`."""
    facts: Mapping[str, str] = field(default_factory=dict)
    """Facts for the record of the attempt. `code`: digests of the code that took the steps, joined by `+`, where it is
    not the present code alone, as in a trial that was resumed."""
    class_names: tuple[str, ...] = ()
    """Of the C classes of `count_NCK`."""
    count_NCK: Any = field(default=None, compare=False, repr=False)
    """Correct, labelled and predicted pixels (K) of each test image (N) and class (C), an integer array of NumPy, with
    which reports resample the images; None: they do not."""
