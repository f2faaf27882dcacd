"""The block `workload` of a search space: every mistake is named with its line, and all at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.errors import SpecError
from orchestrator.planning.plan import plan_sweep
from orchestrator.spec.sweep_spec import read_spec

GOOD = {
    "command": "python job.py {rate} {seed}",
    "settings": "{rate: 0.1}",
    "metrics": "{final/score: {direction: max}}",
}


def write(folder: Path, **changes: str) -> Path:
    """A search space with this block."""
    lines = [f"  {key}: {value}" for key, value in {**GOOD, **changes}.items() if value]
    text = "\n".join(["workload:", *lines, "method: ablation", "rows: {low: {rate: 0.01}, high: {rate: 1.0}}", ""])
    (folder / "job.py").write_text("x = 1\n", encoding="utf-8")
    path = folder / "space.yaml"
    path.write_text(text, encoding="utf-8")
    return path


MISTAKES = [
    ({"command": ""}, "workload.command: missing; write for example `python my_train.py"),
    ({"command": "3"}, "2: workload.command: must be text; write for example"),
    ({"command": "python 'job.py {rate} {seed}"}, "2: workload.command: No closing quotation; correct its quotes"),
    ({"command": "python job.py {rate.real} {seed}"}, "2: workload.command: {rate.real} is not a placeholder"),
    ({"command": "python job.py {rat} {rate} {seed}"}, "{rat} is not a setting; add it to settings, or choose rate"),
    ({"command": "python job.py {rate}"}, "has no {seed}, so all seeds would compute the same"),
    ({"command": "python jobs.py {rate} {seed}"}, "no such file 'jobs.py' in"),
    ({"command": "./run {rate} {seed}"}, "no such file './run' in"),
    ({"settings": "[1]"}, "3: workload.settings: must be a block of `key: default` lines"),
    ({"settings": "{rate: 0.1, width: 3}"}, "3: workload.settings.width: is not in the command, so it would have no"),
    ({"settings": "{rate: [1]}"}, "3: workload.settings.rate: must be a number, text, true or false"),
    ({"settings": "{rate: 0.1, a-b: 1}"}, "workload.settings.a-b: must be a name of letters, digits and underscores"),
    ({"settings": "{rate: 0.1, seed: 1}"}, "workload.settings.seed: is filled in for each trial; remove it"),
    ({"metrics": ""}, "workload.metrics: missing; write for example `final/accuracy"),
    ({"metrics": "{}"}, "4: workload.metrics: must be a block with at least one metric"),
    (
        {"metrics": "{score: }"},
        "4: workload.metrics.score: the first metric ranks the table and must begin with final/",
    ),
    ({"metrics": "{final/a: 3}"}, "4: workload.metrics.final/a: must be a block"),
    ({"metrics": "{final/a: {way: max}}"}, "workload.metrics.final/a.way: unknown key; choose title, unit"),
    ({"metrics": "{final/a: {direction: up}}"}, "must be max (larger is better) or min, not 'up'"),
    ({"metrics": "{final/a: {title: 3}}"}, "workload.metrics.final/a.title: must be text, not 3"),
    ({"metrics": "{final/a: {decimals: 2.5}}"}, "must be a whole number from 0 to 12, not 2.5"),
    ({"metrics": "{final/a: {column: 1}}"}, "must be true or false, not 1"),
    ({"inputs": "data.csv"}, "5: workload.inputs: must be a list of files and folders"),
    ({"inputs": "[data.csv]"}, "5: workload.inputs.0: no such file or folder 'data.csv' in"),
    ({"steps": "rate"}, "5: workload.steps: must name a setting that is a whole number, not 'rate'"),
    ({"colour": "red"}, "5: workload.colour: unknown key; choose command, settings, metrics, inputs, steps"),
]


@pytest.mark.parametrize(("changes", "message"), MISTAKES)
def test_a_mistake_is_one_line_with_its_place(changes: dict[str, str], message: str, tmp_path: Path) -> None:
    with pytest.raises(SpecError) as caught:
        read_spec(write(tmp_path, **changes))
    (line,) = [text for text in caught.value.messages if message in text]
    assert line.startswith(f"{tmp_path / 'space.yaml'}:")


def test_all_mistakes_are_reported_together(tmp_path: Path) -> None:
    with pytest.raises(SpecError) as caught:
        read_spec(write(tmp_path, metrics="{score: 3}", inputs="3", colour="red"))
    assert len(caught.value.messages) == 4


def test_values_have_the_type_of_the_default(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"rate: must be a number, not .fast.; write for example 0\.1"):
        read_spec(write(tmp_path), settings=["rate=fast"])


def test_an_edited_script_gives_other_trials_and_a_comment_does_not(tmp_path: Path) -> None:
    path = write(tmp_path)

    def ids() -> list[str]:
        return [trial.trial_id for trial in plan_sweep(read_spec(path), run_dir=tmp_path / "runs").trials]

    first = ids()
    assert len(set(first)) == 2
    (tmp_path / "job.py").write_text("x = 1  # one\n", encoding="utf-8")
    assert ids() == first
    (tmp_path / "job.py").write_text("x = 2\n", encoding="utf-8")
    assert not set(ids()) & set(first)
