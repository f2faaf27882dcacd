"""Golden trials: they cover what a trial can be, see a change of figures, and list what is equal."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from orchestrator.workload.fields import fields_below, is_outside_identity
from orchestrator.workload.plugin_part import is_plugin_part
from tests.other_code import copy_trainer, invert_sampler
from trainer.code_digest import PACKAGE, code_digest, present_code, source_digests
from trainer.config import RESULT_VERSION, TrainConfig
from trainer.data import DATASETS
from trainer.data.reading.description import KEYS
from trainer.errors import TrainerError
from trainer.golden import __main__ as command
from trainer.golden.equal_list import merged, write_list
from trainer.golden.measure import configured, measure
from trainer.golden.revision import checkout
from trainer.golden.side_by_side import Comparison, compare, figures_of_both, with_repeats
from trainer.golden.trials import CUT_SHORT, TINY, reader_trials, tiny_trials
from trainer.testing.own_data import OWN_DATA

NOT_TRIED = {
    "compute.compile": "needs a compiler",
    "compute.cuda_graphs": "needs a CUDA device",
    "evaluation.metrics": "needs a plugin",
    "model.weights": "needs files of weights",
}
"""Settings that no golden trial changes."""


def test_every_setting_is_changed_by_a_trial(tmp_path: Path) -> None:
    """A new field needs a trial of its own in `trainer.golden.trials`."""
    keys = {
        prefix + item.name
        for prefix, item in fields_below(TrainConfig)
        if not is_outside_identity(item) and not is_plugin_part(item)
    }
    changed = {key for trial in (*tiny_trials().values(), *reader_trials(tmp_path).values()) for key in trial}
    assert keys - changed == NOT_TRIED.keys()


def test_every_trial_is_legal_and_every_data_set_is_read(tmp_path: Path) -> None:
    readers = reader_trials(tmp_path)
    for trial in (*tiny_trials().values(), *readers.values()):
        configured(TrainConfig(), trial).normalised()
    assert {str(trial["data.name"]) for trial in readers.values()} | {"synthetic"} == set(DATASETS)


def test_every_reading_of_own_data_is_tried(tmp_path: Path) -> None:
    """Each key of a description that changes pixels or splits is in one, and its trial trains, the last one twice."""
    trials = {name: trial for name, trial in with_repeats(reader_trials(tmp_path)).items() if "folder, " in name}
    texts = [path.read_text(encoding="utf-8") for path in tmp_path.glob("own/*/classes.yaml")]
    assert len(texts) == len(trials) == len(OWN_DATA)
    used = {line.partition(":")[0] for text in texts for line in text.splitlines()}
    assert set(KEYS) - used == {"name", "unpaired"}
    for name, trial in trials.items():
        found = measure(trial, tmp_path / "trial")
        assert "error" not in found, (name, found)
        assert float(found["final/miou"]) >= 0
    assert measure(trials["reader folder, shares"], tmp_path / "again") == found


def small(*names: str) -> dict[str, dict[str, Any]]:
    """Some of the trials, shorter."""
    trials = tiny_trials()
    return with_repeats({name: {**trials[name], "schedule.steps": 3} for name in names})


@pytest.mark.slow
def test_an_inverted_sampler_differs_where_it_is_used_and_a_comment_does_not(tmp_path: Path) -> None:
    other = copy_trainer(tmp_path / "other")
    invert_sampler(other)
    step = other / "step.py"
    step.write_text("# a comment\n" + step.read_text(encoding="utf-8"), encoding="utf-8")
    trials = small("contrast.source none", "contrast.anchors.kind random", "contrast.anchors.kind hard")
    found = compare(*figures_of_both(trials, (other, PACKAGE), tmp_path))
    assert found.equal == ("contrast.source none", "contrast.anchors.kind random")
    assert list(found.different) == ["contrast.anchors.kind hard"]
    assert " at step " in found.different["contrast.anchors.kind hard"]


def test_figures_of_a_resumed_trial_are_those_of_one_run(tmp_path: Path) -> None:
    trials = with_repeats({CUT_SHORT[0]: TINY})
    whole, resumed = (measure(trial, tmp_path / name) for name, trial in trials.items() if trial["ranks"] == 1)
    assert "error" not in whole, whole
    assert whole == resumed


def figures(**trials: Mapping[str, str]) -> dict[str, Mapping[str, str]]:
    return dict(trials)


def test_what_the_earlier_code_cannot_run_is_new_and_what_fails_now_differs() -> None:
    known, broken = {"loss": "1.0", "weights": "a"}, {"error": "KeyError: 'x'"}
    assert compare(
        figures(a=known, b=broken, c=known, d=known), figures(a=known, b=known, c=broken, d={**known, "loss": "2.0"})
    ) == Comparison(
        equal=("a",),
        new={"b": "KeyError: 'x'"},
        different={"c": "fails now: KeyError: 'x'", "d": "loss was 1.0, is 2.0"},
    )
    with pytest.raises(TrainerError, match="no trial could be compared: KeyError"):
        compare(figures(a=broken), figures(a=known))


def test_groups_of_equal_code_are_merged() -> None:
    assert merged((), "a", "b") == [["a", "b"]]
    assert merged((("a", "b"), ("x",)), "b", "c") == [["a", "b", "c"], ["x"]]
    assert merged((("a",), ("x", "y"), ("z",)), "y", "a") == [["a", "x", "y"], ["z"]]
    assert merged((("a",),), "x", "y") == [["a"], ["x", "y"]], "code of a fork that is not proven equal to the first"


def test_the_list_is_a_module_that_ruff_leaves_alone(tmp_path: Path) -> None:
    path = tmp_path / "equal_code.py"
    write_list(path, 7, [["a" * 12], [f"{number:012d}" for number in range(20)]])
    known: dict[str, Any] = {}
    exec(compile(path.read_text(), str(path), "exec"), known)  # noqa: S102
    assert known["EQUAL_RESULT_VERSION"] == 7
    assert known["EQUAL_CODE"] == (("a" * 12,), tuple(f"{number:012d}" for number in range(20)))


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A git repository with the trainer as it is here, committed."""
    copy_trainer(tmp_path / "repository")
    who = ["-c", "user.name=somebody", "-c", "user.email=nobody@localhost"]
    for arguments in (["init", "-q"], ["add", "."], [*who, "commit", "-qm", "first"]):
        subprocess.run(["git", "-C", str(tmp_path / "repository"), *arguments], check=True, capture_output=True)
    return tmp_path / "repository"


def test_the_code_of_a_revision(repository: Path, tmp_path: Path) -> None:
    (repository / "trainer" / "step.py").unlink()
    assert code_digest(source_digests(checkout("HEAD", repository, tmp_path / "out"))) == present_code()
    with pytest.raises(TrainerError, match="nowhere: no such revision"):
        checkout("nowhere", repository, tmp_path / "out")
    with pytest.raises(TrainerError, match="no git repository that tracks trainer/"):
        checkout("HEAD", tmp_path, tmp_path / "out")


@pytest.fixture
def list_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the command writes the list, which begins with another digest."""
    monkeypatch.setattr(command, "LIST", tmp_path / "equal_code.py")
    monkeypatch.setattr(command, "EQUAL_RESULT_VERSION", RESULT_VERSION)
    monkeypatch.setattr(command, "EQUAL_CODE", (("f" * 12,),))
    return tmp_path / "equal_code.py"


@pytest.mark.parametrize("equal", [True, False])
def test_the_command_lists_what_is_equal(
    equal: bool, list_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def other_code(revision: str, repository: Path, folder: Path) -> Path:
        package = copy_trainer(folder)
        invert_sampler(package)
        return package

    monkeypatch.setattr(command, "checkout", other_code)
    monkeypatch.setattr(command, "differs", lambda package, folder: not equal)
    assert command.main(["HEAD"]) == (0 if equal else 1)
    assert list_path.exists() == equal
    if equal:
        assert present_code() in list_path.read_text()
        assert "is listed as equal to" in capsys.readouterr().out


def test_the_command_with_equal_code_and_of_a_new_version(
    list_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command, "checkout", lambda revision, repository, folder: copy_trainer(folder))
    assert command.main(["HEAD"]) == 0
    assert "HEAD has the same code" in capsys.readouterr().out
    assert command.main(["--new-version"]) == 2
    monkeypatch.setattr(command, "EQUAL_RESULT_VERSION", RESULT_VERSION - 1)
    assert command.main(["HEAD"]) == 2
    assert "start it with --new-version" in capsys.readouterr().err
    assert command.main(["--new-version"]) == 0
    assert f"EQUAL_RESULT_VERSION = {RESULT_VERSION}" in list_path.read_text()
    assert present_code() in list_path.read_text()
