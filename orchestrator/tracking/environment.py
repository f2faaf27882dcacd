"""Software and machines of a sweep, for people who want to reproduce it."""

from __future__ import annotations

import importlib.metadata
import platform
import socket
from collections.abc import Iterable
from typing import Any

from orchestrator.store.attempt_record import AttemptRecord

__all__ = ["installed_packages", "machines"]

FACTS = ("host", "device", "torch", "cuda", "cudnn", "python", "loader", "commit", "dirty")
"""Keys of an attempt's environment that describe where it ran."""


def installed_packages() -> str:
    """`name==version` per line, like `pip freeze`, but without package addresses, which may contain a secret."""
    found = {item.metadata["Name"]: item.version for item in importlib.metadata.distributions()}
    lines = [f"{name}=={version}" for name, version in found.items() if name]
    return "\n".join(sorted(lines, key=str.lower)) + "\n"


def machines(records: Iterable[AttemptRecord]) -> dict[str, Any]:
    """The driver's machine, and each environment that trials ran in with the number of trials."""
    seen: dict[tuple[tuple[str, str], ...], int] = {}
    for record in records:
        facts = tuple((key, record.environment[key]) for key in FACTS if record.environment.get(key))
        seen[facts] = seen.get(facts, 0) + 1
    return {
        "driver": {
            "host": socket.gethostname(),
            "platform": platform.platform(),
            "python": platform.python_version(),
            **{name: version_of(name) for name in ("ray", "torch", "mlflow")},
        },
        "trials": [{**dict(facts), "trials": count} for facts, count in seen.items() if facts],
    }


def version_of(package: str) -> str:
    """Version of a package; empty if it is not installed."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return ""
