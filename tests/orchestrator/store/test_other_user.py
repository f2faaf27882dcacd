"""A sweep in an object store by a user beside whom root has run one: in folders of its own, or refused in one line."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from orchestrator.machine.own_folder import MARK, Mark, claim, make_temporary, temporary_root, write_mark
from orchestrator.store.backends import local_folder
from orchestrator.store.backends.base import SCRATCH_FOLDER
from tests.end_to_end import mishaps
from tests.end_to_end.conftest import PROJECT, environment, write_tiny

NOBODY = 65534
AS_NOBODY = ("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups")
RUN_DIR = "s3://shared/runs"
LINE = (sys.executable, "-m", "orchestrator.sweep", "tiny.yaml", "--seeds", "1", "--executor", "serial")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.usefixtures("readable_by_others"),
    pytest.mark.skipif(os.geteuid() != 0, reason="only root can act as another user"),
    pytest.mark.skipif(shutil.which("setpriv") is None, reason="setpriv (util-linux) is not installed"),
]


@dataclass(frozen=True, kw_only=True)
class Place:
    """A machine that root and another user share."""

    temporary: Path
    """The folder of temporary files, to which all may write."""
    home: Path
    """Of the other user, with a search space."""
    environment: dict[str, str]
    client: Any
    """Of the object store."""

    def sweep(self) -> subprocess.CompletedProcess[str]:
        """The sweep of the other user."""
        line = [*AS_NOBODY, *LINE, "--run-dir", RUN_DIR, "--out", "out"]
        return subprocess.run(line, cwd=self.home, env=self.environment, capture_output=True, text=True, timeout=300)

    def objects(self) -> set[str]:
        """The names of all objects."""
        return {item["Key"] for item in self.client.list_objects_v2(Bucket="shared").get("Contents", ())}


@pytest.fixture(scope="module")
def readable_by_others() -> None:
    """Other users can start this project's Python; the tests are skipped where they cannot."""
    values = environment() | {"PYTHONPATH": str(PROJECT)}
    probe = [*AS_NOBODY, sys.executable, "-c", "import orchestrator.api"]
    if subprocess.run(probe, cwd="/", env=values, capture_output=True, check=False).returncode:
        pytest.skip("other users cannot read this project or its interpreter")


@pytest.fixture
def place(s3_server: str, s3_settings: pytest.MonkeyPatch, migrated: Path) -> Iterator[Place]:
    """Root has prepared its own folders there, as a sweep does; one of them is left by a killed process."""
    boto3 = pytest.importorskip("boto3", reason="boto3 is not installed: no object store to test")
    s3_settings.setenv("AWS_ENDPOINT_URL", s3_server)
    folder = Path(tempfile.mkdtemp(prefix="cs-", dir="/tmp"))
    try:
        folder.chmod(0o755)
        for name, mode in (("tmp", 0o1777), ("home", 0o700)):
            (folder / name).mkdir()
            (folder / name).chmod(mode)
        write_tiny(folder / "home")
        shutil.copy(migrated, folder / "home" / "mlflow.db")
        for path in (folder / "home", *(folder / "home").iterdir()):
            os.chown(path, NOBODY, NOBODY)
        hook = mishaps.install(folder / "hook", "WITHOUT_FIGURES")  # this user may not be able to start an interpreter
        given = {**hook, "HOME": str(folder / "home"), "TMPDIR": str(folder / "tmp")}
        values = {key: value for key, value in environment().items() if key != SCRATCH_FOLDER} | given
        s3_settings.delenv(SCRATCH_FOLDER)
        s3_settings.setattr(tempfile, "tempdir", str(folder / "tmp"))
        client = boto3.client("s3")
        client.create_bucket(Bucket="shared")
        (local_folder(RUN_DIR) / "trials" / "a").mkdir(parents=True)
        make_temporary("tune")
        yield Place(temporary=folder / "tmp", home=folder / "home", environment=values, client=client)
        for name in [item["Key"] for item in client.list_objects_v2(Bucket="shared").get("Contents", ())]:
            client.delete_object(Bucket="shared", Key=name)
        client.delete_bucket(Bucket="shared")
    finally:
        shutil.rmtree(folder)


def facts(folder: Path) -> dict[Path, tuple[int, int, str | bytes]]:
    """Owner, mode and target or content of every path below a folder; links are not followed."""
    found: dict[Path, tuple[int, int, str | bytes]] = {}
    for path in folder.rglob("*"):
        status = path.lstat()
        content = str(path.readlink()) if path.is_symlink() else path.read_bytes() if path.is_file() else ""
        found[path] = (status.st_uid, status.st_mode, content)
    return found


def test_a_sweep_beside_roots_works_in_its_own_folders(place: Place) -> None:
    roots = facts(place.temporary)
    assert len(roots) > 5
    done = place.sweep()
    assert done.returncode == 0, done.stdout + done.stderr
    left = facts(place.temporary)
    assert {path: left.get(path) for path in roots} == roots
    own = {path: fact for path, fact in left.items() if path not in roots}
    assert {owner for owner, _, _ in own.values()} == {NOBODY}
    ours = [path for path in own if path.parent == place.temporary and path.name.startswith("contrast")]
    assert {path.name for path in ours} == {  # torch has a cache beside them
        temporary_root().name.replace("0", str(NOBODY)),
        f"contrast-sweep-scratch-{NOBODY}",
        f"contrast-sweep-digests-{NOBODY}",
    }
    assert {own[path][1] & 0o777 for path in ours} == {0o700}
    assert {path.name for path in (place.temporary / f"contrast-{NOBODY}").iterdir()} == {MARK}
    names = {name.rpartition("/")[2] for name in place.objects()}
    assert {"sweep.json", "attempt_001.json", "last.pt"} <= names
    assert (place.home / "out").stat().st_uid == NOBODY


@pytest.mark.parametrize(
    ("name", "setting", "kind"),
    [
        (f"contrast-{NOBODY}", "TMPDIR", "link"),
        (f"contrast-sweep-scratch-{NOBODY}", SCRATCH_FOLDER, "folder"),
    ],
)
def test_a_folder_that_root_has_prepared_is_refused_in_one_line(
    place: Place, name: str, setting: str, kind: str
) -> None:
    """Root's folder has links to a private file of the user; a link of root's leads to a folder of the user.

    One of each, because both places ask `claim`, which `test_own_folder.py` shows both.
    """
    private = place.home / "private"
    private.mkdir()
    write_mark(private, Mark())
    (private / "thesis").write_text("mine")
    for path in (private, *private.iterdir()):
        os.chown(path, NOBODY, NOBODY)
    if kind == "link":
        (place.temporary / name).symlink_to(private)
    else:
        claim(place.temporary / name, setting)
        (place.temporary / name).chmod(0o755)
        for file in ("last.pt", "index"):
            (place.temporary / name / file).symlink_to(private / "thesis")
    before = facts(place.temporary) | facts(private)
    done = place.sweep()
    assert done.returncode == 2, done.stdout + done.stderr
    (line,) = done.stderr.splitlines()
    fault = "is a symbolic link, which is not followed" if kind == "link" else "belongs to user root (0)"
    assert f"{name}: {fault}, so it is not used; " in line
    assert line.endswith(f"or set {setting} to another folder")
    after = facts(place.temporary) | facts(private)
    assert {path: after.get(path) for path in before} == before
    assert {owner for path, (owner, _, _) in after.items() if path not in before} <= {NOBODY}
    assert [path for path in after if path not in before and path.is_relative_to(private)] == []
    assert place.objects() == set(), "nothing was trained"
