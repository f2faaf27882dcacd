"""Workloads in files and modules: what is loaded, and what is said about one that cannot be used."""

from __future__ import annotations

import pickle
import subprocess
import sys
import textwrap
from dataclasses import replace
from pathlib import Path

import pytest

from orchestrator.running.task import Task
from orchestrator.workload.loading import WorkloadError, WorkloadSource, find, load
from orchestrator.workload.runtime import Runtime

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
        ("class Line:", "class Line", "line.py:16: .*; this is not Python source"),
        ("import Inputs", "import Outputs", r"line.py:4: ImportError: .*Outputs.*; it cannot be imported"),
    ],
)
def test_what_cannot_be_used_is_said_in_one_line(tmp_path: Path, before: str, after: str, message: str) -> None:
    assert before in WORKLOAD
    with pytest.raises(WorkloadError, match=message) as raised:
        load(write(tmp_path, WORKLOAD.replace(before, after)))
    assert "\n" not in str(raised.value)


HALF = "import half\nfrom parts.rates import RATE\n"


def with_files(folder: Path) -> WorkloadSource:
    """The workload with a file and a package beside it, one of which it imports only when it trains."""
    (folder / "parts").mkdir()
    (folder / "parts" / "__init__.py").write_text("", encoding="utf-8")
    (folder / "parts" / "rates.py").write_text("from parts import units\nRATE = 0.1 * units.ONE\n", encoding="utf-8")
    (folder / "parts" / "units.py").write_text("ONE = 1\n", encoding="utf-8")
    (folder / "half.py").write_text("def half(x):\n    return x / 2\n", encoding="utf-8")
    (folder / "not_imported.py").write_text("1 / 0\n", encoding="utf-8")
    text = HALF + WORKLOAD.replace("rate: float = 0.1", "rate: float = half.half(RATE)")
    return write(
        folder,
        text.replace('{"final/error": config.rate}', '{"final/error": last(config.rate)}').replace(
            "        return TrialResult", "        from late import last\n\n        return TrialResult"
        ),
    )


CHILD = """
import pickle, sys
task = pickle.loads(sys.stdin.buffer.read())
from orchestrator.running.task import Task
from orchestrator.workload.loading import workload_of
print(workload_of(task.config).workload.train(task.config, None, None, None).metrics["final/error"])
"""


def test_the_files_beside_it_that_it_imports_travel_with_a_task(tmp_path: Path) -> None:
    (tmp_path / "late.py").write_text("def last(x):\n    return x * 10\n", encoding="utf-8")
    source = with_files(tmp_path)
    assert [name for name, _ in source.files] == [
        "half.py",
        "late.py",
        "parts/__init__.py",
        "parts/rates.py",
        "parts/units.py",
    ]
    config = load(source).config_type()
    assert config.rate == 0.05
    content = pickle.dumps(Task(trial_id="a", attempt=1, config=config, runtime=Runtime(), workdir=tmp_path))
    for path in tmp_path.rglob("*.py"):
        path.unlink()  # another machine has none of them
    child = subprocess.run(
        [sys.executable, "-c", CHILD], input=content, capture_output=True, check=False, timeout=120, cwd="/"
    )
    assert child.stdout.decode().strip() == "0.5", child.stderr.decode()


def test_each_file_that_is_imported_counts_as_code(tmp_path: Path) -> None:
    (tmp_path / "late.py").write_text("def last(x):\n    return x\n", encoding="utf-8")
    source = with_files(tmp_path)
    before = load(source).code.digests()
    for name, changed in (("not_imported.py", False), ("parts/units.py", True), ("late.py", True)):
        path = tmp_path / name
        text = path.read_text(encoding="utf-8")
        path.write_text(text + "MORE = 2\n", encoding="utf-8")
        assert (load(find("line.py", tmp_path)).code.digests() != before) == changed, name
        path.write_text(text + "# a comment\n", encoding="utf-8")
        assert load(find("line.py", tmp_path)).code.digests() == before


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1 / 0\n", r"half\.py:1: ZeroDivisionError: division by zero; it cannot be imported"),
        ("def half(:\n", r"half\.py:1: .*; this is not Python source"),
        ("import nowhere_to_be_found\n", r"half\.py:1: ModuleNotFoundError: .*nowhere_to_be_found.*; it cannot be"),
    ],
)
def test_a_mistake_in_a_file_beside_it_is_said_with_its_place(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "half.py").write_text(text, encoding="utf-8")
    with pytest.raises(WorkloadError, match=message) as raised:
        load(write(tmp_path, "import half\n" + WORKLOAD))
    assert "\n" not in str(raised.value)


def test_a_file_and_a_module_that_do_not_exist(tmp_path: Path) -> None:
    with pytest.raises(WorkloadError, match=r"nowhere.py: cannot be read \(No such file"):
        find("nowhere.py", tmp_path)
    with pytest.raises(WorkloadError, match=r"no_such_module: ModuleNotFoundError: .*; it cannot be imported"):
        load(find("no_such_module", tmp_path))
