"""`PluginError`: a plugin that cannot be used."""

from __future__ import annotations

__all__ = ["PluginError"]


class PluginError(Exception):
    """A plugin cannot be loaded, or its tables are wrong; the message is one line and begins with its file and line."""
