"""Search spaces and recipes that come with the project, in a checkout and in the wheel; a user's own files win."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from orchestrator.errors import SpecError
from orchestrator.spec.paths import is_file, missing_file

__all__ = ["SHIPPED_RECIPES", "SHIPPED_SPACES", "find_search_space", "looked_in", "shipped_file"]

SHIPPED_SPACES = Path(__file__).resolve().parents[2] / "search_spaces"
SHIPPED_RECIPES = SHIPPED_SPACES / "recipes"

OWN_SPACES = Path("search_spaces")
"""Below the current folder, as in a checkout."""


def find_search_space(given: Path) -> Path:
    """The file that `given` means: a path, or the name of a search space here, in `search_spaces` or of the project.

    Raises SpecError, which says where was looked, when a name is not found. A path that is not a file is returned as
    it is: whoever reads it has the message.
    """
    if is_file(given) or given.is_absolute() or given.parent not in (Path(), OWN_SPACES):
        return given
    file = given.name if given.suffix in (".yaml", ".yml") else f"{given.name}.yaml"
    folders = tuple(dict.fromkeys((given.parent, OWN_SPACES, SHIPPED_SPACES)))
    for folder in folders:
        if is_file(found := folder / file):
            return found
    raise SpecError(f"{given}: {missing_file(given)}; {looked_in(folders)}, which has {', '.join(shipped_names())}")


def shipped_file(name: str, folder: Path) -> Path | None:
    """The file `name` below a folder of the project."""
    found = folder / name
    return found if ".." not in found.parts and found.is_relative_to(folder) and is_file(found) else None


def shipped_names() -> list[str]:
    """Names of the search spaces of the project."""
    return sorted(path.stem for path in SHIPPED_SPACES.glob("*.yaml"))


def looked_in(folders: Iterable[Path]) -> str:
    """`looked in ., search_spaces and /opt/.../search_spaces`."""
    *others, last = map(str, folders)
    return f"looked in {', '.join(others)} and {last}" if others else f"looked in {last}"
