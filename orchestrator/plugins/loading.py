"""Imports a plugin, from the source text that travels with a trial.

The modules of a plugin are submodules of a package of their own, named after its digest. So a process can hold two
versions of a plugin, and a file beside it hides no installed module from the rest of the program.
"""

from __future__ import annotations

import importlib
import traceback
from pathlib import Path
from types import ModuleType

from orchestrator.machine.one_line import described
from orchestrator.plugins.error import PluginError
from orchestrator.plugins.source import read_source
from orchestrator.workload.plugin_part import PluginSource
from orchestrator.workload.source_digest import short
from orchestrator.workload.text_modules import TextFinder

__all__ = ["PACKAGE", "import_module", "place_in_plugin"]

PACKAGE = "contrast_plugin_"
"""Start of the names of the packages that plugins are loaded as; a digest follows."""


def package_of(source: PluginSource) -> str:
    """The name of the package that a plugin is loaded as; equal code in two folders is loaded twice."""
    return f"{PACKAGE}{source.digest}_{short(source.path)}"


def import_module(source: PluginSource) -> ModuleType:
    """Import the module of a plugin. Raises PluginError."""
    if not source.files:
        here = read_source(source.path, Path())
        if here.digest != source.digest:
            raise PluginError(f"{source.path}: another version is installed here ({here.digest}, not {source.digest})")
        name = source.path
    else:
        package = package_of(source)
        TextFinder(package, Path(source.path), source.files).install()
        name = f"{package}.{Path(source.path).stem.replace('.', '_')}"
    try:
        return importlib.import_module(name)
    except PluginError:
        raise
    except (Exception, SystemExit) as error:
        place = place_in_plugin(error) or f"{source.path}:1"
        raise PluginError(f"{place}: {described(error)}; the plugin cannot be imported") from error


def place_in_plugin(error: BaseException) -> str:
    """`/home/me/my_sampler.py:31`: the last line of a plugin that an exception, or its cause, passed through.

    Empty if it passed through none. An exception of another process has it as its attribute `place_in_plugin`.
    """
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        if known := getattr(current, "place_in_plugin", ""):
            return str(known)
        for frame, line in reversed(list(traceback.walk_tb(current.__traceback__))):
            if str(frame.f_globals.get("__name__", "")).startswith(PACKAGE):
                return f"{frame.f_code.co_filename}:{line}"
        current = current.__cause__ or current.__context__
    return ""
