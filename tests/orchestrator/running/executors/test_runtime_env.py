"""What is sent to the nodes: all of this project's source, and nothing else."""

import json
import tomllib
from pathlib import Path

import pytest
from ray._private.runtime_env.packaging import create_package, get_uri_for_directory, unzip_package

from orchestrator.errors import SweepError
from orchestrator.running.executors.runtime_env import PACKAGES, PROJECT, runtime_env_of, source_files


def unpacked(package: Path, excludes: list[str], folder: Path) -> set[str]:
    """The files of a folder that Ray unpacks on a node; paths from the folder's parent."""
    archive = folder / "package.zip"
    create_package(str(package), archive, include_gitignore=True, include_parent_dir=True, excludes=excludes)
    unzip_package(str(archive), str(folder / "node"), remove_top_level_directory=False, unlink_zip=True)
    return {str(path.relative_to(folder / "node")) for path in (folder / "node").rglob("*") if path.is_file()}


@pytest.mark.parametrize("index", range(len(PACKAGES)))
def test_every_module_of_the_packages_is_sent_and_nothing_else(index: int, tmp_path: Path) -> None:
    sent = runtime_env_of(tmp_path)
    package = Path(sent["py_modules"][index])
    there = unpacked(package, sent["excludes"], tmp_path)
    assert there == {str(path.relative_to(PROJECT)) for path in source_files(package)}
    assert f"{PACKAGES[index]}/__init__.py" in there


def test_the_packages_are_those_a_worker_imports() -> None:
    ours = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]
    assert set(PACKAGES) == set(ours["root_packages"]) - {"reports"}  # the driver makes the tables


def test_data_runs_and_secrets_are_not_sent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "hush-hush")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hush-hush")
    package = tmp_path / "trainer"
    for name in ("run.py", "data/base.py", "last.pt", "data/frame.png", ".git/config", "mlflow.db", "labels.npz"):
        path = package / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x", encoding="utf-8")
    (tmp_path / "orchestrator").mkdir()
    sent = runtime_env_of(tmp_path, tmp_path)
    assert "hush-hush" not in json.dumps(sent)
    assert unpacked(package, sent["excludes"], tmp_path) == {"trainer/run.py", "trainer/data/base.py"}


def test_a_cache_of_compiled_code_does_not_change_the_name_of_the_package(tmp_path: Path) -> None:
    (tmp_path / "trainer").mkdir()
    (tmp_path / "trainer" / "run.py").write_text("x = 1\n", encoding="utf-8")
    excludes = runtime_env_of(tmp_path, tmp_path)["excludes"]
    before = get_uri_for_directory(str(tmp_path / "trainer"), include_gitignore=True, excludes=excludes)
    (tmp_path / "trainer" / "__pycache__").mkdir()
    (tmp_path / "trainer" / "__pycache__" / "run.pyc").write_bytes(b"compiled")
    after = get_uri_for_directory(str(tmp_path / "trainer"), include_gitignore=True, excludes=excludes)
    assert before == after


def test_too_much_source_is_one_line_that_names_the_largest_file(tmp_path: Path) -> None:
    (tmp_path / "trainer").mkdir()
    (tmp_path / "trainer" / "dump.py").write_bytes(b"#" * 30_000)
    with pytest.raises(SweepError) as caught:
        runtime_env_of(tmp_path, tmp_path, max_megabytes=0.01)
    message = str(caught.value)
    assert "0.0 MB of Python source" in message
    assert "trainer/dump.py" in message
    assert "\n" not in message


@pytest.mark.parametrize(
    ("job", "ours"),
    [("", True), ('{"runtime_env": {}}', True), ('{"runtime_env": {"working_dir": "gcs://_ray_pkg_1.zip"}}', False)],
)
def test_the_working_directory_of_a_ray_job_is_kept(tmp_path: Path, job: str, ours: bool) -> None:
    sent = runtime_env_of(tmp_path, job=job)
    assert ("working_dir" in sent) == ours
    assert len(sent["py_modules"]) == len(PACKAGES)
