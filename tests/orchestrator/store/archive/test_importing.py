"""What an import writes, what it refuses, and that a kill at any moment costs nothing."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from orchestrator import api
from orchestrator.__main__ import main
from orchestrator.api import RunOptions
from orchestrator.errors import StoreError
from orchestrator.machine.sealed_json import seal, unseal
from orchestrator.store.archive.contents import read_contents
from orchestrator.store.archive.exporting import export_sweep
from orchestrator.store.archive.importing import Imported, import_sweep
from orchestrator.store.archive.reading import opened
from orchestrator.store.attempt_record import Point
from orchestrator.store.record_store import RecordStore
from orchestrator.store.run_directory import RunDirectory

Files = dict[str, bytes]
Capture = pytest.CaptureFixture[str]
DONE_FILES = 21
"""Of the archive: three plans, four trials with four files each, one of them with a second attempt; the code."""


def bring(path: str | Path = "tiny.zip", run_dir: str = "elsewhere") -> Imported:
    """Import an archive into a run directory."""
    with opened(Path(path)) as archive:
        return import_sweep(read_contents(archive), RecordStore(run_dir))


def tree(folder: str = "elsewhere") -> Files:
    """All files of a run directory but the lock."""
    paths = [path for path in Path(folder).rglob("*") if path.is_file() and path.name != "driver.lock"]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


def more_seeds(place: Path, seeds: int, run_dir: str) -> api.SweepOutcome:
    """Run the sweep with other seeds in its file."""
    text = Path("tiny.yaml").read_text()
    Path("tiny.yaml").write_text(
        "\n".join(f"seeds: {seeds}" if "seeds:" in line else line for line in text.split("\n"))
    )
    return api.sweep("tiny.yaml", options=RunOptions(executor="serial", out=place / "out", run_dir=run_dir))


def test_everything_is_written_once(place: Path, contents: Files) -> None:
    assert bring() == Imported(trials=4, new_trials=4, files=DONE_FILES, plan=True)
    assert tree() == contents
    assert bring() == Imported(trials=4, new_trials=0, files=0, plan=False)
    assert tree() == contents
    assert main(["verify", "--run-dir", "elsewhere"]) == 0


def test_where_it_came_from_nothing_is_written(place: Path) -> None:
    before = tree("runs")
    assert bring(run_dir="runs").files == 0
    assert tree("runs") == before


def test_the_sweep_is_finished_and_extended_without_training_what_is_there(place: Path) -> None:
    bring()
    outcome = api.sweep("tiny.yaml", options=RunOptions(executor="serial", out=place / "new", run_dir="elsewhere"))
    assert outcome.completed
    assert {name for name in tree() if "attempt" in name} == {name for name in tree("runs") if "attempt" in name}
    records = {name: content for name, content in tree().items() if "attempt" in name}
    extended = more_seeds(place, 3, "elsewhere")
    assert extended.completed
    later = {name: content for name, content in tree().items() if "attempt" in name}
    assert {name: later[name] for name in records} == records
    new = {name.split("/")[1] for name in later.keys() - records.keys()}
    assert new == {run.trial_id for run in extended.plan.record.cells if run.seed == 2}
    assert bring().files == 0, "the run directory has extended it since"
    assert RunDirectory("elsewhere").sweep("tiny").seeds == (0, 1, 2)


def test_a_later_archive_of_the_sweep_brings_what_is_new(place: Path) -> None:
    bring()
    more_seeds(place, 3, "runs")
    export_sweep(RunDirectory("runs"), "tiny", Path("later.zip"))
    found = bring("later.zip")
    assert (found.trials, found.new_trials, found.plan) == (6, 2, True)
    assert RunDirectory("elsewhere").sweep("tiny").seeds == (0, 1, 2)
    export_sweep(RunDirectory("elsewhere"), "tiny", Path("same.zip"))
    assert Path("same.zip").read_bytes() == Path("later.zip").read_bytes()
    assert bring("tiny.zip").files == 0, "the earlier archive has nothing new"


def test_a_trial_that_was_run_again_brings_its_later_attempts(place: Path, memory: str) -> None:
    """Also into an object store, where points are written in parts."""
    store = RecordStore("runs")
    trial_id = store.sweep("tiny").trial_ids[0]
    first = store.attempts(trial_id)[0]
    bring(run_dir=memory)
    parts = RecordStore(memory)
    content = parts.files.read(f"trials/{trial_id}/points.jsonl") or b""
    parts.files.delete(f"trials/{trial_id}/points.jsonl")
    parts.files.write(f"trials/{trial_id}/points_001_00001.jsonl", content)
    store.start(trial_id, 2, {}, time=300.0)
    values = {**first.to_json(), "attempt": 2, "files": {}}
    store.write(f"trials/{trial_id}/attempt_002.json", values)
    export_sweep(store, "tiny", Path("later.zip"))
    assert bring("later.zip", memory).files == 2
    assert list(parts.points(trial_id)) == list(store.points(trial_id))
    assert len(parts.attempts(trial_id)) == 2
    export_sweep(parts, "tiny", Path("same.zip"))
    assert Path("same.zip").read_bytes() == Path("later.zip").read_bytes()


def changes() -> Iterator[tuple[str, Callable[[RecordStore, str], None], str]]:
    """What a run directory may have instead, and what the message names."""

    def record(store: RecordStore, trial_id: str) -> None:
        values = store.attempts(trial_id)[0].to_json()
        store.write(f"trials/{trial_id}/attempt_001.json", {**values, "ended_at": 161.0})

    def points(store: RecordStore, trial_id: str) -> None:
        path = Path("elsewhere/trials") / trial_id / "points.jsonl"
        path.unlink()
        store.append(trial_id, Point(step=0, metrics={}, time=7.0))

    def plan(store: RecordStore, trial_id: str) -> None:
        shutil.rmtree("elsewhere/sweeps/tiny/plans")
        values = store.sweep("tiny").to_json()
        store.write("sweeps/tiny/sweep.json", {**values, "question": "Another one?"})

    def kept(store: RecordStore, trial_id: str) -> None:
        values = store.kept_plan("tiny", 1).to_json()
        store.write("sweeps/tiny/plans/001.json", {**values, "attempts": {}})

    yield "record", record, "trials/{}/attempt_001.json: another record than that of the archive"
    yield "points", points, "trials/{}/points.jsonl: other points than those of the archive"
    yield "plan", plan, "sweeps/tiny/sweep.json: another plan than that of the archive"
    yield "kept plan", kept, "sweeps/tiny/plans/001.json: another plan than that of the archive"


@pytest.mark.parametrize(("change", "message"), [case[1:] for case in changes()], ids=[case[0] for case in changes()])
def test_another_record_is_one_line_and_nothing_is_written(
    place: Path, change: Callable[[RecordStore, str], None], message: str, capsys: Capture
) -> None:
    bring()
    store = RecordStore("elsewhere")
    trial_id = store.sweep("tiny").trial_ids[0]
    change(store, trial_id)
    shutil.rmtree(f"elsewhere/trials/{store.sweep('tiny').trial_ids[1]}")
    before = tree()
    assert main(["import", "tiny.zip", "--run-dir", "elsewhere"]) == 2
    found = capsys.readouterr()
    assert found.err == f"elsewhere/{message.format(trial_id)}; import into another --run-dir\n"
    assert tree() == before


def test_further_conflicts_are_counted(place: Path) -> None:
    bring()
    for trial_id in RunDirectory("elsewhere").sweep("tiny").trial_ids:
        path = Path("elsewhere/trials", trial_id, "attempt_001.json")
        path.write_bytes(seal({**unseal(path.read_bytes()).values, "started_at": 1.0}))
    with pytest.raises(StoreError, match=r"another record than that of the archive \(3 more differ\); import into"):
        bring()


def test_a_damaged_file_that_a_record_names_is_restored(place: Path, contents: Files) -> None:
    bring()
    name = min(name for name in contents if name.endswith(".npz"))
    Path("elsewhere", name).write_bytes(b"damaged")
    assert bring().files == 1
    assert tree() == contents


def test_weights_are_added_and_none_is_replaced(place: Path) -> None:
    export_sweep(RunDirectory("runs"), "tiny", Path("heavy.zip"), weights=True)
    bring("tiny.zip")
    first, second = RunDirectory("elsewhere").sweep("tiny").trial_ids[:2]
    Path("elsewhere/trials", first, "last.pt").write_bytes(b"mine")
    assert bring("heavy.zip").files == 3
    assert Path("elsewhere/trials", first, "last.pt").read_bytes() == b"mine"
    assert (
        Path("elsewhere/trials", second, "last.pt").read_bytes() == Path("runs/trials", second, "last.pt").read_bytes()
    )


class Killed(BaseException):
    """What ends the process, as far as this test is concerned."""


def test_killed_at_any_write_nothing_is_half_imported(
    place: Path, contents: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = RecordStore.write_as_it_is
    for survived in (*range(0, DONE_FILES, 3), DONE_FILES - 2, DONE_FILES - 1):
        left = [survived]

        def dying(store: RecordStore, key: str, content: bytes, left: list[int] = left) -> None:
            if not left[0]:
                raise Killed
            left[0] -= 1
            write(store, key, content)

        shutil.rmtree("elsewhere", ignore_errors=True)
        monkeypatch.setattr(RecordStore, "write_as_it_is", dying)
        with pytest.raises(Killed):
            bring()
        monkeypatch.setattr(RecordStore, "write_as_it_is", write)
        directory, found = RunDirectory("elsewhere"), tree()
        assert len(found) == survived
        assert directory.sweep_names() == [], "the plan is last"
        for name in found:
            if "attempt" in name:
                trial = name.rpartition("/")[0]
                assert {f"{trial}/trial.json", f"{trial}/points.jsonl"} <= found.keys()
                record = directory.attempts(trial.split("/")[1])[0]
                assert {f"{trial}/{file}" for file in record.files} <= found.keys()
        assert bring().files == DONE_FILES - survived
        assert tree() == contents


def test_a_run_directory_in_use_is_refused(place: Path, capsys: Capture) -> None:
    with RecordStore("elsewhere").lock():
        assert main(["import", "tiny.zip", "--run-dir", "elsewhere"]) == 2
    assert capsys.readouterr().err.startswith("elsewhere: another sweep is writing here (process ")
    assert tree() == {}


def test_the_command_says_what_to_type_next(place: Path, capsys: Capture) -> None:
    assert main(["import", "tiny.zip", "--run-dir", "elsewhere"]) == 0
    table = "its table: python -m reports tiny.zip"
    extend = "extend it by seeds or rows, without training again what is there: python -m orchestrator.sweep"
    needs = "what else it needs: ./tiny_recipe.yaml"
    assert capsys.readouterr().out.splitlines() == [
        "tiny: 4 of 4 trials are new in elsewhere",
        table,
        f"{extend} tiny.yaml --run-dir elsewhere",
        needs,
    ]
    assert main(["import", "tiny.zip", "--run-dir", "elsewhere"]) == 0
    assert capsys.readouterr().out.splitlines()[0] == "tiny: elsewhere has all of it already: 4 trials"
    text = Path("tiny.yaml").read_text()
    Path("tiny.yaml").write_text(text + "# changed\n")
    assert main(["import", "tiny.zip"]) == 0
    write = "write it to a file: python -m orchestrator import tiny.zip --spec tiny.yaml"
    assert capsys.readouterr().out.splitlines()[1:] == [
        table,
        f"{extend} tiny.yaml",
        f"its search space is not the one of this name here; {write}",
        needs,
    ]
    Path("tiny.yaml").unlink()
    assert main(["import", "tiny.zip"]) == 0
    assert f"its search space is not here; {write}" in capsys.readouterr().out.splitlines()
    assert main(["import", "tiny.zip", "--spec", "spaces/mine.yaml"]) == 0
    assert capsys.readouterr().out.splitlines()[1:] == [table, f"{extend} spaces/mine.yaml", needs]
    assert Path("spaces/mine.yaml").read_text() == text


def test_another_file_is_not_replaced_by_the_search_space(place: Path, capsys: Capture) -> None:
    Path("mine.yaml").write_text("thesis")
    assert main(["import", "tiny.zip", "--run-dir", "elsewhere", "--spec", "mine.yaml"]) == 2
    assert capsys.readouterr().err == "--spec mine.yaml: there is another file; remove it, or name another one\n"
    assert Path("mine.yaml").read_text() == "thesis"
    assert not Path("elsewhere").exists()


def test_only_the_command_of_a_sweep_is_shown(
    place: Path, contents: Files, forge: Callable[..., Path], capsys: Capture
) -> None:
    key = "sweeps/tiny/sweep.json"
    left = {name: content for name, content in contents.items() if "/plans/" not in name}
    commands = {
        "python -m orchestrator.sweep a.yaml --recipe b": "python -m orchestrator.sweep a.yaml --recipe b",
        "rm -rf ~": "python -m orchestrator.sweep tiny.yaml",
        "python -m orchestrator.sweep 'a": "python -m orchestrator.sweep tiny.yaml",
        "": "python -m orchestrator.sweep tiny.yaml",
    }
    for number, (command, shown) in enumerate(commands.items()):
        plan = {**unseal(contents[key]).values, "command": command}
        assert main(["import", str(forge({**left, key: seal(plan)})), "--run-dir", f"elsewhere{number}"]) == 0
        assert f": {shown} --run-dir elsewhere{number}\n" in capsys.readouterr().out


def test_a_sweep_of_several_files_names_them(
    place: Path, contents: Files, forge: Callable[..., Path], capsys: Capture
) -> None:
    key = "sweeps/tiny/sweep.json"
    text = "extends: base.yaml\nplugins: [my_sampler.py]\nworkload: my_trainer.py\nrecipe: synthetic\n"
    text += "# extended:\n# name: x\n"
    plan = {**unseal(contents[key]).values, "spec": text}
    left = {name: content for name, content in contents.items() if "/plans/" not in name}
    path = forge({**left, key: seal(plan)})
    assert main(["import", str(path), "--run-dir", "elsewhere", "--spec", "own.yaml"]) == 0
    assert "what else it needs: base.yaml, my_sampler.py, my_trainer.py\n" in capsys.readouterr().out
    assert Path("own.yaml").read_text() == text.partition("# extended")[0]


def test_records_are_json_as_they_were(place: Path, contents: Files) -> None:
    """A formatted file has the same values, and is no conflict."""
    bring()
    name = min(name for name in contents if name.endswith("attempt_001.json"))
    Path("elsewhere", name).write_text(json.dumps(json.loads(contents[name])))
    assert bring().files == 0
