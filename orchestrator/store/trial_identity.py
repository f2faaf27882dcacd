"""Whether a recorded trial is the one that its id names: the id is a hash of what trial.json says of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from orchestrator.machine.json_digest import json_digest

__all__ = ["has_identity", "require_identity"]

NEEDED = ("config", "data", "result_version")
"""Keys of trial.json that every id is a function of."""
COUNTED = (*NEEDED, "workload")
"""The built-in workload is not named."""


def has_identity(facts: Mapping[str, Any]) -> bool:
    """Whether the id can be computed from the facts; files of before lack some."""
    return all(key in facts for key in NEEDED)


def require_identity(facts: Mapping[str, Any], trial_id: str, seed: int | None) -> None:
    """Raise ValueError unless the id is that of the configuration, and the seed that of the plan (None: any).

    `facts`: those of `RunDirectory.trial_facts`, at least `config`.
    """
    if has_identity(facts):
        computed = json_digest({key: facts[key] for key in COUNTED if key in facts})
        if computed != trial_id:
            raise ValueError(f"its configuration is that of trial {computed}")
    if seed is not None and facts["config"].get("seed", seed) != seed:
        raise ValueError(f"its seed is {facts['config']['seed']}, and that of its plan {seed}")
