"""RunOptions: where a sweep runs, and where its results are written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from orchestrator.planning.stale import StaleTrials

__all__ = ["RunOptions"]


@dataclass(frozen=True, kw_only=True, slots=True)
class RunOptions:
    """Where a sweep runs, and where its results are written."""

    run_dir: str | Path = "runs"
    """A folder, or a URL such as s3://bucket/prefix."""
    out: Path = Path("reports/out")
    """Folder of the tables."""
    tracking_uri: str | None = None
    """MLflow's store; None: the environment's MLFLOW_TRACKING_URI, else sqlite:///mlflow.db."""
    executor: str = "ray"
    """`ray`, or `serial`: in this process."""
    address: str | None = None
    """Ray cluster to join; None: start a local one."""
    forward_env: Sequence[str] = ()
    """Names of environment variables that workers on a cluster get with their values; no others travel."""
    max_concurrent: int | None = None
    """Most trials that run at once."""
    stale: StaleTrials = "refuse"
    """What to do with results of other code of the trainer: `refuse` raises StaleCodeError, `rerun`, `accept`."""
    debug: bool = False
    """With the serial executor: open the debugger where a trial raises."""
