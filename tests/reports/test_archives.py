"""Tables from an archive alone are those of its run directory, and each published table is that of its archive."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

import reports
from orchestrator.__main__ import main as orchestrator
from orchestrator.errors import StoreError
from orchestrator.machine.sealed_json import seal, unseal
from orchestrator.store.archive.contents import read_contents
from orchestrator.store.archive.exporting import export_sweep
from orchestrator.store.archive.reading import opened
from orchestrator.store.run_directory import RunDirectory
from orchestrator.workload.loading import built_in
from reports.__main__ import main as report
from reports.render import STYLES
from reports.sources.archive import load_archive
from reports.write import make_table, write_reports
from tests.swept import copied, sweep_and_export

RESULTS = Path(__file__).resolve().parents[2] / "reports" / "results"
REBUILT = [name for name in STYLES if name != "html"]
"""Styles whose files depend on the results and on our code alone; a page has figures of matplotlib."""
Capture = pytest.CaptureFixture[str]


def rebuild(archive_path: Path, out: Path) -> dict[str, bytes]:
    """The table files that an archive gives, by name."""
    with opened(archive_path) as archive:
        loaded = load_archive(archive)
        table = make_table(loaded.results, directory=loaded.directory)
    paths = write_reports(loaded.results, out, REBUILT, table=table)
    return {path.name: path.read_bytes() for path in paths.values()}


def differing(archive_path: Path, out: Path) -> list[str]:
    """Table files beside an archive that it does not give; `no table` if there is none."""
    rebuilt = rebuild(archive_path, out)
    beside = {path.name: path.read_bytes() for path in archive_path.parent.iterdir() if path.name in rebuilt}
    if "table.md" not in beside:
        return ["no table"]
    return sorted(name for name, content in beside.items() if content != rebuilt[name])


def other_code(archive_path: Path) -> list[str]:
    """Trials of an archive whose result is of other code of the trainer than the present, or of code equal to it."""
    present = set(built_in().code.digests())
    with opened(archive_path) as archive:
        directory = read_contents(archive).directory
        outcomes = directory.results(archive.manifest.sweep).outcomes
    return sorted(key for key, record in outcomes.items() if not present.issuperset(record.code.split("+")))


def published(results: Path = RESULTS) -> list[Path]:
    """The archives that are published with their tables."""
    return sorted(results.glob("*/*.zip"))


def faults(results: Path, out: Path) -> dict[str, list[str]]:
    """What is wrong with published archives, by their paths below `results`."""
    found = {}
    for path in published(results):
        wrong = [*differing(path, out / path.stem), *other_code(path)]
        found.update({path.relative_to(results).as_posix(): wrong} if wrong else {})
    return found


def test_every_published_table_is_that_of_its_archive_and_of_the_present_code(tmp_path: Path) -> None:
    assert faults(RESULTS, tmp_path) == {}


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a finished sweep and its archive."""
    folder = tmp_path_factory.mktemp("swept")
    sweep_and_export(folder)
    return folder


@pytest.fixture
def place(swept: Path, tmp_path: Path) -> Iterator[Path]:
    """A copy of it as the current folder."""
    with copied(swept, tmp_path) as folder:
        yield folder


@pytest.fixture
def results(place: Path) -> Path:
    """A folder of published results with one archive and its tables."""
    folder = place / "results" / "tiny"
    folder.mkdir(parents=True)
    shutil.copy("tiny.zip", folder)
    for path in (place / "out" / "tiny").iterdir():
        if path.is_file():
            shutil.copy(path, folder)
    return place / "results"


def test_the_check_of_published_results_accepts_what_belongs_together(results: Path, tmp_path: Path) -> None:
    assert [path.name for path in published(results)] == ["tiny.zip"]
    assert faults(results, tmp_path / "again") == {}
    assert {"table.md", "table.tex", "table.csv"} <= rebuild(results / "tiny/tiny.zip", tmp_path / "once").keys()


@pytest.mark.parametrize("name", ["table.md", "table.tex", "table.csv"])
def test_a_published_table_that_was_edited_is_named(results: Path, tmp_path: Path, name: str) -> None:
    path = results / "tiny" / name
    path.write_bytes(path.read_bytes().replace(b"5", b"6", 1))
    assert faults(results, tmp_path / "again") == {"tiny/tiny.zip": [name]}
    (results / "tiny" / "table.md").unlink()
    assert faults(results, tmp_path / "again") == {"tiny/tiny.zip": ["no table"]}


def test_published_results_of_other_code_are_named(results: Path, tmp_path: Path, place: Path) -> None:
    trial_id = RunDirectory("runs").sweep("tiny").trial_ids[0]
    path = Path("runs/trials", trial_id, "attempt_001.json")
    values = unseal(path.read_bytes()).values
    values["environment"]["code"] = "0123456789ab"
    path.write_bytes(seal(values))
    export_sweep(RunDirectory("runs"), "tiny", results / "tiny" / "tiny.zip")
    assert trial_id in faults(results, tmp_path / "again")["tiny/tiny.zip"]


def content_of(folder: Path) -> dict[str, bytes]:
    """Every file of a folder."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_all_files_are_those_of_the_run_directory(place: Path, capsys: Capture) -> None:
    """Tables, the page with its pictures, runs.parquet, also of an earlier plan, and what is printed."""
    for words in ([], ["--plan", "1"]):
        code = report(["tiny.yaml", "--out", "here", *words])
        printed = capsys.readouterr().out
        shutil.move("tiny.yaml", "gone.yaml")
        shutil.move("runs", "gone")
        assert report(["tiny.zip", "--out", "there", *words]) == code
        assert capsys.readouterr().out == printed.replace("here/", "there/")
        shutil.move("gone", "runs")
        shutil.move("gone.yaml", "tiny.yaml")
    here, there = content_of(Path("here")), content_of(Path("there"))
    assert sorted(name for name in here if here[name] != there.get(name)) == []
    assert here.keys() == there.keys()
    names = {name.removeprefix("tiny/") for name in here}
    assert {"table.md", "table.tex", "table.csv", "table.html", "runs.parquet", "plan_1/table.csv"} <= names
    page = here["tiny/table.html"].decode()
    assert "data:image/png;base64," in page
    assert "Other test images would also move the differences" in page, "the counts per image are used"
    assert "4 of 4 records verified" in page


def test_a_cell_is_traced_in_an_archive(place: Path, capsys: Capture) -> None:
    words = ["pixel + region memory", "mIoU"]
    assert report(["trace", "tiny.yaml", *words]) == 0
    expected = capsys.readouterr().out
    assert report(["trace", "tiny.zip", *words]) == 0
    assert capsys.readouterr().out == expected


def test_an_archive_stands_beside_other_sweeps(place: Path, capsys: Capture) -> None:
    assert report(["tiny.zip", "tiny.yaml", "--out", "both", "--style", "csv"]) == 0
    assert "tables: both/tiny/table.csv" in capsys.readouterr().out
    assert report(["tiny.zip", "--paper", "paper"]) == 0
    assert (place / "paper/tables/tiny.tex").read_bytes() == (place / "out/tiny/table.tex").read_bytes()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--seeds", "3"], "--seeds: tiny.zip holds one sweep, with all its results; leave this option out\n"),
        (["--set", "a=b"], "--set: tiny.zip holds one sweep"),
        (["--from", "mlflow"], "--from: tiny.zip holds one sweep"),
        (["--plan", "9"], "tiny.zip: no plan 9 of the sweep 'tiny'; choose 1, 2\n"),
        (["--style", "word"], "--style word: no such style; choose markdown, "),
    ],
)
def test_options_that_an_archive_does_not_take_are_one_line(
    place: Path, words: list[str], message: str, capsys: Capture
) -> None:
    assert report(["tiny.zip", *words]) == 2
    printed = capsys.readouterr()
    assert printed.err.startswith(message)
    assert (printed.out, printed.err.count("\n")) == ("", 1)


def test_notebooks_read_archives(place: Path) -> None:
    assert reports.frame("tiny.zip").equals(reports.frame("tiny"))
    assert reports.runs(Path("tiny.zip")).equals(reports.runs("tiny"))
    assert reports.styled("tiny.zip").to_html(uuid="a") == reports.styled("tiny").to_html(uuid="a")
    with pytest.raises(StoreError, match=r"^absent\.zip: cannot be read \(No such file or directory\); name a file"):
        reports.frame("absent.zip")


def test_a_style_of_a_plugin_that_is_not_at_hand_is_named_and_the_others_are_written(
    place: Path, capsys: Capture
) -> None:
    path = Path("runs/sweeps/tiny/sweep.json")
    values = unseal(path.read_bytes()).values
    values["table"]["styles"] = ["csv", "fancy"]
    path.write_bytes(seal(values))
    assert orchestrator(["export", "tiny.yaml", "fancy.zip"]) == 0
    capsys.readouterr()
    assert report(["fancy.zip", "--out", "plain"]) == 0
    assert "tiny: the table style fancy is of a plugin that is not named any more" in capsys.readouterr().err
    assert {path.name for path in Path("plain/tiny").iterdir()} == {"table.md", "table.csv"}
