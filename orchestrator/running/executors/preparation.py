"""Preparation: what is being started before trials can report, told each time it changes."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from orchestrator.running.fork_server.starting import has_imported

__all__ = ["Preparation", "imports_of"]

SLOWEST = "torch"
"""Named alone where it is among the packages that are imported: the others come with it, or take no time."""


class Preparation:
    """Tells `say` what an executor starts: first itself, then what its nodes import."""

    def __init__(self, say: Callable[[str], None], starting: str, imports: Callable[[], str] = lambda: "") -> None:
        """`starting`: what is said while the executor starts. `imports`: what is imported now; empty once that is done.

        `say` gets an empty text when nothing is being started any more.
        """
        self.say = say
        self.starting = starting
        self.imports = imports
        self.said = ""

    def begin(self) -> None:
        """The executor is being started."""
        self.tell(self.starting)

    def look(self) -> None:
        """The executor has started; its nodes may still import."""
        if self.said:
            self.tell(self.imports())

    def end(self) -> None:
        """A trial has reported, so that nothing is being started."""
        self.tell("")

    def tell(self, what: str) -> None:
        """Say it, unless it was the last that was said."""
        if what != self.said:
            self.said = what
            self.say(what)


def imports_of(server: str, modules: Sequence[str]) -> str:
    """What the fork server behind the socket `server` imports now: `importing torch (once per node)`.

    Empty once it can fork, and for a server that imports nothing that takes long.
    """
    packages = sorted({module.partition(".")[0] for module in modules})
    if not packages or has_imported(server):
        return ""
    named = SLOWEST if SLOWEST in packages else ", ".join(packages)
    return f"importing {named} (once per node)"
