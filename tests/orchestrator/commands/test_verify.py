"""A finished run directory with damage: no wrong value, no traceback, and `verify` names it."""

import json
import os
import random
import shutil
from collections import Counter
from contextlib import suppress
from pathlib import Path

import pytest

from orchestrator import api
from orchestrator.__main__ import main
from orchestrator.api import RunOptions, SweepOutcome
from orchestrator.commands.reasons import finished_identities
from orchestrator.commands.status import read_status
from orchestrator.commands.status_text import NextCommands, status_as_text
from orchestrator.commands.verify import verify, verify_picture
from orchestrator.errors import StoreError
from orchestrator.machine.sealed_json import seal, unseal
from orchestrator.store import parquet_cache
from orchestrator.store.attempt_record import State
from orchestrator.store.cleanup import unneeded_files, unreferenced_trials
from orchestrator.store.image_counts import read_pictures
from orchestrator.store.record_store import RecordStore
from orchestrator.store.run_directory import RunDirectory
from orchestrator.sweep import main as sweep_main
from reports.__main__ import main as report
from reports.render.markdown import render_markdown
from reports.tables.aggregate import Gap
from reports.tables.table import Table
from reports.write import make_table
from tests.end_to_end.conftest import write_tiny
from tests.orchestrator.conftest import log_and_draw_nothing

FLIPS = int(os.environ.get("BIT_FLIPS", "150"))
"""1,000 take two minutes."""


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, SweepOutcome]:
    """A folder in which a sweep of two rows and two seeds has really been trained, and its outcome."""
    folder = tmp_path_factory.mktemp("finished")
    write_tiny(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        log_and_draw_nothing(patch)
        outcome = api.sweep("tiny.yaml", options=RunOptions(executor="serial", out=folder / "out"))
    assert outcome.completed
    return folder, outcome


@pytest.fixture
def place(finished: tuple[Path, SweepOutcome], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of that folder as the current one; nothing goes to MLflow, and no figure is drawn."""
    shutil.copytree(finished[0], tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    log_and_draw_nothing(monkeypatch)
    return tmp_path


def values_of(table: Table) -> dict[tuple[str, int, int], float | Gap]:
    """By row, place of the column and seed, the value or why there is none."""
    return {
        (row, place, seed): value
        for row, cells in table.cells.items()
        for place, cell in enumerate(cells)
        for seed, value in (*cell.values.items(), *cell.gaps.items())
    }


def test_random_flipped_bits_give_no_wrong_table_and_no_traceback(
    place: Path, finished: tuple[Path, SweepOutcome], monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = RunDirectory("runs")
    expected = values_of(make_table(directory.results("tiny")))
    text = render_markdown(make_table(directory.results("tiny")))
    assert len(expected) >= 4
    assert verify(directory, ["tiny"], everything=True, deep=True).damaged == []
    files = sorted(path for path in Path("runs").rglob("*") if path.is_file())
    assert {path.suffix for path in files} >= {".json", ".jsonl", ".pt", ".npz", ".parquet"}
    rng = random.Random(0)
    unnamed: Counter[str] = Counter()
    for number in range(FLIPS):
        monkeypatch.setattr(parquet_cache, "FEW", {False: rng.choice((0, 1000)), True: 0})
        path = rng.choice([path for path in files if path.stat().st_size])
        content, times = path.read_bytes(), path.stat()
        bit = rng.randrange(8 * len(content))
        changed = bytearray(content)
        changed[bit // 8] ^= 1 << bit % 8
        path.write_bytes(changed)
        if number % 2:  # as a disk does it
            os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
        where = f"bit {bit} of {path}"
        try:
            table = make_table(directory.results("tiny"))
        except StoreError as error:
            message = str(error)
            assert path.name == "sweep.json", where
            assert "\n" not in message, where
        else:
            wrong = {key: value for key, value in values_of(table).items() if value not in (expected[key], Gap.DAMAGED)}
            assert wrong == {}, where
            if Gap.DAMAGED in values_of(table).values():
                assert any(str(path.relative_to("runs")) in note.text for note in table.notes), where
            else:
                assert render_markdown(table) == text, where
            assert status_as_text(read_status(directory, "tiny", 0.0), NextCommands(sweep="", reports="", ui=""))
            with suppress(StoreError):
                assert unreferenced_trials(directory) == [], where
            finished_identities(directory)
            unneeded_files(directory, directory.files.names("trials"))
        found = verify(directory, ["tiny"], everything=True, deep=True)
        if not found.damaged:
            assert path.suffix not in (".pt", ".npz"), where
            assert path.suffix != ".json" or unseal(bytes(changed)) == unseal(content), where
            unnamed[path.suffix] += 1
        path.write_bytes(content)
        os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert unnamed.total() < 0.1 * FLIPS, "an e that becomes an E, the end of a curve, the metadata of a cache"
    print(f"{FLIPS} flips, without a name in verify: {dict(unnamed)}")  # noqa: T201 - for who runs it with more flips


def test_verify_counts_what_is_intact(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", "--deep"]) == 0
    lines = capsys.readouterr().out.splitlines()
    counts = {kind.strip(): int(count) for kind, _, count in (line.rpartition(" ") for line in lines[3:])}
    assert lines[0] == f"0 damaged, {sum(counts.values())} verified"
    assert lines[2].split() == ["kind", "verified"], "nothing is unverified"
    assert counts.items() >= {"plans": 2, "trial files": 4, "records": 4}.items()
    assert counts["checkpoints"] >= 4
    assert main(["verify", "tiny.yaml"]) == 0
    assert "checkpoints" not in capsys.readouterr().out
    Path("other.yaml").write_text("name: other\nrecipe: synthetic\n", encoding="utf-8")
    assert main(["verify", "other.yaml"]) == 2
    assert capsys.readouterr().err.startswith("runs: no sweep 'other'; there are: tiny")


def test_a_finished_trial_is_five_files(finished: tuple[Path, SweepOutcome]) -> None:
    """Ten once: 900,000 for 100,000 trials."""
    folder, outcome = finished
    for trial_id, record in outcome.outcomes.items():
        home = RunDirectory(folder / "runs").trial_folder(trial_id)
        names = sorted(path.relative_to(home).as_posix() for path in home.rglob("*"))
        assert names == ["attempt_001.json", "images_001.npz", "last.pt", "points.jsonl", "trial.json"]
        pictures = read_pictures(RunDirectory(folder / "runs"), record)
        assert set(pictures) == {"confusion.png", "embedding.png", "sheet.png"}
        for picture in pictures.values():
            verify_picture(picture)


def test_verify_names_every_kind_of_damage(
    place: Path, finished: tuple[Path, SweepOutcome], capsys: pytest.CaptureFixture[str]
) -> None:
    first, second, third, fourth = (RunDirectory("runs").trial_folder(key) for key in finished[1].outcomes)
    shutil.copy(first / "attempt_001.json", second / "attempt_001.json")
    facts = unseal((third / "trial.json").read_bytes()).values
    facts["config"]["optim.lr"] = 7.0  # with a new digest: the id is still that of another configuration
    (third / "trial.json").write_bytes(seal(facts))
    points = (third / "points.jsonl").read_bytes().splitlines(keepends=True)
    (third / "points.jsonl").write_bytes(b"".join([points[0].replace(b'"step": 0', b'"step": 7'), *points[1:]]))
    (fourth / "trial.json").unlink()
    pictures = fourth / "images_001.npz"
    pictures.write_bytes(pictures.read_bytes()[:-20])
    weights = fourth / "last.pt"
    weights.write_bytes(weights.read_bytes()[:-1])
    assert main(["verify", "tiny.yaml", "--deep"]) == 1
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("damaged: ")]
    for expected in (
        f"{second.name}/attempt_001.json: damaged record (it is the record of trial {first.name}, attempt 1)",
        f"{third.name}/trial.json: its configuration is that of trial ",
        f"{third.name}/points.jsonl:1: it does not match its checksum",
        f"{fourth.name}/trial.json: missing, so it is unknown what the trial computed",
        f"{fourth.name}/images_001.npz: its content does not match the digest in its record",
        f"{fourth.name}/last.pt: cut short, or its end is damaged",
    ):
        assert sum(expected in line for line in lines) == 1, expected
    assert len(lines) == 6


@pytest.mark.timeout(120)
def test_a_damaged_record_is_one_line_in_every_command_and_its_trial_runs_again(
    place: Path, finished: tuple[Path, SweepOutcome], capsys: pytest.CaptureFixture[str]
) -> None:
    trial_id = list(finished[1].outcomes)[-1]
    path = RunDirectory("runs").trial_folder(trial_id) / "attempt_001.json"
    path.unlink()
    os.mkfifo(path)
    line = f"trials/{trial_id}/attempt_001.json: damaged record (a pipe instead of a file)"
    assert main(["status", "tiny.yaml"]) == 1
    assert f"[{trial_id}]: {line}" in capsys.readouterr().out
    assert main(["status", "tiny.yaml", "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["damaged"] == {trial_id: line}
    assert main(["why", "tiny.yaml"]) == 0
    assert line in capsys.readouterr().out
    assert main(["verify"]) == 1
    assert line in capsys.readouterr().out
    assert main(["clean"]) == 0
    assert trial_id not in capsys.readouterr().out
    assert report(["tiny.yaml", "--style", "markdown", "--out", "again"]) == 1
    assert f"3 of 4 records verified; not used: {line}." in capsys.readouterr().out
    assert sweep_main(["tiny.yaml", "--dry-run"]) == 0
    assert f"[{trial_id}]: {line}" in capsys.readouterr().out
    before = finished[1].outcomes[trial_id].metrics
    assert sweep_main(["tiny.yaml", "--executor", "serial", "--out", "out"]) == 0
    told = capsys.readouterr().out
    assert f"[{trial_id}]: {line}; it runs again" in told
    assert "4 of 4 records verified." in told
    (again,) = RecordStore("runs").outcomes([trial_id]).values()
    assert (again.state, again.attempt) == (State.DONE, 2)
    assert again.metrics["final/miou"] == before["final/miou"], "from its last checkpoint, on this machine"
