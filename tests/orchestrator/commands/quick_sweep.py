"""`python -m tests.orchestrator.commands.quick_sweep SPEC.yaml`: a sweep that trains and draws nothing.

The process that writes to MLflow is the real one.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from orchestrator import api, sweep
from tests.orchestrator.conftest import quick_options

__all__ = ["main"]


def main(arguments: Sequence[str]) -> int:
    """The sweep command; returns its exit code."""
    with pytest.MonkeyPatch.context() as patch:
        follower = api.open_follower
        quick_options.__wrapped__(Path.cwd(), patch)  # type: ignore[attr-defined]
        patch.setattr(api, "open_follower", follower)
        return sweep.main([*arguments, "--executor", "serial"])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
