"""A plan without the folders of the machine on which it was made: those of its data, and of where it writes.

Records of attempts travel as they are, with the name of the machine and the traceback of a failure: they are never
changed. A plan may be, as long as it shows the same (`SweepRecord.shows_the_same`).
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any

from orchestrator.machine.sealed_json import seal, unseal

__all__ = ["portable_file"]

PLACEHOLDER = "PATH"
"""Stands for the folder in an absolute path."""
OWN_OPTIONS = ("--run-dir", "--out", "--tracking-uri")
"""Options of the command line that say where a sweep writes."""


def portable_file(content: bytes) -> bytes:
    """The file of a plan, or of a kept plan, for an archive; it has a digest if `content` has one.

    What is portable already stays as it is, byte for byte. Raises ValueError for a damaged file.
    """
    values, verified = unseal(content)
    if "sweep" in values:
        changed = {**values, "sweep": portable_plan(values["sweep"])}
    else:
        changed = portable_plan(values)
    if changed == values:
        return content
    return seal(changed) if verified else (json.dumps(changed, indent=1, ensure_ascii=False) + "\n").encode()


def portable_plan(plan: Mapping[str, Any]) -> dict[str, Any]:
    """The JSON values of a plan, with the last part only of each absolute path in its command and its settings."""
    changed = dict(plan)
    if "command" in plan:
        changed["command"] = portable_command(plan["command"])
    if "settings" in plan:
        changed["settings"] = portable_value(plan["settings"])
    if "data_sets" in plan:
        changed["data_sets"] = [
            item | {"settings": portable_value(item["settings"])} if "settings" in item else item
            for item in plan["data_sets"]
        ]
    return changed


def portable_value(value: Any) -> Any:
    """A JSON value without absolute paths."""
    if isinstance(value, str):
        return portable_path(value)
    if isinstance(value, list):
        return [portable_value(item) for item in value]
    if isinstance(value, dict):
        return {key: portable_value(item) for key, item in value.items()}
    return value


def portable_path(text: str) -> str:
    """`PATH/camvid` for `/data/camvid`; any other text as it is."""
    return f"{PLACEHOLDER}/{PurePosixPath(text).name}" if text.startswith("/") else text


def portable_command(command: str) -> str:
    """A command line without the options that say where it writes, and without absolute paths."""
    words = iter(shlex.split(command))
    kept = []
    for word in words:
        if word in OWN_OPTIONS:
            next(words, "")
            continue
        before, mark, value = word.rpartition("=")
        kept.append(f"{before}{mark}{portable_path(value)}")
    return shlex.join(kept)
