"""A private cluster: nobody else reaches its ports, its files or its token, and nothing is left of it."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import ray

from orchestrator.errors import SweepError
from orchestrator.running.executors import ray_cluster, ray_daemons, ray_isolation, session_folder
from orchestrator.running.executors.ray_tune import RayTune
from orchestrator.running.task import Task
from orchestrator.store.attempt_record import AttemptRecord, Point, State
from orchestrator.testing.executor import RecordingController, make_tasks

LOOPBACK = {"0100007F", "0000000000000000FFFF00000100007F", "00000000000000000000000001000000"}
"""127.0.0.1, ::ffff:127.0.0.1 and ::1, as /proc/net/tcp and /proc/net/tcp6 write them."""

MARK = "CONTRAST_SWEEP_TEST_CLUSTER=here"
SHELL = {
    "RAY_AUTH_MODE": "disabled",
    "RAY_AUTH_TOKEN": "token-of-another-cluster",
    "AWS_SECRET_ACCESS_KEY": "aws-secret",
    "CONTRAST_SWEEP_TEST_CLUSTER": "here",
}
"""What the user's shell has set."""


@dataclass(frozen=True, kw_only=True)
class Private:
    """A private cluster that has run a trial."""

    executor: RayTune
    folder: Path
    found: dict[str, str]
    """What the trial found in its process."""
    sockets_before: set[str] = field(default_factory=set)
    """Those of this process before the start."""


@pytest.fixture(scope="module")
def private(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Private]:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in SHELL.items():
            patch.setenv(name, value)
        sockets_before = set(sockets_of(os.getpid()))
        executor = RayTune(work=looking_work(), environment={"FORWARDED": "value"})
        try:
            controller = RecordingController(make_tasks(1, tmp_path_factory.mktemp("work")))
            executor.run(controller)
            (record,) = controller.records().values()
            folder = Path(ray._private.worker._global_node.get_session_dir_path()).parents[1]
            yield Private(
                executor=executor, folder=folder, found=dict(record.environment), sockets_before=sockets_before
            )
        finally:
            executor.shutdown()
        assert not folder.exists()
        assert {name: os.environ.get(name) for name in SHELL} == SHELL
        assert "RAY_AUTH_TOKEN_PATH" not in os.environ


def looking_work() -> Callable[[Task, Callable[[Point], None]], AttemptRecord]:
    """Work that reports what it finds in its process."""

    def work(task: Task, report: Callable[[Point], None]) -> AttemptRecord:
        now, umask = time.time(), os.umask(0)
        os.umask(umask)
        names = ("FORWARDED", "AWS_SECRET_ACCESS_KEY", "RAY_AUTH_TOKEN")
        given = {name: "yes" for name in names if name in os.environ}
        return AttemptRecord(
            trial_id=task.trial_id,
            attempt=task.attempt,
            state=State.DONE,
            started_at=now,
            ended_at=now,
            environment={"umask": f"{umask:o}", **given},
        )

    return work


def sockets_of(process: int) -> Iterator[str]:
    """Inodes of the sockets that a process has open."""
    for entry in Path(f"/proc/{process}/fd").iterdir():
        try:
            target = str(entry.readlink())
        except OSError:
            continue
        if target.startswith("socket:["):
            yield target[8:-1]


def processes() -> Iterator[int]:
    """Ids of the cluster's processes."""
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if MARK.encode() in (entry / "environ").read_bytes().split(b"\0"):
                yield int(entry.name)
        except OSError:
            continue


def listening() -> dict[str, str]:
    """Addresses of the listening TCP sockets of this machine, by inode."""
    lines = [line.split() for name in ("tcp", "tcp6") for line in Path(f"/proc/net/{name}").read_text().splitlines()]
    return {words[9]: words[1] for words in lines if words[3] == "0A"}


def test_every_port_of_the_cluster_is_on_the_loopback_interface(private: Private) -> None:
    names = {number: Path(f"/proc/{number}/comm").read_text().strip() for number in processes()}
    sockets = {inode: name for number, name in names.items() for inode in sockets_of(number)}
    sockets |= dict.fromkeys(set(sockets_of(os.getpid())) - private.sockets_before, "driver")
    found = {(sockets[inode], address) for inode, address in listening().items() if inode in sockets}
    assert {"gcs_server", "raylet", "driver"} <= {name for name, _ in found}
    assert [(name, address) for name, address in found if address.partition(":")[0] not in LOOPBACK] == []


def test_a_process_with_another_token_is_refused(private: Private) -> None:
    code = "import sys; from ray._raylet import GcsClient; GcsClient(address=sys.argv[1]).internal_kv_keys(b'', b'')"
    address = ray.get_runtime_context().gcs_address
    for token, expected in ((None, 0), ("another", 1)):
        given = (private.folder / "token").read_text() if token is None else token
        shell = {**os.environ, "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": given}
        done = subprocess.run([sys.executable, "-c", code, address], env=shell, capture_output=True, text=True)
        assert done.returncode == expected, done.stderr
    assert "InvalidAuthToken" in done.stderr


def test_the_folder_is_closed_to_others_and_holds_what_the_cluster_writes(private: Private) -> None:
    assert f"{private.folder.stat().st_mode & 0o777:o}" == "700"
    assert f"{(private.folder / 'token').stat().st_mode & 0o777:o}" == "600"
    logs = [path for path in private.folder.glob("ray/session_*/logs/*") if path.is_file()]
    assert len(logs) > 5
    assert [str(path) for path in logs if path.stat().st_mode & 0o077] == [], "umask 077"


def test_a_trial_has_the_users_umask_and_the_variables_that_travel(private: Private) -> None:
    umask = os.umask(0)
    os.umask(umask)
    expected = {"umask": f"{umask:o}", "FORWARDED": "yes", "AWS_SECRET_ACCESS_KEY": "yes"}
    assert {key: private.found.get(key) for key in expected} == expected
    assert "RAY_AUTH_TOKEN" not in private.found


def test_no_variable_is_forwarded_by_tune_and_no_log_holds_a_secret(private: Private) -> None:
    from ray.tune.execution.class_cache import ENV_VARS_TO_PROPAGATE

    assert {name for name in ENV_VARS_TO_PROPAGATE if not name.startswith(("RAY_", "TUNE_", "TRAIN_"))} <= {
        "NCCL_RAS_ADDR",
        "TORCHFT_LIGHTHOUSE",
    }
    held = [path for path in private.folder.rglob("*") if path.is_file() and b"aws-secret" in path.read_bytes()]
    assert held == []


def test_ray_still_has_the_private_names_that_we_use() -> None:
    assert ray._private.ray_constants.ENABLE_RAY_CLUSTER is True, "on_loopback"
    from ray.job_config import JobConfig
    from ray.tune.execution.class_cache import ENV_VARS_TO_PROPAGATE

    assert isinstance(ENV_VARS_TO_PROPAGATE, set), "forward_no_secrets"
    job = JobConfig.from_json({"client_job": True})  # job_of_this_path
    assert job._client_job is True
    assert JobConfig()._client_job is False
    from ray._private.node import Node

    assert all(callable(getattr(Node, name)) for name in ray_daemons.NOT_STARTED), "without_daemons"


def test_a_ray_without_them_starts_and_a_line_says_what_is_lacking(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(ray_isolation, "private", lambda _: None)
    monkeypatch.setattr(ray_daemons, "private", lambda _: None)
    with ray_daemons.without_daemons():
        pass
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "aws-secret")
    with ray_isolation.on_loopback():
        pass
    ray_isolation.forward_no_secrets()
    assert caplog.messages == [
        "this version of Ray listens on all network interfaces; only its token keeps other users out",
        "this version of Ray may write AWS_SECRET_ACCESS_KEY into its logs; unset what trials do not need",
    ]
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    caplog.clear()
    ray_isolation.forward_no_secrets()
    assert caplog.messages == []


def test_a_module_that_ray_does_not_have_is_none() -> None:
    assert ray_isolation.private("ray.a_module_of_another_version") is None


def test_a_cluster_that_does_not_start_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(**options: object) -> None:
        assert list(tmp_path.glob("contrast-*/ray-*/token"))
        raise Exception("The current node timed out\nduring startup.")  # as Ray does

    monkeypatch.setattr(session_folder, "socket_folder", lambda: (tmp_path, 0))
    monkeypatch.setattr(ray, "init", fail)
    monkeypatch.setattr(ray, "shutdown", lambda: None)
    before, umask = dict(os.environ), os.umask(0o022)
    try:
        with (
            pytest.raises(SweepError, match=r"cannot start a local Ray cluster \(The curr"),
            ExitStack() as undone,
        ):
            ray_cluster.start(undone)
        assert os.umask(0o022) == 0o022
    finally:
        os.umask(umask)
    assert dict(os.environ) == before
    assert list(tmp_path.glob("contrast-*/ray-*")) == []
