"""A finished sweep in the current folder, and its archive."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from zipfile import ZipFile

import pytest

from orchestrator.store.archive.manifest import Manifest, Member
from orchestrator.store.archive.members import MANIFEST
from orchestrator.store.archive.writing import add, write_archive
from tests.swept import copied, sweep_and_export


@pytest.fixture(scope="session")
def swept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the finished sweep `tiny`."""
    folder = tmp_path_factory.mktemp("swept")
    sweep_and_export(folder)
    return folder


@pytest.fixture
def place(swept: Path, tmp_path: Path) -> Iterator[Path]:
    """A copy of it as the current folder, in which sweeps train nothing; `tiny.zip` is its archive."""
    with copied(swept, tmp_path) as folder:
        yield folder


@pytest.fixture
def contents(place: Path) -> dict[str, bytes]:
    """The files in the archive but its manifest."""
    return contents_of(place / "tiny.zip")


def contents_of(path: Path) -> dict[str, bytes]:
    """The files in an archive but its manifest, by name."""
    with ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist() if name != MANIFEST}


@pytest.fixture
def forge(place: Path) -> Callable[..., Path]:
    """`forge(contents)` writes an archive with a right manifest; `listed`: its files, if they are others."""

    def write(contents: Mapping[str, bytes], *, listed: Mapping[str, bytes] | None = None) -> Path:
        path = Path("forged.zip")
        with path.open("wb") as file:
            if listed is None:
                write_archive(file, "tiny", sorted(contents.items()))
                return path
            with ZipFile(file, "w") as archive:
                for name, content in contents.items():
                    add(archive, name, content)
                members = {name: Member.of(content) for name, content in listed.items()}
                add(archive, MANIFEST, Manifest(sweep="tiny", members=members).to_bytes())
        return path

    return write
