"""The verifier finds each kind of defect, planted into what a real sweep has left."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from orchestrator.machine.own_folder import MARK as OWN_MARK
from orchestrator.sweep import main as sweep
from tests.chaos.disturbed_sweep import SweepOnDisk
from tests.chaos.evidence import is_sealed, read_plan
from tests.chaos.processes import MARK, of_kind, processes_of
from tests.chaos.verifier import Excuses, Remains, verify
from tests.end_to_end.conftest import write_tiny


@pytest.fixture(scope="module")
def calm(tmp_path_factory: pytest.TempPathFactory, migrated: Path) -> Path:
    """Folder of a sweep of two trials that nothing has disturbed."""
    folder = tmp_path_factory.mktemp("calm")
    write_tiny(folder)
    shutil.copy(migrated, folder / "mlflow.db")
    where = ("--tracking-uri", "sqlite:///mlflow.db", "--out", "out")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr("reports.figures.choose.choose", lambda *given, **named: {})
        assert sweep(["tiny.yaml", "--name", "tiny", "--seeds", "1", "--executor", "serial", *where]) == 0
    with closing(sqlite3.connect(folder / "mlflow.db")) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return folder


@pytest.fixture
def disturbed(calm: Path, tmp_path: Path) -> Path:
    """A copy, to be damaged."""
    shutil.copytree(calm, tmp_path / "disturbed")
    return tmp_path / "disturbed"


def remains(folder: Path) -> Remains:
    """What is in a folder."""
    return Remains(run_dir=folder / "runs", database=folder / "mlflow.db", out=folder / "out", name="tiny")


def trial(folder: Path) -> Path:
    """Folder of the first planned trial."""
    return folder / "runs" / "trials" / read_plan(folder / "runs", "tiny")[0].trial_id


def write_line(values: dict[str, object]) -> bytes:
    """A line of points with its checksum."""
    body = json.dumps(values).encode()[:-1]
    return body + f', "check": "{zlib.crc32(body):08x}"}}\n'.encode()


def as_attempt(line: bytes, number: int) -> bytes:
    """The same point of another attempt."""
    values = json.loads(line)
    del values["check"]
    return write_line({**values, "attempt": number})


def edit_points(folder: Path, edit: Callable[[list[bytes]], list[bytes]]) -> None:
    """Change the lines of the first trial's points."""
    path = trial(folder) / "points.jsonl"
    path.write_bytes(b"".join(edit(path.read_bytes().splitlines(keepends=True))))


def edit_line(folder: Path, edit: Callable[[dict[str, object]], object]) -> None:
    """Change the last line of the first trial's points, with a checksum that matches."""

    def change(lines: list[bytes]) -> list[bytes]:
        values = json.loads(lines[-1])
        del values["check"]
        edit(values)
        return [*lines[:-1], write_line(values)]

    edit_points(folder, change)


def query(folder: Path, text: str) -> None:
    """Change MLflow's database; OF_TRIAL stands for a condition that is true of one trial's run."""
    text = text.replace(
        "OF_TRIAL", "run_uuid IN (SELECT run_uuid FROM runs WHERE name LIKE '%w/o%' AND run_uuid != 'other')"
    )
    with closing(sqlite3.connect(folder / "mlflow.db")) as connection, connection:
        changed = connection.execute(text).rowcount
        assert changed, text


def double_record(folder: Path) -> None:
    """A second record that is done."""
    values = json.loads((trial(folder) / "attempt_001.json").read_text())
    del values["digest"]
    values["attempt"] = 2
    write_record(trial(folder) / "attempt_002.json", values)


def write_record(path: Path, values: dict[str, object]) -> None:
    """A record with its digest."""
    text = json.dumps(values, sort_keys=True, separators=(",", ":"))
    path.write_text(json.dumps({**values, "digest": f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"}))


def change_figure(folder: Path) -> None:
    """The last bit of a final figure, with a digest that matches."""
    path = trial(folder) / "attempt_001.json"
    values = json.loads(path.read_text())
    del values["digest"]
    values["metrics"]["final/pixel_accuracy"] += 2.0**-53
    write_record(path, values)


def flip_weight(folder: Path) -> None:
    """One bit of one tensor; the archive is otherwise whole."""
    path = trial(folder) / "last.pt"
    with zipfile.ZipFile(path) as archive:
        members = {info.filename: archive.read(info) for info in archive.infolist()}
    name = max(members, key=lambda item: len(members[item]))
    members[name] = bytes([members[name][0] ^ 1]) + members[name][1:]
    with zipfile.ZipFile(path, "w") as archive:
        for item, content in members.items():
            archive.writestr(item, content)


def cut_record(folder: Path) -> None:
    """A record that is cut short."""
    path = trial(folder) / "attempt_001.json"
    path.write_bytes(path.read_bytes()[:-20])


def change_table(folder: Path) -> None:
    """Another digit in a cell."""
    path = folder / "out" / "tiny" / "table.csv"
    lines = path.read_text().splitlines()
    cells = lines[1].split(",")
    cells[3] = f"{float(cells[3]) + 1e-6}"
    path.write_text("\n".join([lines[0], ",".join(cells), *lines[2:]]) + "\n")


def add_run(folder: Path) -> None:
    """A second MLflow run of a trial, with all that the first has."""
    with closing(sqlite3.connect(folder / "mlflow.db")) as connection:
        tables = ("runs", "tags", "metrics")
        names = {table: [row[1] for row in connection.execute(f"PRAGMA table_info({table})")] for table in tables}
    for table, columns in names.items():
        listed = ", ".join(columns)
        values = ", ".join("'other'" if column == "run_uuid" else column for column in columns)
        query(folder, f"INSERT INTO {table} ({listed}) SELECT {values} FROM {table} WHERE OF_TRIAL")  # noqa: S608


DEFECTS: dict[str, tuple[Callable[[Path], object], str]] = {
    "a trial without folder": (lambda folder: shutil.rmtree(trial(folder)), "lost trial"),
    "a trial without record": (
        lambda folder: (trial(folder) / "attempt_001.json").unlink(),
        "lost trial, open attempt",
    ),
    "a second record that is done": (double_record, "doubled trial"),
    "a cut record": (cut_record, "damaged record, lost trial"),
    "a figure with another last bit": (change_figure, "differing bits"),
    "a doubled point": (lambda folder: edit_points(folder, lambda lines: [*lines, lines[-1]]), "doubled point"),
    "a missing point": (lambda folder: edit_points(folder, lambda lines: lines[:-1]), "missing point"),
    "a cut point": (
        lambda folder: edit_points(folder, lambda lines: [*lines[:-1], lines[-1][:-9]]),
        "damaged point, missing point",
    ),
    "a point with another last bit": (
        lambda folder: edit_line(
            folder, lambda values: values["metrics"].update({"val/miou": values["metrics"]["val/miou"] + 2.0**-53})
        ),
        "differing bits",
    ),
    "a point of a step that does not exist": (
        lambda folder: edit_line(folder, lambda values: values.update(step=values["step"] + 1)),
        "extra point, missing point",
    ),
    "points of an attempt without record": (
        lambda folder: edit_points(folder, lambda lines: [*lines, as_attempt(lines[-1], 2)]),
        "open attempt",
    ),
    "a flipped bit in a weight": (flip_weight, "differing bits"),
    "no weights": (lambda folder: (trial(folder) / "last.pt").unlink(), "differing bits"),
    "a run that is RUNNING": (
        lambda folder: query(folder, "UPDATE runs SET status = 'RUNNING' WHERE OF_TRIAL"),
        "open run",
    ),
    "a sweep that is RUNNING": (
        lambda folder: query(folder, "UPDATE runs SET status = 'RUNNING' WHERE name = 'tiny'"),
        "open run",
    ),
    "a run that was KILLED": (
        lambda folder: query(folder, "UPDATE runs SET status = 'KILLED' WHERE OF_TRIAL"),
        "wrong status",
    ),
    "a run that is missing": (
        lambda folder: query(folder, "UPDATE runs SET lifecycle_stage = 'deleted' WHERE OF_TRIAL"),
        "missing run",
    ),
    "a second run of a trial": (add_run, "doubled run"),
    "a second run of the sweep": (
        lambda folder: query(folder, "UPDATE tags SET value = 'sweep' WHERE key = 'role' AND OF_TRIAL"),
        "doubled run, missing run",
    ),
    "a run that is superseded, and no other": (
        lambda folder: query(folder, "UPDATE tags SET value = 'superseded' WHERE key = 'role' AND OF_TRIAL"),
        "doubled run, missing run",
    ),
    "a point that MLflow has twice": (
        lambda folder: query(
            folder,
            "INSERT INTO metrics (key, value, timestamp, run_uuid, step, is_nan) SELECT key, value, timestamp + 1, "
            "run_uuid, step, is_nan FROM metrics WHERE key = 'cost/step_ms' AND OF_TRIAL",
        ),
        "doubled point",
    ),
    "a point that MLflow lacks": (
        lambda folder: query(folder, "DELETE FROM metrics WHERE key = 'val/miou' AND OF_TRIAL"),
        "missing point",
    ),
    "a point that MLflow has with another last bit": (
        lambda folder: query(
            folder, "UPDATE metrics SET value = value + 1.2e-16 WHERE key = 'final/pixel_accuracy' AND OF_TRIAL"
        ),
        "differing bits",
    ),
    "a table that is missing": (lambda folder: (folder / "out" / "tiny" / "table.csv").unlink(), "differing table"),
    "a table with another digit": (change_table, "differing table"),
}
"""How each defect is planted, and the kinds of findings that it must give."""


def test_nothing_is_found_where_nothing_is_wrong(calm: Path, disturbed: Path) -> None:
    assert verify(remains(disturbed), remains(calm)) == []
    records = list(calm.glob("runs/trials/*/attempt_*.json"))
    assert len(records) == 2
    assert all(is_sealed(json.loads(path.read_text())) for path in records)


@pytest.mark.parametrize("defect", DEFECTS)
def test_each_defect_is_found(defect: str, calm: Path, disturbed: Path) -> None:
    plant, kinds = DEFECTS[defect]
    plant(disturbed)
    findings = verify(remains(disturbed), remains(calm))
    assert {finding.kind for finding in findings} == set(kinds.split(", ")), findings


def test_what_the_job_damaged_itself_is_excused(calm: Path, disturbed: Path) -> None:
    edit_points(disturbed, lambda lines: [*lines[:-1], lines[-1][:-9]])
    last = json.loads((trial(calm) / "points.jsonl").read_bytes().splitlines()[-1])
    name = trial(calm).name
    excuses = Excuses(steps={(name, last["step"])}, lines=Counter({name: 1}))
    assert verify(remains(disturbed), remains(calm), excuses) == []


def test_a_process_that_is_left_is_found_by_its_mark_and_by_its_files(tmp_path: Path) -> None:
    sleep = [sys.executable, "-c", "import sys; print(flush=True); sys.stdin.read()"]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    marked = subprocess.Popen(sleep, env={**os.environ, MARK: "left"}, **pipes)
    working = subprocess.Popen(sleep, cwd=tmp_path, **pipes)
    try:
        for process in (marked, working):
            assert process.stdout is not None
            process.stdout.readline()  # it runs Python now
        assert set(processes_of("left", tmp_path)) == {marked.pid, working.pid}
        assert processes_of("another", tmp_path / "another") == {}
    finally:
        for process in (marked, working):
            process.communicate()
    assert processes_of("left", tmp_path) == {}


def test_processes_are_told_apart_by_their_command_lines() -> None:
    lines = {
        1: "/x/python -m orchestrator.sweep tiny.yaml --name tiny",
        2: "/x/python -P -c import gc; ...; from orchestrator.tracking.follower_process import main; main()",
        3: "/x/ray/core/src/ray/raylet/raylet --raylet_socket_name=...",
        4: "/x/ray/core/src/ray/gcs/gcs_server --log_dir=...",
        5: "ray::RuntimeEnvAgent",
        6: "ray::ImplicitFunc.train",
        7: "ray::IDLE",
        8: "/x/python -c import sys; from orchestrator.running.executors.child import main; main(8, 123)<python>",
        9: "/x/python -c import sys; from orchestrator.running.fork_server.server import main; ...<fork-server>",
        10: "/x/python -c import sys; from orchestrator.running.fork_server.server import main; ...<trial 2a3525d>",
    }
    kinds = ("driver", "mirror", "raylet", "gcs", "agent", "worker", "executor", "fork-server", "trial")
    assert [of_kind(kind, lines) for kind in kinds] == [[1], [2], [3], [4], [5], [6], [8], [9], [10]]


def test_a_temporary_folder_that_is_left_is_found(tmp_path: Path) -> None:
    sweep = SweepOnDisk(tmp_path / "sweep", "mark", values={}, seeds=1, more_seeds=1)
    for name in ("tune", f"contrast-{os.geteuid()}/ray-x", "contrast-sweep-cache-1", "torchinductor_me"):
        (tmp_path / "sweep" / "tmp" / name).mkdir(parents=True)
    (tmp_path / "sweep" / "tmp" / f"contrast-{os.geteuid()}" / OWN_MARK).write_text("")
    sweep.ray.joinpath("ray-y").mkdir()
    assert sweep.left_folders() == ["ray-x", "ray-y", "tune"]
