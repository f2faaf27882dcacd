"""Whatever users do, every earlier table can be rebuilt byte for byte: random sequences of commands and edits.

The commands are the real ones, in this process, and so are the files. Only the training is replaced: an attempt takes
no time, its figures are random, and it fails at random.
"""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from orchestrator import api, sweep
from orchestrator.__main__ import main as orchestrator
from orchestrator.running.task import Task
from orchestrator.store.attempt_record import AttemptRecord, ErrorRecord, Point, State
from orchestrator.store.run_directory import KeptDirectory, RunDirectory
from orchestrator.store.sweep_results import SweepResults
from orchestrator.tracking.console import ConsoleTracker
from reports.render import STYLES
from reports.write import Reports, write_reports
from tests.orchestrator.conftest import log_and_draw_nothing
from tests.orchestrator.planning.test_naming import make_folder

SEQUENCES = int(os.environ.get("TABLE_SEQUENCES", "30"))
BATCHES = 10
COMMANDS = 6
"""Of each sequence, besides edits of the files."""

SPACE = """
name: tiny
question: {question}
recipe: ./recipe.yaml
method: ablation
metric: {{name: final/miou, goal: maximize}}
seeds: {seeds}
baseline: without
rows:
  without: {{contrast.source: none}}
{rows}"""
ROWS = {
    "pixel": "{contrast.memory.kind: pixel}",
    "region": "{contrast.memory.kind: region}",
    "cold": "{contrast.temperature: 0.05}",
}
RECIPE = """
data: {{name: folder, root: {root}, crop: [32, 32]}}
schedule: {{steps: {steps}, batch_size: 2}}
"""

Rendered = dict[str, bytes]


class User:
    """Draws commands and edits, and remembers every table."""

    def __init__(self, draw: random.Random, home: Path) -> None:
        self.draw = draw
        self.home = home
        self.tables: dict[tuple[str, int], Rendered] = {}
        """By sweep and number of the plan."""
        self.steps, self.root, self.seeds = 8, "cats", 2
        self.question, self.rows = "Does it help?", ["pixel"]
        self.edit_files()

    def edit_files(self) -> None:
        """Write search space and recipe as the user wants them now."""
        rows = "".join(f"  {row}: {ROWS[row]}\n" for row in self.rows)
        text = SPACE.format(question=self.question, seeds=self.seeds, rows=rows)
        Path("tiny.yaml").write_text(text, encoding="utf-8")
        Path("recipe.yaml").write_text(RECIPE.format(root=self.root, steps=self.steps), encoding="utf-8")

    def edit(self) -> None:
        """Change one thing in the files."""
        what = self.draw.choice(("steps", "root", "seeds", "question", "rows"))
        if what == "steps":
            self.steps = self.draw.choice((4, 8))
        elif what == "root":
            self.root = self.draw.choice(("cats", "dogs", "moved"))
        elif what == "seeds":
            self.seeds = self.draw.choice((1, 2, 3))
        elif what == "question":
            self.question = self.draw.choice(("Does it help?", "How much does it help?"))
        else:
            self.rows = self.draw.sample(sorted(ROWS), self.draw.randint(1, 3))
        self.edit_files()

    def command(self) -> None:
        """Run a sweep with random options, and remember its table."""
        options = [
            (0.3, ["--set", f"schedule.steps={self.draw.choice((4, 6, 8))}"]),
            (0.2, ["--set", f"contrast.weight={self.draw.choice((0.1, 0.2))}"]),
            (0.2, ["--seeds", self.draw.choice(("1", "2", "3", "1,2"))]),
            (0.2, ["--only", self.draw.choice(("without", *self.rows))]),
            (0.1, ["--trial", self.some_trial()]),
            (0.2, ["--name", self.draw.choice(("mine", "yours"))]),
            (0.3, ["--set", f"data.root={self.draw.choice(('cats', 'dogs', 'moved'))}"]),
            (0.2, ["--max-concurrent", "2"]),
        ]
        words = [word for chance, given in options if self.draw.random() < chance for word in given if given[1]]
        before = self.names_and_numbers()
        code = sweep.main(["tiny.yaml", "--executor", "serial", "--out", "out", *words])
        assert code in (0, 1) or "--trial" in words, words
        for name, number in self.names_and_numbers() - before:
            shown = Path("out") / name
            if number == max(RunDirectory("runs").kept_numbers(name)):
                self.tables[name, number] = {path.name: path.read_bytes() for path in shown.iterdir()}

    def some_trial(self) -> str:
        """The id of a trial of the plain sweep, if there is one; often it is not in the plan of the next command."""
        directory = RunDirectory("runs")
        known = directory.sweep("tiny").trial_ids if "tiny" in directory.sweep_names() else ("",)
        return self.draw.choice(known)

    def names_and_numbers(self) -> set[tuple[str, int]]:
        """Every kept plan."""
        directory = RunDirectory("runs")
        return {(name, number) for name in directory.sweep_names() for number in directory.kept_numbers(name)}

    def check(self) -> None:
        """Rebuild every table that was seen."""
        directory = RunDirectory("runs")
        for (name, number), seen in self.tables.items():
            kept = directory.kept_plan(name, number)
            again = write_plain(directory.kept_results(kept), Path("again") / name / str(number))
            found = {path.name: path.read_bytes() for path in again.values()}
            assert {key for key in seen if seen[key] != found.get(key)} == set(), (name, number)
            points = KeptDirectory("runs", kept)
            attempts = {point.attempt for key in kept.attempts for point in points.points(key)}
            assert not attempts or max(attempts) <= max(kept.attempts.values())


def write_plain(results: SweepResults, out: Path) -> dict[str, Path]:
    """The tables in all formats, without figures, which take seconds."""
    return write_reports(results, out, STYLES)


@pytest.fixture
def cheap(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[random.Random], None]:
    """Replace training, MLflow, figures and output. Call it with the generator of the figures."""
    monkeypatch.chdir(tmp_path)

    def install(draw: random.Random) -> None:
        def work(task: Task, report: Callable[[Point], None]) -> AttemptRecord:
            report(Point(step=4, metrics={"val/miou": draw.random()}, time=float(task.attempt), attempt=task.attempt))
            error = ErrorRecord(kind="E", message="m", traceback="Traceback", signature=f"{draw.random()}")
            done = AttemptRecord(
                trial_id=task.trial_id,
                attempt=task.attempt,
                state=State.DONE,
                started_at=100.0,
                ended_at=100.0 + draw.randint(1, 100),
                metrics={"final/miou": draw.random(), "final/pixel_accuracy": draw.random()},
            )
            return replace(done, state=State.USER_ERROR, error=error, metrics={}) if draw.random() < 0.2 else done

        monkeypatch.setattr("orchestrator.running.worker.run_trial", work)

    def plain(results: SweepResults, out: Path, *_: object, **__: object) -> Reports:
        return Reports(results, out, STYLES)

    log_and_draw_nothing(monkeypatch)  # not in advance either
    monkeypatch.setattr("reports.write.Reports", plain)
    monkeypatch.setattr(api, "save_code", lambda *_: None)
    monkeypatch.setattr(ConsoleTracker, "say", lambda *given, **named: None)
    return install


@pytest.mark.slow
@pytest.mark.parametrize("batch", range(BATCHES))
def test_every_earlier_table_can_be_rebuilt(
    batch: int, cheap: Callable[[random.Random], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_folder(tmp_path / "data" / "cats", 10)
    make_folder(tmp_path / "data" / "dogs", 200)
    shutil.copytree(tmp_path / "data" / "cats", tmp_path / "data" / "moved")
    for number in range(batch, SEQUENCES, BATCHES):
        draw = random.Random(number)
        cheap(draw)
        home = tmp_path / str(number)
        shutil.copytree(tmp_path / "data", home)
        monkeypatch.chdir(home)
        user = User(draw, home)
        for _ in range(COMMANDS):
            draw.choice((user.edit, user.command, user.command, partial(orchestrator, ["clean", "--yes"])))()
            user.command()
        assert orchestrator(["clean", "--yes"]) == 0
        user.check()
        assert len(user.tables) >= 2, number
