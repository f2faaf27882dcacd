"""Shared by all tests: one thread a process, signals as in a terminal, folders for caches, and a database of MLflow."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.end_to_end import mishaps
from tests.flushes import flush_never
from trainer.data.reading.cache import CACHE_FOLDER

# Threads that wait for each other take ten times as long when other processes use the cores. torch reads it when it is
# imported, and processes that tests start inherit it.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# torch reads it once per process, before the first product on a CUDA device, so a test cannot set it later.
os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
# `nohup make test &` starts it with these signals ignored, and programs that tests start would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)
for ignored in (signal.SIGHUP, signal.SIGQUIT):
    signal.signal(ignored, signal.SIG_DFL)


TEARDOWN_SECONDS = 300.0
teardown_limits: list[threading.Timer] = []


def pytest_exception_interact() -> None:
    """pytest-timeout stops counting when a test fails; a teardown that hangs ends the run, with every stack."""
    limit = threading.Timer(TEARDOWN_SECONDS, os.kill, [os.getpid(), signal.SIGABRT])
    limit.daemon = True
    limit.start()
    teardown_limits.append(limit)


def pytest_runtest_logfinish() -> None:
    """The test and its teardown are over."""
    while teardown_limits:
        teardown_limits.pop().cancel()


@pytest.fixture(scope="session", autouse=True)
def without_flushes() -> Iterator[None]:
    """Nothing is to survive a crash of the machine, and a flush takes milliseconds. Tests of flushes count them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda descriptor: None)
        yield


@pytest.fixture(scope="session", autouse=True)
def private_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A cache of decoded images for this test run, which processes that tests start inherit."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(os.environ, CACHE_FOLDER, str(tmp_path_factory.mktemp("decoded")))
        yield


PROJECT = Path(__file__).resolve().parents[1]
WRITTEN_BY_SWEEPS = ("runs", "mlruns", "mlartifacts", "mlflow.db*", "reports/out")
"""What a sweep or MLflow leaves in the current folder."""


def written_by_sweeps() -> set[Path]:
    """All such files in the checkout."""
    places = [place for pattern in WRITTEN_BY_SWEEPS for place in PROJECT.glob(pattern)]
    return {*places, *(path for place in places for path in place.rglob("*"))}


@pytest.fixture(scope="session", autouse=True)
def current_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Tests run in an empty folder, because MLflow and sweeps write to the current one; the checkout stays as it is."""
    before = written_by_sweeps()
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("current"))
        yield
    left = sorted(written_by_sweeps() - before)
    assert not left, f"tests left {len(left)} files in the checkout, the first is {left[0]}"


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with MLflow's schema; creating one takes seconds, copying it does not."""
    from mlflow import MlflowClient
    from sqlalchemy import event
    from sqlalchemy.engine import Engine

    event.listen(Engine, "connect", flush_never)
    path = tmp_path_factory.mktemp("mlflow") / "mlflow.db"
    MlflowClient(tracking_uri=f"sqlite:///{path}").search_experiments()
    return path


@pytest.fixture
def without_mlflow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sweeps in this process are mirrored nowhere: the process that does it imports MLflow, which takes seconds."""
    from tests.orchestrator.conftest import NoFollower

    monkeypatch.setattr("orchestrator.api.open_follower", lambda options, name: NoFollower())


@pytest.fixture
def without_figures(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sweeps draw no figures, which takes seconds: neither in this process nor in those that it starts."""
    monkeypatch.setattr("reports.figures.choose.choose", lambda *given, **named: {})
    hook = tmp_path_factory.mktemp("hooks") / "hook"
    for name, value in mishaps.install(hook, "WITHOUT_FIGURES").items():
        monkeypatch.setenv(name, value)
