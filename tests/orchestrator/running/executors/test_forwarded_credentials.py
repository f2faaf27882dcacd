"""A sweep in an object store on a cluster that it joins: workers have the credentials that `--forward-env` names."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from orchestrator.sweep import main
from tests.end_to_end.conftest import environment, processes_in

LINE = ("tiny.yaml", "--seeds", "1", "--only", "w/o contrast", "--out", "out")
NAMED = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_ENDPOINT_URL", "AWS_DEFAULT_REGION")
START_SECONDS = 120


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[tuple[str, Path, dict[str, str]]]:
    """A cluster that knows no credentials: its address, its folder and what a driver needs to join it."""
    folder = Path(tempfile.mkdtemp(prefix="cs-", dir="/tmp"))  # short, for Ray's sockets
    token = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
    values = {key: value for key, value in environment().items() if not key.startswith(("AWS_", "PYTHONPATH"))}
    values |= token | {"HOME": str(tmp_path), "AWS_EC2_METADATA_DISABLED": "true"}
    port, client_port = free_ports(2)
    line = [str(Path(sys.executable).with_name("ray")), "start", "--head", "--block", "--disable-usage-stats"]
    line += ["--include-dashboard=false", f"--temp-dir={folder / 'r'}", "--node-ip-address=127.0.0.1"]
    line += [f"--port={port}", "--num-cpus=1", "--num-gpus=0"]
    line += [f"--ray-client-server-port={client_port}"] if find_spec("grpc") else []  # Ray refuses it without
    line += ["--min-worker-port=0", "--max-worker-port=0", "--dashboard-agent-listen-port=0"]
    log = folder / "ray.log"
    with log.open("wb") as output:
        head = subprocess.Popen(line, env=values, cwd=folder, stdout=output, stderr=output, start_new_session=True)
    try:
        deadline = time.monotonic() + START_SECONDS
        while "Ray runtime started" not in log.read_text():
            assert head.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.1)
        yield f"127.0.0.1:{port}", folder, token
    finally:
        head.send_signal(signal.SIGTERM)
        head.wait(60)
        for process in processes_in(folder):
            os.kill(process, signal.SIGKILL)
        shutil.rmtree(folder, ignore_errors=True)


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    found = [item.getsockname()[1] for item in sockets]
    for item in sockets:
        item.close()
    return found


@pytest.mark.slow  # a Ray cluster and two sweeps on it
@pytest.mark.usefixtures("tiny_space", "without_figures", "without_mlflow")
def test_workers_of_a_joined_cluster_have_the_credentials_that_are_named(
    cluster: tuple[str, Path, dict[str, str]],
    bucket: str,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    address, folder, token = cluster
    for name, value in token.items():
        monkeypatch.setenv(name, value)
    secret = os.environ["AWS_SECRET_ACCESS_KEY"]

    def sweep(*options: str) -> tuple[int, str]:
        code = main([*LINE, "--address", address, "--run-dir", f"{bucket}/runs", *options])
        return code, "".join(capfd.readouterr())

    code, shown = sweep()
    assert code == 1, shown
    (line,) = [line for line in shown.splitlines() if line.startswith("missing: w/o contrast")]
    assert f"{bucket}/runs: access refused (NoCredentialsError)" in line
    assert "nodes of a cluster have their own unless --forward-env names the variables" in line
    assert "Traceback" not in shown

    code, shown = sweep(*(word for name in NAMED for word in ("--forward-env", name)))
    assert code == 0, shown
    files = pytest.importorskip("s3fs").S3FileSystem(use_listings_cache=False)
    names = {Path(path).name for path in files.find(f"{bucket}/runs/trials")}
    assert {"attempt_001.json", "attempt_002.json", "last.pt"} <= names
    for path in (path for path in folder.rglob("*") if path.is_file() and not path.is_symlink()):
        assert secret.encode() not in path.read_bytes(), path
