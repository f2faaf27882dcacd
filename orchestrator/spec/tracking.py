"""What is wrong with the block `tracking`: models that the workload does not export."""

from __future__ import annotations

from collections.abc import Iterator

from orchestrator.spec.schema import SearchSpace
from orchestrator.spec.settings import quoted
from orchestrator.spec.workload_in_use import workload_in_use

__all__ = ["tracking_mistakes"]


def tracking_mistakes(space: SearchSpace) -> Iterator[str]:
    """Models are asked for, and the workload exports none."""
    workload = workload_in_use()
    if space.tracking.models != "none" and workload.extras.export is None:
        text = f"the workload {quoted(workload.name)} exports no models; write none, or give its extras an `export`"
        yield f"{space.origin('tracking', 'models')}: tracking.models: {text}"
