"""What a command imports: our packages and the installed ones, whatever lies in the current folder.

`python -m` puts the current folder first on the path, where a user's `reports.py` or `torch.py` would hide what is
installed. `orchestrator/__init__.py` calls `use_installed_packages` before anything else is imported, so this module
imports next to nothing.
"""

from __future__ import annotations

import os
import sys

__all__ = ["NAMES", "hiding", "use_installed_packages"]

NAMES = ("orchestrator", "trainer", "reports")
"""Our packages, all in one folder."""

FOLDER = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))  # noqa: PTH100, PTH120 - pathlib is not imported yet


def use_installed_packages() -> None:
    """In a command of ours, take the current folder off the path, also for the processes that it starts.

    Nothing happens in a program or a notebook that imports us, nor in a folder that holds our packages. Exits with a
    message and code 2 when one of our packages is hidden all the same, by a folder of PYTHONPATH.
    """
    if not is_own_command() or sys.flags.safe_path:
        return
    here = sys.path[0]
    if here == FOLDER:
        return
    sys.path[:] = [entry for entry in sys.path if entry not in ("", here)]
    os.environ["PYTHONSAFEPATH"] = "1"
    for name in NAMES:
        if path := hiding(name):
            remedy = "rename it, or take its folder off PYTHONPATH"
            sys.stderr.write(f"{path}: hides the package {name!r} of contrast-sweep; {remedy}\n")
            sys.exit(2)


def is_own_command() -> bool:
    """Whether Python is at `python -m MODULE` with a module of ours, just about to run it."""
    if sys.argv[:1] != ["-m"]:  # as long as Python looks for the module
        return False
    return sys.orig_argv[-len(sys.argv)].removeprefix("-m").partition(".")[0] in NAMES


def hiding(name: str) -> str:
    """The file or folder that Python would import as our package `name`; empty if that is ours."""
    from importlib.util import find_spec

    spec = find_spec(name)
    if spec is None:
        return ""
    places = [os.path.dirname(spec.origin)] if spec.origin else list(spec.submodule_search_locations or ())  # noqa: PTH120
    own = os.path.join(FOLDER, name)  # noqa: PTH118
    return "" if os.path.realpath(places[0]) == os.path.realpath(own) else spec.origin or places[0]
