"""The environment variables that a sweep gives to workers on other machines: those that the user names."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence

from orchestrator.errors import SweepError

__all__ = ["forwarded_environment"]

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def forwarded_environment(names: Sequence[str]) -> dict[str, str]:
    """The variables `names` of this process with their values. Raises SweepError, without a value."""
    for given in names:
        name, equals, _ = given.partition("=")
        if equals:
            raise SweepError(
                f"--forward-env {name}=...: give only the name, because everybody can read a command line; "
                f"`export {name}` in this shell, then --forward-env {name}"
            )
        if not NAME.fullmatch(name):
            raise SweepError(f"--forward-env {name}: not the name of an environment variable, such as HF_TOKEN")
        if name not in os.environ:
            raise SweepError(f"--forward-env {name}: not set in this shell; `export {name}`, or leave the option out")
    return {name: os.environ[name] for name in names}
