"""What signals do to a process: small programs, each of which gets one signal or several. They take 4 seconds."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from orchestrator import interrupts
from orchestrator.interrupts import ENDING, ending_gently, interruptible, keeping_handlers

PROJECT = Path(__file__).resolve().parents[2]

START = """
import hashlib, os, signal, sys, threading, time
from orchestrator import interrupts
from orchestrator.commands.command_line import guarded
interrupts.AT_ONCE_SECONDS = 0.2

def ready():
    print("ready", flush=True)
"""

PROGRAMS = {
    "while it imports": "interrupts.exit_at_signals(); ready(); time.sleep(60)",
    "in a command": "sys.exit(guarded(lambda: [ready(), time.sleep(60)] and 0))",
    "in a command that executes a text": "sys.exit(guarded(lambda: exec('ready(); time.sleep(60)') or 0))",
    "in a call that does not return": """
def command():
    saying = threading.Thread(target=ready)
    while True:
        try:
            if saying.ident is None:
                saying.start()
            hashlib.pbkdf2_hmac("sha256", b"", b"", 2**31 - 1)
        except KeyboardInterrupt:  # the signal came before the call
            continue
sys.exit(guarded(command))
""",
    "while a sweep ends, which hangs": """
def command():
    ended = threading.Event()
    with interrupts.ending_gently(ended.set):
        ready()
        ended.wait()
        ready()
        try:
            time.sleep(60)
        finally:
            threading.Event().wait()
sys.exit(guarded(command))
""",
}


def start(program: str, *, ignored: frozenset[signal.Signals] = frozenset()) -> subprocess.Popen[str]:
    """Run a program with `python -m`, as commands are, until it says that it is ready; in a session of its own."""

    def set_handlers() -> None:
        for number in ENDING:
            signal.signal(number, signal.SIG_IGN if number in ignored else signal.SIG_DFL)

    with TemporaryDirectory() as folder:
        Path(folder, "program.py").write_text(START + program)
        process = subprocess.Popen(
            [sys.executable, "-m", "program"],
            env=os.environ | {"PYTHONPATH": os.pathsep.join([folder, str(PROJECT)])},
            preexec_fn=set_handlers,
            start_new_session=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    return process


@pytest.mark.parametrize("number", ENDING)
@pytest.mark.parametrize("moment", ["while it imports", "in a command", "in a command that executes a text"])
def test_one_signal_ends_a_command_in_one_line(moment: str, number: signal.Signals) -> None:
    with start(PROGRAMS[moment]) as process:
        process.send_signal(number)
        _, written = process.communicate(timeout=60)
    assert process.returncode == 130
    assert len(written.splitlines()) == 1
    assert written.startswith("interrupted")


@pytest.mark.parametrize("number", ENDING)
def test_a_second_signal_ends_a_process_that_cannot_answer(number: signal.Signals) -> None:
    with start("interrupts.SAME_SECONDS = 0.0\n" + PROGRAMS["in a call that does not return"]) as process:
        process.send_signal(number)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(0.3)
        process.send_signal(number)
        _, written = process.communicate(timeout=60)
    assert process.returncode == 130
    assert written.startswith("interrupted; the process was ended")


def test_a_second_signal_ends_a_sweep_whose_end_hangs() -> None:
    with start("interrupts.SAME_SECONDS = 0.0\n" + PROGRAMS["while a sweep ends, which hangs"]) as process:
        process.send_signal(signal.SIGTERM)
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n", "the first one is for the sweep to hear"
        process.send_signal(signal.SIGHUP)
        assert process.wait(60) == 130


def test_what_is_ignored_at_the_start_stays_ignored() -> None:
    for moment in ("while it imports", "in a command"):
        with start(PROGRAMS[moment], ignored=frozenset({signal.SIGHUP})) as process:
            process.send_signal(signal.SIGHUP)
            with pytest.raises(subprocess.TimeoutExpired):
                process.wait(0.3)
            process.send_signal(signal.SIGTERM)
            assert process.wait(60) == 130


@pytest.mark.parametrize("module", ["orchestrator.sweep", "orchestrator", "reports"])
def test_a_command_hears_signals_while_it_imports(module: str, tmp_path: Path) -> None:
    """The module stops in its second import, where a program of the test stands in for a slow one."""
    (tmp_path / "shlex.py").write_text("import time\nprint('ready', flush=True)\ntime.sleep(60)\n")
    (tmp_path / "argparse.py").write_text("import time\nprint('ready', flush=True)\ntime.sleep(60)\n")
    environment = os.environ | {"PYTHONPATH": f"{tmp_path}{os.pathsep}{PROJECT}"}
    command = [sys.executable, "-m", module, "--help"]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        process.send_signal(signal.SIGTERM)
        _, written = process.communicate(timeout=60)
    assert (process.returncode, written) == (130, b"interrupted\n")


@pytest.fixture
def every_signal_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also two that follow each other at once."""
    monkeypatch.setattr(interrupts, "SAME_SECONDS", 0.0)


def raise_twice() -> None:
    """Two signals."""
    signal.raise_signal(signal.SIGTERM)
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)


@pytest.mark.usefixtures("every_signal_counts")
def test_the_first_signal_of_a_sweep_calls_and_the_second_raises() -> None:
    before = [signal.getsignal(number) for number in ENDING]
    heard: list[bool] = []
    with ending_gently(lambda: heard.append(True)):
        raise_twice()
    assert heard == [True]
    assert [signal.getsignal(number) for number in ENDING] == before


def test_signals_within_half_a_second_are_one() -> None:
    heard: list[bool] = []
    with ending_gently(lambda: heard.append(True)):
        for number in ENDING:
            signal.raise_signal(number)
    assert heard == [True]


def test_a_signal_that_python_dropped_is_heard_when_the_sweep_begins() -> None:
    with interruptible():
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt), ending_gently(lambda: None):
            raise AssertionError


def test_no_library_replaces_the_handlers() -> None:
    def foreign(_number: int, _frame: object) -> None:
        raise SystemExit(15)

    real, before = signal.signal, signal.getsignal(signal.SIGUSR1)
    heard: list[bool] = []
    with ending_gently(lambda: heard.append(True)), keeping_handlers():
        for number in ENDING:
            assert signal.signal(number, foreign) is signal.getsignal(number)
        signal.signal(signal.SIGUSR1, signal.SIG_IGN)
        signal.raise_signal(signal.SIGTERM)
    assert heard == [True]
    assert signal.getsignal(signal.SIGUSR1) is signal.SIG_IGN, "it concerns no other signal"
    assert signal.signal is real
    signal.signal(signal.SIGUSR1, before)


@pytest.mark.parametrize("context", [interruptible, lambda: ending_gently(lambda: None)])
def test_another_thread_than_the_main_one_hears_nothing(context: Callable[[], object]) -> None:
    entered: list[object] = []

    def enter() -> None:
        with context():  # type: ignore[attr-defined]
            entered.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
    assert entered == [signal.getsignal(signal.SIGTERM)]
