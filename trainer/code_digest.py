"""A digest of the trainer's code: equal digests mean equal figures on equal machines.

Each file is reduced to its syntax tree without comments, docstrings and formatting. Names, annotations and messages
count. Files that cannot change a figure are left out (`NOT_COUNTED`). Imports no torch, because planning compares it.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path

from orchestrator.workload import fields
from orchestrator.workload.kept_digests import digests_of
from orchestrator.workload.source_digest import code_digest, codes_in, joined, normalised, short
from trainer.config import RESULT_VERSION
from trainer.equal_code import EQUAL_CODE, EQUAL_RESULT_VERSION

__all__ = [
    "NOT_COUNTED",
    "code_digest",
    "codes_in",
    "equal_codes",
    "joined",
    "normalised",
    "present_code",
    "present_files",
    "short",
    "source_digests",
]

NOT_COUNTED: Mapping[str, str] = {
    "code_digest.py": "compares code; the decision which checkpoint is resumed is in checkpoint.py, which counts",
    "data/__main__.py": "prints what data/check.py finds",
    "data/check.py": "inspects a data set for a user",
    "data/left_over.py": "tells a user which files of a data set are not used",
    "data/proposal/": "proposes a description of a data set to a user",
    "data/requirements.py": "decides which data sets are refused",
    "equal_code.py": "lists digests",
    "export.py": "reads a finished trial",
    "golden/": "runs tiny trials with two versions of the code",
    "pictures/": "draws after the figures are measured",
    "plugins/__main__.py": "runs suites of tests on a plugin",
    "probe.py": "measures memory; its weights are thrown away",
    "testing/": "suites of tests",
    "workload/": "tells the orchestrator what run.py computes, and calls it",
}
"""Files and folders (`/`) below `trainer` that cannot change a figure, with the reason.

A tiny trial must give the same bits without them (tests/trainer/test_code_digest.py).
"""

SHARED = (
    *(f"orchestrator/plugins/{name}.py" for name in ("loading", "source")),
    *(f"orchestrator/workload/{name}.py" for name in ("fields", "plugin_part", "runtime")),
)
"""Files beside the package that can change a figure: which code of a plugin runs, what an unset field stands for, and
how a trial runs."""

PACKAGE = Path(__file__).resolve().parent


def source_digests(package: Path, beside: Path | None = None) -> dict[str, str]:
    """By path below `package`, or below `beside`, the digest of the syntax tree of each Python file that counts.

    Twelve hexadecimal digits of SHA-256; of a draft that does not parse, those of its text. `beside` is the folder with
    the package `orchestrator`, by default that of `package`.
    """
    below = {path.relative_to(package).as_posix(): path for path in sorted(package.rglob("*.py"))}
    shared = {name: (beside or package.parent) / name for name in SHARED}
    counted = {name: path for name, path in below.items() if counts(name)}
    counted |= {name: path for name, path in shared.items() if path.exists()}
    return digests_of({name: path.read_text(encoding="utf-8", errors="replace") for name, path in counted.items()})


def counts(name: str) -> bool:
    """Whether a file below `trainer` can change a figure. A hidden file cannot be imported."""
    hidden = any(part.startswith(".") for part in name.split("/"))
    return not hidden and not any(
        name == item or (item.endswith("/") and name.startswith(item)) for item in NOT_COUNTED
    )


@cache
def present_files() -> Mapping[str, str]:
    """`source_digests` of this very package, as its files were at the first call in this process."""
    return source_digests(PACKAGE, Path(fields.__file__).resolve().parents[2])  # Ray unpacks packages apart


@cache
def present_code() -> str:
    """The digest of this very package."""
    return code_digest(present_files())


def equal_codes() -> tuple[str, ...]:
    """The digest of this package first, then those of code that is proven to give equal figures."""
    present = present_code()
    groups = EQUAL_CODE if EQUAL_RESULT_VERSION == RESULT_VERSION else ()
    proven = next((group for group in groups if present in group), ())
    return tuple(dict.fromkeys((present, *proven)))
