"""Surroundings of a sweep: installed packages, this machine, those its trials ran on; for people who repeat it."""

from __future__ import annotations

import importlib.metadata
import platform
import socket
from collections.abc import Iterable
from typing import Any

from orchestrator.store.records import AttemptRecord

__all__ = ["installed_packages", "machines"]

FACTS = ("host", "device", "torch", "cuda", "python", "commit", "dirty")
"""What attempts record of where they ran."""


def installed_packages() -> str:
    """`name==version` by line, as `pip freeze` writes it; no address a package came from, which may hold a secret."""
    found = {item.metadata["Name"]: item.version for item in importlib.metadata.distributions()}
    lines = [f"{name}=={version}" for name, version in found.items() if name]
    return "\n".join(sorted(lines, key=str.lower)) + "\n"


def machines(records: Iterable[AttemptRecord]) -> dict[str, Any]:
    """The driver's machine, and each kind of surroundings that trials ran in with their number."""
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
    """Version of an installed package; empty where there is none."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return ""
