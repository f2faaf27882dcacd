"""Plugins: Python files of users that add entries to the trainer's tables (docs/own_method.md).

>>> from trainer.plugins import Entry
>>> ANCHOR_SAMPLERS = {"boundary": Entry(code=boundary_anchors, options=BoundaryOptions)}

`entry`     `Entry`, the line of a table, here and in the trainer's own tables
`tables`    the tables, and what is checked of a plugin's
`loading`   loads a plugin once per process (`orchestrator.plugins` has its source and how it is imported)
`options`   `LoadedPlugins`: the names and keys that the plugins of a sweep add to the configuration
"""

from __future__ import annotations

from trainer.plugins.entry import Entry, MetricEntry

__all__ = ["Entry", "MetricEntry"]
