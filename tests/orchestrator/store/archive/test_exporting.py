"""What an archive holds, byte by byte: compared with zipfile, hashlib and the files of the run directory."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from pathlib import Path
from zipfile import ZIP_STORED, ZipFile

import pytest

from orchestrator import api
from orchestrator.__main__ import main
from orchestrator.api import RunOptions
from orchestrator.errors import DamagedError, StoreError
from orchestrator.machine.sealed_json import seal, unseal
from orchestrator.store.archive.exporting import export_sweep
from orchestrator.store.attempt_record import Point, State
from orchestrator.store.record_store import RecordStore
from orchestrator.store.run_directory import RunDirectory
from tests.orchestrator.store.archive.conftest import contents_of
from tests.swept import FAILED_ONCE

TRIAL_FILES = {"trial.json", "points.jsonl", "attempt_001.json", "images_001.npz"}


def export(path: str = "again.zip", run_dir: str = "runs", *, weights: bool = False) -> bytes:
    """The bytes of the archive of the sweep `tiny`."""
    export_sweep(RunDirectory(run_dir), "tiny", Path(path), weights=weights)
    return Path(path).read_bytes()


def failed_trial(directory: RunDirectory) -> str:
    """The trial with two attempts."""
    runs = directory.sweep("tiny").cells
    return next(run.trial_id for run in runs if run.row != "w/o contrast" and run.seed == FAILED_ONCE)


def test_it_holds_plans_records_curves_pictures_and_code_and_nothing_else(
    place: Path, contents: dict[str, bytes]
) -> None:
    directory = RunDirectory("runs")
    failed = failed_trial(directory)
    expected = {f"trials/{key}/{name}" for key in directory.sweep("tiny").trial_ids for name in TRIAL_FILES}
    expected |= {f"trials/{failed}/attempt_002.json", f"trials/{failed}/images_002.npz"}
    expected -= {f"trials/{failed}/images_001.npz"}
    expected |= {"sweeps/tiny/sweep.json", "sweeps/tiny/plans/001.json", "sweeps/tiny/plans/002.json"}
    code = {name for name in contents if name.startswith("code/")}
    assert contents.keys() - code == expected
    assert code == {f"code/{digest}.json" for digest in directory.sweep("tiny").code[:1]}
    for name, content in contents.items():
        assert content == Path("runs", name).read_bytes(), name


def test_the_manifest_has_size_and_digest_of_each_file_and_is_sealed(place: Path) -> None:
    with ZipFile("tiny.zip") as archive:
        assert archive.namelist()[:-1] == sorted(archive.namelist()[:-1])
        assert archive.testzip() is None
        values, verified = unseal(archive.read("manifest.json"))
        assert verified
        assert {key: values[key] for key in ("made_by", "format", "sweep")} == {
            "made_by": "contrast-sweep",
            "format": 1,
            "sweep": "tiny",
        }
        listed = values["members"]
        assert [*listed, "manifest.json"] == archive.namelist()
        for name, member in listed.items():
            content = archive.read(name)
            assert member == {"size": len(content), "sha256": hashlib.sha256(content).hexdigest()}, name
        for entry in archive.infolist():
            assert (entry.compress_type, entry.date_time, entry.create_system) == (ZIP_STORED, (1980, 1, 1, 0, 0, 0), 3)
            assert (entry.comment, entry.extra, oct(entry.external_attr >> 16)) == (b"", b"", "0o100644")


def test_the_bytes_do_not_depend_on_when_and_where(place: Path) -> None:
    first = Path("tiny.zip").read_bytes()
    assert export() == first
    shutil.copytree("runs", "deeper/other/runs")
    for path in Path("deeper").rglob("*.json"):
        os.utime(path, (1e9, 1e9))
    assert export(run_dir=str(Path("deeper/other/runs").resolve())) == first
    assert str(place).encode() not in first


@pytest.mark.parametrize("kind", ["folder", "object store"])
def test_an_import_elsewhere_exports_the_same_bytes(place: Path, kind: str, request: pytest.FixtureRequest) -> None:
    elsewhere = "elsewhere" if kind == "folder" else request.getfixturevalue("memory")
    assert main(["import", "tiny.zip", "--run-dir", elsewhere]) == 0
    assert export(run_dir=elsewhere) == Path("tiny.zip").read_bytes()


def test_weights_travel_only_when_they_are_asked_for(place: Path, contents: dict[str, bytes]) -> None:
    export("heavy.zip", weights=True)
    heavy = contents_of(Path("heavy.zip"))
    weights = {name for name in heavy if name.endswith(".pt")}
    assert heavy.keys() - contents.keys() == weights
    assert weights == {f"trials/{key}/last.pt" for key in RunDirectory("runs").sweep("tiny").trial_ids}
    assert export("heavy.zip", weights=True) == Path("heavy.zip").read_bytes()


def test_what_has_not_ended_does_not_travel(place: Path, contents: dict[str, bytes]) -> None:
    """A driver that runs now has begun a third attempt, and the first one at another trial."""
    store = RecordStore("runs")
    failed = failed_trial(store)
    store.append(failed, Point(step=2, metrics={"val/miou": 0.9}, time=200.0, attempt=3))
    with (Path("runs/trials") / failed / "points.jsonl").open("ab") as file:
        file.write(b'{"step": 4, "met')  # a line that is being written
    assert export() == Path("tiny.zip").read_bytes()
    first = store.sweep("tiny").trial_ids[0]
    Path("runs/trials", first, "attempt_001.json").unlink()
    export()
    assert contents.keys() - contents_of(Path("again.zip")).keys() == {f"trials/{first}/{name}" for name in TRIAL_FILES}


def test_a_plan_travels_without_the_folders_of_its_machine(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store = RecordStore("runs")
    values, _ = unseal(Path("runs/sweeps/tiny/sweep.json").read_bytes())
    values["command"] = (
        "python -m orchestrator.sweep /home/ada/tiny.yaml --set data.root=/data/cam --run-dir /scratch/a"
    )
    values["settings"] |= {"data.root": "/data/cam", "list": ["/data/x", "y/z"]}
    store.write_as_it_is("sweeps/tiny/sweep.json", seal(values))
    plan, verified = unseal((export(), contents_of(Path("again.zip"))["sweeps/tiny/sweep.json"])[1])
    assert verified
    assert plan["command"] == "python -m orchestrator.sweep PATH/tiny.yaml --set data.root=PATH/cam"
    assert plan["settings"]["data.root"] == "PATH/cam"
    assert plan["settings"]["list"] == ["PATH/x", "y/z"]
    values["settings"] |= {"data.root": "PATH/cam", "list": ["PATH/x", "y/z"]}
    assert {**plan, "command": values["command"]} == values
    assert main(["import", "again.zip"]) == 0, "it shows the same, so the run directory keeps its own plan"
    assert unseal(Path("runs/sweeps/tiny/sweep.json").read_bytes()).values["settings"] == {
        **values["settings"],
        "data.root": "/data/cam",
        "list": ["/data/x", "y/z"],
    }


def test_a_plan_without_digest_stays_without_one(place: Path) -> None:
    values, _ = unseal(Path("runs/sweeps/tiny/sweep.json").read_bytes())
    values["settings"] |= {"data.root": "/data/cam"}
    Path("runs/sweeps/tiny/sweep.json").write_text(json.dumps(values))
    export()
    plan, verified = unseal(contents_of(Path("again.zip"))["sweeps/tiny/sweep.json"])
    assert not verified
    assert plan["settings"]["data.root"] == "PATH/cam"


@pytest.mark.parametrize("name", ["attempt_001.json", "images_001.npz", "trial.json"])
@pytest.mark.parametrize("damage", ["flipped", "missing"])
def test_damage_is_refused_and_the_earlier_archive_stays(place: Path, name: str, damage: str) -> None:
    before = Path("tiny.zip").read_bytes()
    trial_id = RunDirectory("runs").sweep("tiny").trial_ids[0]
    path = Path("runs/trials", trial_id, name)
    if damage == "missing" and name == "attempt_001.json":
        path.write_bytes(b"")
    elif damage == "missing":
        path.unlink()
    else:
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 4
        path.write_bytes(content)
    with pytest.raises(
        DamagedError, match=rf"^runs\b.*trials/{trial_id}/{name}.*; `python -m orchestrator verify`[^\n]*$"
    ):
        export("tiny.zip")
    assert Path("tiny.zip").read_bytes() == before
    assert not list(Path().glob(".*partial"))


def test_a_file_of_another_program_is_not_replaced(place: Path) -> None:
    with ZipFile("theirs.zip", "w") as archive:
        archive.writestr("manifest.json", "{}")
    Path("thesis.zip").write_text("mine")
    Path("folder.zip").mkdir()
    Path("link.zip").symlink_to("thesis.zip")
    os.mkfifo("pipe.zip")
    for name in ("theirs.zip", "thesis.zip", "folder.zip", "link.zip", "pipe.zip"):
        with pytest.raises(
            StoreError, match=rf"^{name}: there is a file that is no archive of this program; remove it"
        ):
            export(name)
    assert Path("thesis.zip").read_text() == "mine"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["tiny.yaml", "tiny.tar"], "tiny.tar: an archive is a zip file; give it a name that ends with .zip\n"),
        (["tiny.yaml", "a.zip", "--seeds", "7"], "runs: no sweep 'tiny+seeds=7'; there are: tiny. "),
        (["absent.yaml", "a.zip"], "absent.yaml: "),
        (["tiny.yaml", "tiny.yaml/a.zip"], "tiny.yaml/a.zip: cannot be written ("),
    ],
)
def test_wrong_usage_is_one_line(
    place: Path, words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["export", *words]) == 2
    printed = capsys.readouterr()
    assert printed.err.startswith(message)
    assert (printed.out, printed.err.count("\n")) == ("", 1)


def test_the_command_says_what_travels(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export", "tiny.yaml", "said.zip"]) == 0
    size, digest = Path("said.zip").stat().st_size, hashlib.sha256(Path("said.zip").read_bytes()).hexdigest()
    assert capsys.readouterr().out.splitlines() == [
        f"said.zip: tiny, 4 of 4 trials done, no checkpoints, {size / 1e6:.1f} MB",
        f"publish its SHA-256 with it, which shows that nobody has changed it: {digest}",
        "its records name the machine machine-of-somebody",
        "1 traceback in it may name folders of yours",
    ]
    assert main(["export", "tiny.yaml", "said.zip", "--weights"]) == 0
    assert ", 4 checkpoints, " in capsys.readouterr().out


def test_an_unfinished_sweep_is_exported_as_it_is(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = Path("tiny.yaml").read_text().replace("seeds: 2", "seeds: 3")
    Path("tiny.yaml").write_text(text)
    api.sweep("tiny.yaml", options=RunOptions(executor="serial", out=place / "out"))
    for run in RunDirectory("runs").sweep("tiny").cells:
        if run.seed == 2:
            shutil.rmtree(f"runs/trials/{run.trial_id}")
    assert main(["export", "tiny.yaml", "part.zip"]) == 0
    assert "part.zip: tiny, 4 of 6 trials done, 2 earlier plans, no checkpoints" in capsys.readouterr().out
    done = [
        record.state for record in RunDirectory("runs").outcomes(RunDirectory("runs").sweep("tiny").trial_ids).values()
    ]
    assert done == [State.DONE] * 4
