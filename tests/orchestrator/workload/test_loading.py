"""Workloads in files and modules: what is loaded, and what is said about one that cannot be used."""

from __future__ import annotations

import pickle
import textwrap
from dataclasses import replace
from pathlib import Path

import pytest

from orchestrator.workload.loading import WorkloadError, WorkloadSource, find, load

WORKLOAD = '''
from dataclasses import dataclass

from orchestrator.workload import Inputs, Metric, TrialResult


@dataclass(frozen=True, kw_only=True)
class Config:
    """Of a line."""

    rate: float = 0.1
    """Step size."""
    seed: int = 0


class Line:
    config_type = Config
    result_version = 1
    metrics = (Metric(name="final/error", title="Error", direction="down"),)

    def check(self, config):
        pass

    def inputs(self, config, remember):
        return Inputs()

    def describe(self, rows, seeds):
        return f"line, {seeds}"

    def train(self, config, runtime, workdir, progress):
        return TrialResult(metrics={"final/error": config.rate})


WORKLOAD = Line()
'''


def write(folder: Path, text: str) -> WorkloadSource:
    path = folder / "line.py"
    path.write_text(textwrap.dedent(text), encoding="utf-8")
    return find("line.py", folder)


def test_seven_members_are_enough_and_the_rest_has_defaults(tmp_path: Path) -> None:
    loaded = load(write(tmp_path, WORKLOAD))
    config = loaded.config_type(rate=0.5, seed=3)
    assert loaded.identity == {"result_version": 1, "workload": "line.py"}
    assert loaded.watched_metric.title == "Error"
    assert loaded.normalised(config) is config
    assert loaded.inputs_key(config) == replace(config, seed=0)
    assert loaded.steps(config) is None
    assert list(loaded.code.files()) == ["line.py"]
    assert len(loaded.code.digests()) == 1


def test_a_comment_leaves_the_code_as_it_is_and_another_rate_does_not(tmp_path: Path) -> None:
    first = load(write(tmp_path, WORKLOAD)).code.digests()
    assert load(write(tmp_path, WORKLOAD + "# a comment\n")).code.digests() == first
    assert load(write(tmp_path, WORKLOAD.replace("0.1", "0.2"))).code.digests() != first


def test_a_source_is_loaded_without_its_file_and_two_versions_do_not_mix(tmp_path: Path) -> None:
    before, after = write(tmp_path, WORKLOAD), write(tmp_path, WORKLOAD.replace("0.1", "0.2"))
    Path(before.path).unlink()
    for source, rate in ((before, 0.1), (after, 0.2)):
        config = load(pickle.loads(pickle.dumps(source))).config_type()  # noqa: S301
        assert config.rate == rate
        assert pickle.loads(pickle.dumps(config)) == config  # noqa: S301


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ("WORKLOAD = Line()", "", "line.py: has no WORKLOAD; add"),
        ("    result_version = 1\n", "", "line.py: WORKLOAD has no result_version;"),
        ("frozen=True, ", "", "config_type: Config is not frozen; write"),
        ("    seed: int = 0\n", "", "config_type: Config has no field `seed`; add"),
        ("rate: float = 0.1", "rate: float", "config_type: Config.* raises TypeError.*; give each field a default"),
        ("config_type = Config", "config_type = 3", "config_type: 3 is not a dataclass"),
        ('"""Of a line."""', "1 / 0", r"line.py:9: ZeroDivisionError: division by zero; it cannot be imported"),
        ("class Line:", "class Line", r"line.py:16: SyntaxError: .*; it cannot be imported"),
        ("import Inputs", "import Outputs", r"line.py:4: ImportError: .*Outputs.*; it cannot be imported"),
    ],
)
def test_what_cannot_be_used_is_said_in_one_line(tmp_path: Path, before: str, after: str, message: str) -> None:
    assert before in WORKLOAD
    with pytest.raises(WorkloadError, match=message) as raised:
        load(write(tmp_path, WORKLOAD.replace(before, after)))
    assert "\n" not in str(raised.value)


def test_a_file_and_a_module_that_do_not_exist(tmp_path: Path) -> None:
    with pytest.raises(WorkloadError, match=r"nowhere.py: cannot be read \(No such file"):
        find("nowhere.py", tmp_path)
    with pytest.raises(WorkloadError, match=r"no_such_module: ModuleNotFoundError: .*; it cannot be imported"):
        load(find("no_such_module", tmp_path))
