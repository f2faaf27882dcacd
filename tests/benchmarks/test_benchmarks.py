"""Each benchmark runs at its quick size and writes its figures; speed is not tested here."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import yaml

from benchmarks import __main__ as runner
from benchmarks import page, train_step
from benchmarks.__main__ import BENCHMARKS, Benchmark, Outcome, main
from benchmarks.process import environment, measure_apart
from benchmarks.report import (
    DEVICES,
    Figure,
    at_least,
    at_most,
    below,
    command_line,
    gpu_facts,
    information,
    parse,
    publish,
    share_at_least,
    share_at_most,
)
from tests.benchmarks.quick_figures import FACTS, require_quick_figures

PROJECT = Path(__file__).resolve().parents[2]
SHARED = {
    *("__main__", "report", "page", "process", "in_process", "stopwatch"),
    *("idle_sweep", "idle_work", "naive_contrast", "contrast_memory", "gpu_feed"),
}
"""Modules that benchmarks share."""
ELSEWHERE = {("data", "cpu"), ("tracking", "cpu"), ("train_step", "cpu")}
"""Benchmarks with quick runs in files of their own; that of `card.sh` has the last one."""


def test_the_table_names_every_file():
    files = {path.stem for path in (PROJECT / "benchmarks").glob("*.py")}
    files |= {path.parent.name for path in (PROJECT / "benchmarks").glob("*/__main__.py")}
    names = [item.name for item in BENCHMARKS]
    assert len(names) == len(set(names))
    assert set(names) == files - SHARED
    assert all(set(item.devices) <= set(DEVICES) for item in BENCHMARKS)


def test_the_page_shows_the_figures_of_the_files():
    """Every goal is shown, and so is every peer; a missed goal cannot be left out."""
    texts = [shown.read_text(encoding="utf-8") for shown in page.PAGES]
    assert [page.refreshed(text) for text in texts] == texts, "run `python -m benchmarks.page`"
    assert all("of reports/results/bench_cpu_2cores.json" in text for text in texts)
    kept = json.loads((PROJECT / "reports" / "results" / "bench_cpu_2cores.json").read_text(encoding="utf-8"))
    shown = page.goals_table(kept["figures"])
    assert len(shown) == 2 + sum(bool(item["goal"]) for item in kept["figures"])
    assert all(line in texts[0] for line in shown)


def test_the_page_names_every_benchmark():
    lines = page.PAGES[0].read_text(encoding="utf-8").splitlines()
    named = [line.split("`")[1] for line in lines if line.startswith("| `")]
    assert named == [item.name for item in BENCHMARKS]


def test_whoever_writes_a_file_writes_its_table(tmp_path, monkeypatch):
    """Other files and a file that does not exist yet leave the page as it is."""
    written, shown = tmp_path / "results" / "peers.json", tmp_path / "page"
    shown.write_text("before\n<!-- peers of results/peers.json -->\n<!-- /peers -->\nafter\n")
    short = tmp_path / "short"
    short.write_text("<!-- peers_short of results/peers.json -->\n<!-- /peers_short -->\n")
    monkeypatch.setattr(page, "PAGES", (shown, short))
    monkeypatch.setattr(page, "PROJECT", tmp_path)
    page.refresh(tmp_path / "other.json")
    assert "Not measured" not in shown.read_text()
    page.refresh(written)
    assert "Not measured yet: there is no `peers.json`." in shown.read_text()
    publish(
        [
            at_most("peers: wall time, beside the pool", 2.0, 1.0, 3.0),
            information("slow: wall time", 20.0),
            information("slow: finished trials run again after a kill", 3, unit=""),
            information("ours, store and MLflow: wall time", 10.04),
        ],
        written,
    )
    page.refresh(written)
    lines = shown.read_text().splitlines()
    assert [line for line in lines if line.startswith("| ")][2:] == [
        "| **ours, store and MLflow** | **10.0** | **-** | **-** | **-** | **-** |",
        "| slow | 20.0 | - | - | 3 | - |",
    ]
    assert (lines[0], lines[-1]) == ("before", "after")
    assert "| **ours, store and MLflow** | **10.0** | **-** | **-** |\n| slow | 20.0 | - | 3 |" in short.read_text()
    assert page.refreshed(shown.read_text()) == shown.read_text()


@pytest.mark.parametrize(
    ("name", "device"),
    [
        pytest.param(
            item.name,
            device,
            marks=[pytest.mark.gpu] * (device == "cuda") + [pytest.mark.slow] * item.slow,
            id=f"{item.name}-{device}",
        )
        for item in BENCHMARKS
        for device in item.devices
        if (item.name, device) not in ELSEWHERE
    ],
)
def test_a_quick_run_writes_its_figures(name, device, tmp_path):
    if device == "cuda" and not torch.cuda.is_available():
        pytest.skip("needs a CUDA device")
    out = tmp_path / "out.json"
    command = [sys.executable, "-m", f"benchmarks.{name}", "--device", device, "--quick", "--json", str(out)]
    finished = subprocess.run(command, cwd=tmp_path, env=environment(), capture_output=True, text=True)
    assert finished.returncode == 0, finished.stderr
    require_quick_figures(out, finished.stdout)


@pytest.mark.slow  # imports PyTorch
def test_the_start_of_a_trial_in_a_fork():
    """Measured on a GPU; the processes are the same on a CPU."""
    words = ("--device", "cpu", "--trials", "2", "--forked", "--quick")
    found = measure_apart("benchmarks.cold_start", *words)
    assert found["first"] > 0
    assert found["trial"] > 0


FORKS = """
import os
from benchmarks.process import forked
print(forked(os.getpid) != os.getpid())
forked(lambda: int("no number"))
"""


def test_a_fork_answers_or_says_that_it_failed():
    done = subprocess.run([sys.executable, "-c", FORKS], env=environment(), capture_output=True, text=True)
    assert done.stdout == "True\n"
    assert "invalid literal" in done.stderr
    assert done.stderr.endswith("RuntimeError: a fork ended with status 1\n")


def test_goals_hold_at_their_limits(tmp_path, capsys):
    figures = [
        at_least("faster", 1.0, 5.0, 5.0),
        at_most("overhead", 1.3, 1.0, 1.3),
        share_at_least("busy", 0.95, 0.95),
        share_at_most("not training", 0.15, 0.15),
        below("dry run", 0.99, 1.0),
        information("load", 3.0, unit=""),
    ]
    assert [item.ratio for item in figures] == [5.0, 1.3, None, None, None, None]
    assert [item.held for item in figures] == [True, True, True, True, True, None]
    assert publish(figures, tmp_path / "folder" / "out.json")
    assert json.loads((tmp_path / "folder" / "out.json").read_text())["figures"][0]["goal"] == "at least 5x faster"
    missed = [at_least("a", 1.0, 4.9, 5.0), at_most("b", 1.31, 1.0, 1.3), share_at_least("c", 0.94, 0.95)]
    missed += [below("d", 1.0, 1.0), share_at_most("f", 0.16, 0.15)]
    assert [item.held for item in missed] == [False] * 5
    assert not publish(missed)
    assert capsys.readouterr().out.count(" NO\n") == 5
    assert at_most("e", 9.0, 1.0, 1.3, counts=False).held is None


def outcome_of(benchmark: Benchmark, held: bool | None, failure: str = "") -> Outcome:
    figures = () if failure else (Figure(figure=f"{benchmark.name} figure", ours=0.5, goal="under 1 s", held=held),)
    return Outcome(
        benchmark=benchmark.name, seconds=1.0, figures=figures, failure=failure, machine={"load_at_start": 0.25}
    )


@pytest.mark.parametrize(("held", "failure", "code"), [(True, "", 0), (False, "", 1), (True, "ValueError: no", 1)])
def test_the_suite_ends_with_one_table_and_a_verdict(held, failure, code, tmp_path, capsys, monkeypatch):
    first = BENCHMARKS[0].name
    monkeypatch.setattr(
        runner, "run", lambda item, device, quick: outcome_of(item, held, failure if item.name == first else "")
    )
    assert main(["--json", str(tmp_path)]) == code
    printed = capsys.readouterr().out
    assert f"{BENCHMARKS[1].name} figure" in printed
    assert (f"{first}: failed: ValueError: no" in printed) == bool(failure)
    (file,) = tmp_path.glob("bench_cpu_*cores.json")
    content = json.loads(file.read_text())
    assert set(content["machine"]) >= FACTS
    ours = [item.name for item in BENCHMARKS if "cpu" in item.devices]
    assert [item["name"] for item in content["benchmarks"]] == ours
    assert content["benchmarks"][0]["failure"] == failure
    assert content["benchmarks"][0]["load_at_start"] == 0.25
    assert content["figures"][-1]["benchmark"] == ours[-1]


def test_a_crash_is_a_row_and_not_the_end(monkeypatch, capsys):
    """The last line of a traceback says what went wrong."""
    found = runner.run(Benchmark(name="no_such_file", measures="nothing", seconds=1), "cpu", quick=True)
    assert "No module named benchmarks.no_such_file" in found.failure
    assert found.figures == ()


def test_a_benchmark_that_hangs_is_ended():
    found = runner.run(BENCHMARKS[0], "cpu", quick=True, limit_seconds=0.05)
    assert found.failure == "ended after 0.05 s"


@pytest.mark.parametrize(
    ("answer", "facts"),
    [
        ("NVIDIA H200, 143771", {"gpu": "NVIDIA H200", "gpu_memory_bytes": 143771 * 2**20}),
        ("NVIDIA H200, [N/A]", {"gpu": "NVIDIA H200"}),
        ("", {}),
    ],
)
def test_the_gpu_is_named(answer, facts, tmp_path, monkeypatch):
    program = tmp_path / "nvidia-smi"
    program.write_text(f"#!/bin/sh\necho '{answer}'\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    assert gpu_facts() == facts
    assert runner.name_of("cuda", facts or {"gpu": "A/B 1"}) == ("nvidia_h200" if facts else "a_b_1")


@pytest.mark.parametrize(
    "words", [["--only", "nothing"], ["--device", "tpu"], ["--device", "cuda", "--only", "scale"], ["--fast"]]
)
def test_wrong_usage_ends_with_2(words, capsys):
    with pytest.raises(SystemExit) as end:
        main(words)
    assert end.value.code == 2
    assert "error: " in capsys.readouterr().err


@pytest.mark.parametrize("device", train_step.CASES)
def test_a_case_is_the_network_of_its_recipe(device):
    for case in train_step.CASES[device]:
        if case.recipe:
            recipe = PROJECT / "search_spaces" / "recipes" / f"{case.recipe}.yaml"
            config = yaml.safe_load(recipe.read_text(encoding="utf-8"))
            model = config["model"]
            assert case.backbone == model["backbone"]
            assert case.head == model["head"]
            assert case.head_channels == model["head_channels"]
            assert case.output_stride == model.get("output_stride", 32)
            assert case.crop == tuple(config["data"]["crop"])
            assert case.batch == config["schedule"]["batch_size"]


def test_a_missing_gpu_is_one_line(monkeypatch, capsys):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    monkeypatch.setattr(sys, "argv", ["train_step.py", "--device", "cuda"])
    with pytest.raises(SystemExit) as ended:
        parse(command_line("", DEVICES))
    assert ended.value.code == 2
    assert capsys.readouterr().err.splitlines() == [
        "train_step.py: --device cuda: torch finds no CUDA device; run it on a machine with a GPU"
    ]
