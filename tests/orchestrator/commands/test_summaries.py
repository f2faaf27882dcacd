"""Each command says the most important things in some twenty lines, for 15 trials and for thousands."""

from __future__ import annotations

import io
import json
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
from rich.cells import cell_len

from orchestrator import __main__ as orchestrator
from orchestrator import sweep as sweep_command
from orchestrator.machine.sealed_json import seal
from orchestrator.planning.identity import canonical
from orchestrator.planning.naming import plan_in
from orchestrator.planning.plan import SweepPlan
from orchestrator.spec.sweep_spec import read_spec
from orchestrator.store.attempt_record import AttemptRecord, ErrorRecord, Point, State
from orchestrator.store.record_files import attempt_name
from orchestrator.store.record_store import RecordStore
from orchestrator.store.run_directory import RunDirectory
from reports import __main__ as reports
from tests.end_to_end.conftest import TINY_SPACE, write_tiny

MOST_LINES = 24
"""About twenty: for what runs, two kinds of failure and the next command together."""
GRID = """name: tiny
recipe: ./tiny_recipe.yaml
method: grid
metric: {{name: final/miou, goal: maximize}}
seeds: {seeds}
parameters:
  contrast.temperature: {{values: [{temperatures}]}}
  optim.lr: {{values: [{rates}]}}
"""
NOW = 1_000_000.0

Capture = pytest.CaptureFixture[str]


@dataclass(frozen=True, kw_only=True)
class Scene:
    """A sweep in the current folder, in the middle of its work."""

    plan: SweepPlan
    states: Mapping[str, str]
    """By trial id, what it counts as."""

    @property
    def counts(self) -> Counter[str]:
        """Trials by what they count as."""
        return Counter(self.states.values())


def write_record(plan: SweepPlan, place: int, state: State) -> None:
    """How the trial in this place of the plan ended; without a store, as thousands would take long."""
    trial = plan.trials[place]
    places = "".join(
        f'  File "/code/trainer/{name}.py", line {line}, in f\n' for name, line in (("run", 7), ("step", 88))
    )
    error = ErrorRecord(
        kind="ValueError",
        message=f"seed {trial.config.seed} is broken",
        traceback=f"Traceback (most recent call last):\n{places}ValueError: broken",
        signature=f"0ddba11{place % 4}",
    )
    record = AttemptRecord(
        trial_id=trial.trial_id,
        attempt=1,
        state=state,
        started_at=NOW,
        ended_at=NOW + 60 * place,
        metrics={"final/miou": 0.25 + place / 100_000, "final/pixel_accuracy": 0.5} if state is State.DONE else {},
        error=None if state is State.DONE else error,
    )
    home = RunDirectory("runs").trial_folder(trial.trial_id)
    home.mkdir(parents=True)
    (home / attempt_name(1)).write_bytes(seal(record.to_json()))
    facts = {"config": canonical(trial.config), "data": trial.data_digest, **plan.workload.identity}
    (home / "trial.json").write_bytes(seal({"trial_id": trial.trial_id, **facts}))


def set_scene(*, done: int, failed: int, running: int, monkeypatch: pytest.MonkeyPatch) -> Scene:
    """The first trials of `tiny.yaml` are done, then some have failed, and some run."""
    monkeypatch.setattr("time.time", lambda: NOW)
    plan = plan_in(RunDirectory("runs"), read_spec(Path("tiny.yaml")))
    store = RecordStore("runs")
    store.write_sweep(plan.record)
    states = {trial.trial_id: "not run" for trial in plan.trials}
    for place, trial in enumerate(plan.trials[: done + failed]):
        write_record(plan, place, State.DONE if place < done else State.USER_ERROR)
        states[trial.trial_id] = "done" if place < done else "failed"
    for trial in plan.trials[done + failed : done + failed + running]:
        facts = {"data": trial.data_digest, **plan.workload.identity}
        store.start(trial.trial_id, 1, canonical(trial.config), time=NOW - 10, facts=facts)
        store.append(trial.trial_id, Point(step=4, metrics={"val/miou": 0.25}, time=NOW - 5))
        states[trial.trial_id] = "running"
    return Scene(plan=plan, states=states)


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Scene:
    """Five rows, three seeds."""
    monkeypatch.chdir(tmp_path)
    write_tiny(tmp_path)
    rows = "".join(
        f"  memory of {size} pixels per class: {{contrast.memory.pixels_per_class: {size}}}\n" for size in (10, 20, 30)
    )
    Path("tiny.yaml").write_text(TINY_SPACE.replace("seeds: 2", "seeds: 3") + rows)
    return set_scene(done=9, failed=2, running=2, monkeypatch=monkeypatch)


def write_grid(seeds: int, temperatures: int, rates: int) -> None:
    """`tiny.yaml` as a grid."""
    values = [", ".join(f"{(number + 1) / 1000}" for number in range(count)) for count in (temperatures, rates)]
    Path("tiny.yaml").write_text(GRID.format(seeds=seeds, temperatures=values[0], rates=values[1]))


@pytest.fixture
def medium(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Scene:
    """More rows and more kinds of failure than are shown: 20 rows, two seeds."""
    monkeypatch.chdir(tmp_path)
    write_tiny(tmp_path)
    write_grid(2, 4, 5)
    return set_scene(done=24, failed=6, running=6, monkeypatch=monkeypatch)


def status(*options: str) -> int:
    return orchestrator.main(["status", "tiny.yaml", *options])


def why(*options: str) -> int:
    return orchestrator.main(["why", "tiny.yaml", *options])


def why_more_seeds(*options: str) -> int:
    return orchestrator.main(["why", "tiny.yaml", "--seeds", "12", *options])


def dry_run(*options: str) -> int:
    return sweep_command.main(["tiny.yaml", "--dry-run", *options])


def verify(*options: str) -> int:
    return orchestrator.main(["verify", *options])


def plans(*options: str) -> int:
    return orchestrator.main(["status", "tiny.yaml", "--plans", *options])


def trace(*options: str) -> int:
    row = RunDirectory("runs").sweep("tiny").rows[1].label
    return reports.main(["trace", "tiny.yaml", row, "mIoU", *options])


def clean(*options: str) -> int:
    """After the sweep has been deleted, so that all trials are unreferenced."""
    kept, hidden = Path("runs/sweeps/tiny"), Path("hidden")
    kept.rename(hidden)
    try:
        return orchestrator.main(["clean", *options])
    finally:
        hidden.rename(kept)


Shown = Callable[..., int]
COMMANDS: tuple[Shown, ...] = (status, why, why_more_seeds, dry_run, verify, plans, clean, trace)


class Terminal(io.StringIO):
    """Standard output that is a terminal."""

    def isatty(self) -> bool:
        return True


def on_terminal(command: Shown, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What a terminal of 80 columns shows, without colours."""
    with monkeypatch.context() as patch:
        patch.setenv("COLUMNS", "80")
        patch.setenv("TERM", "xterm")
        patch.setattr(sys, "stdout", terminal := Terminal())
        command()
    return [line.rstrip() for line in re.sub(r"\x1b\[[0-9;]*m", "", terminal.getvalue()).splitlines()]


def check(command: Shown, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    """Few lines, no colours when piped, whole words on a terminal; `--all` says as much or more."""
    capsys.readouterr()
    code = command()
    piped = capsys.readouterr().out
    assert "\x1b" not in piped
    assert len(piped.splitlines()) <= MOST_LINES, piped
    shown = on_terminal(command, monkeypatch)
    assert len(shown) <= MOST_LINES, shown
    assert all(cell_len(line) <= 80 or line.strip().startswith("python -m") for line in shown), shown
    assert " ".join(shown).split() != [], shown
    broken = Counter(" ".join(shown).split()) - Counter(piped.split())
    assert not broken, "a word of the terminal is one of the piped text"
    assert command("--all") == code
    assert len(capsys.readouterr().out.splitlines()) >= len(piped.splitlines()) - 2, "it needs no hint at --all"


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.__name__)
def test_a_sweep_of_15_trials_in_few_lines(
    small: Scene, command: Shown, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    check(command, capsys, monkeypatch)


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.__name__)
def test_a_sweep_of_many_rows_and_failures_in_few_lines(
    medium: Scene, command: Shown, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    check(command, capsys, monkeypatch)


def check_counts(scene: Scene, capsys: Capture) -> None:
    """The first lines against counting by hand."""
    counts, total = scene.counts, len(scene.plan.trials)
    capsys.readouterr()

    def lines_of(command: Shown) -> list[str]:
        command()
        lines = capsys.readouterr().out.splitlines()
        assert len(lines) <= MOST_LINES, lines
        return lines

    head = lines_of(status)[0]
    listed = ", ".join(f"{counts[word]} {word}" for word in ("done", "running", "failed", "not run"))
    assert head == f"tiny: {total} trials: {listed}"
    never = counts["running"] + counts["not run"]
    head = lines_of(why)[0]
    reasons = f"{counts['failed']} failed before, {never} not run yet"
    assert head == f"tiny: {total} trials: {counts['done']} reused, {total - counts['done']} to run: {reasons}"
    assert (
        lines_of(dry_run)[1]
        == f"{total} trials, {counts['done']} done already, {total - counts['done']} to run: {reasons}"
    )
    started = total - counts["not run"]
    assert lines_of(clean)[0].startswith(f"unreferenced trials: {started}, unneeded files: 0, ")


def test_the_counts_are_those_of_the_plan(small: Scene, capsys: Capture) -> None:
    check_counts(small, capsys)


def test_hidden_rows_and_trials_are_counted(medium: Scene, capsys: Capture) -> None:
    check_counts(medium, capsys)
    status()
    out = capsys.readouterr().out
    assert "and 15 more rows, with " in out
    assert re.search(r"^2 of 6 running +step ", out, re.MULTILINE)
    assert "and 2 more kinds of failure, " in out
    done = sum(int(found) for found in re.findall(r"  (\d)/2  ", out)) + int(re.findall(r"with (\d+) done", out)[0])
    assert done == medium.counts["done"]
    status("--all")
    assert sum(int(found) for found in re.findall(r"  (\d)/2  ", capsys.readouterr().out)) == medium.counts["done"]


def test_a_row_shows_its_mean_so_far(small: Scene, capsys: Capture) -> None:
    status()
    (line,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("w/o contrast ")]
    values = [
        25 + place / 1000 for place, trial in enumerate(small.plan.trials) if trial.config.contrast.source == "none"
    ]
    assert line.split()[2] == "2/3"
    assert float(line.split()[-3]) == pytest.approx(sum(values[:2]) / 2, abs=0.01)


def test_what_runs_and_what_failed(small: Scene, capsys: Capture) -> None:
    status()
    out = capsys.readouterr().out
    assert re.search(r"^memory of \d+ pixels per class, seed 2 +4/8 +25\.00 +5 s ago$", out, re.MULTILINE)
    first, _ = re.findall(r"^user error, 1 trial: .*$", out, re.MULTILINE)
    assert first.endswith(" is broken (trainer/step.py:88)")
    assert "Traceback" not in out
    status("--all")
    assert capsys.readouterr().out.count("Traceback (most recent call last)") == 2, "one for each kind"


def test_several_sweeps_at_once(small: Scene, capsys: Capture) -> None:
    Path("other.yaml").write_text(Path("tiny.yaml").read_text().replace("name: tiny", "name: other"))
    assert orchestrator.main(["status", "tiny.yaml", "other.yaml"]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["sweep", "done", "running", "failed", "not", "run"]
    assert lines[1].split() == ["tiny", "9/15", "2", "2", "2"]
    assert lines[2].split() == ["other", "never", "run"]
    assert lines[-1] == "other: never run in runs (which has tiny); run it: python -m orchestrator.sweep other.yaml"
    assert orchestrator.main(["status", "tiny.yaml", "other.yaml", "--json"]) == 1
    assert [item["done"] for item in json.loads(capsys.readouterr().out)] == [9, 0]
    assert orchestrator.main(["why", "tiny.yaml", "other.yaml"]) == 0
    heads = [line for line in capsys.readouterr().out.splitlines() if " trials: " in line]
    assert heads == [
        "tiny: 15 trials: 9 reused, 6 to run: 2 failed before, 4 not run yet",
        "other: 15 trials: 9 reused, 6 to run: 4 new seeds, 2 failed before",
    ], "the other has no plan yet, but results of the first seeds"
    for name in ("status", "why"):
        assert orchestrator.main([name, "tiny.yaml", "other.yaml", "--name", "x"]) == 2
        assert capsys.readouterr().err == "--name x: the name of one sweep; give one SPEC.yaml\n"


def test_a_sweep_that_never_ran_is_one_line_and_exit_code_0(tiny_space: Path, capsys: Capture) -> None:
    never = "tiny: never run in runs; run it: python -m orchestrator.sweep tiny.yaml\n"
    for options in ([], ["--plans"], ["--all"]):
        assert orchestrator.main(["status", "tiny.yaml", *options]) == 0
        assert capsys.readouterr().out == never
    assert orchestrator.main(["status", "tiny.yaml", "--seeds", "5", "--run-dir", "else where"]) == 0
    line = "tiny+seeds=5: never run in else where; run it: "
    command = "python -m orchestrator.sweep tiny.yaml --seeds 5 --run-dir 'else where'"
    assert capsys.readouterr().out == f"{line}{command}\n"
    assert orchestrator.main(["status", "tiny.yaml", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["sweep"], found["trials"], found["done"], found["never_run"]) == ("tiny", 0, 0, True)
    assert not Path("runs").exists()


def test_all_without_a_dry_run_is_wrong_usage(tiny_space: Path, capsys: Capture) -> None:
    with pytest.raises(SystemExit) as caught:
        sweep_command.main(["tiny.yaml", "--all"])
    assert caught.value.code == 2
    assert "--all: shows the whole plan; give it with --dry-run" in capsys.readouterr().err


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Scene]]:
    """A folder with 200 rows of ten seeds."""
    folder = tmp_path_factory.mktemp("large")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        write_tiny(folder)
        write_grid(10, 20, 10)
        yield folder, set_scene(done=1400, failed=100, running=5, monkeypatch=patch)


def test_2_000_trials_are_counted_in_few_lines(
    large: tuple[Path, Scene], capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(large[0])
    monkeypatch.setattr("time.time", lambda: NOW)
    check_counts(large[1], capsys)
    for command in (why_more_seeds, trace):
        command()
        assert len(capsys.readouterr().out.splitlines()) <= MOST_LINES
