"""The set-up of a team: `mlflow server` on a real PostgreSQL, with basic authentication, and artifacts through it."""

import base64
import importlib.util
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestrator.sync import differences
from orchestrator.ui import free_port
from tests.end_to_end.conftest import TINY_SPACE, run_module
from tests.end_to_end.tracking_server import TrackingServer

BINARIES = next((path.parent for path in sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))), None)
MISSING = [name for name in ("psycopg2", "flask_wtf") if importlib.util.find_spec(name) is None]
OWNER = "postgres"
"""PostgreSQL refuses to run as root; its Debian package makes this user."""
ADMIN, SECRET = "admin", "averylongsecret"

pytestmark = [
    pytest.mark.slow,  # a database, a server and a sweep
    pytest.mark.skipif(BINARIES is None, reason="no PostgreSQL (Debian: apt-get install postgresql)"),
    pytest.mark.skipif(bool(MISSING), reason=f"not installed: {', '.join(MISSING)} (psycopg2-binary, mlflow[auth])"),
]


@pytest.fixture
def database() -> Iterator[str]:
    """Address of a fresh database on a port of its own."""
    as_owner = {"user": OWNER, "group": OWNER} if os.getuid() == 0 else {}
    folder = Path(tempfile.mkdtemp(prefix="postgres_"))  # not below pytest's folder, which is closed to other users
    if as_owner:
        shutil.chown(folder, OWNER, OWNER)
    assert BINARIES is not None
    data, port = folder / "data", free_port()
    quiet = {"stdout": subprocess.DEVNULL, "cwd": folder, "check": True, **as_owner}
    subprocess.run([BINARIES / "initdb", "-D", data, "-A", "trust", "-U", "team", "--no-sync"], **quiet)
    options = f"-p {port} -k {folder} -c listen_addresses=127.0.0.1 -c fsync=off"
    start = [BINARIES / "pg_ctl", "-D", data, "-w", "-l", folder / "log.txt", "-o", options, "start"]
    subprocess.run(start, **quiet)
    try:
        for name in ("mlflow", "users"):
            subprocess.run([BINARIES / "createdb", "-h", "127.0.0.1", "-p", str(port), "-U", "team", name], **quiet)
        yield f"postgresql://team@127.0.0.1:{port}"
    finally:
        subprocess.run([BINARIES / "pg_ctl", "-D", data, "-m", "immediate", "stop"], **quiet)
        shutil.rmtree(folder)


@pytest.fixture
def server(database: str, folder: Path) -> Iterator[TrackingServer]:
    """The server; one user, who has a secret."""
    config = folder / "server" / "auth.ini"
    config.parent.mkdir()
    config.write_text(
        "[mlflow]\ndefault_permission = READ\n"
        f"database_uri = {database}/users\nadmin_username = {ADMIN}\nadmin_password = {SECRET}\n"
    )
    environment = {"MLFLOW_AUTH_CONFIG_PATH": str(config), "MLFLOW_FLASK_SERVER_SECRET_KEY": "of this test"}
    server = TrackingServer(
        folder / "server", "--app-name", "basic-auth", backend=f"{database}/mlflow", environment=environment
    )
    yield server.start()
    server.kill()


def test_a_sweep_logs_and_its_secret_is_found_nowhere(
    server: TrackingServer, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "tiny.yaml").write_text(TINY_SPACE.replace("seeds: 2", "seeds: 1"), encoding="utf-8")
    monkeypatch.setattr("tests.end_to_end.conftest.environment", lambda: as_user("nobody's"))
    line = ("orchestrator.sweep", "tiny.yaml", "--tracking-uri", server.uri)
    refused = run_module(folder, *line)
    assert refused.returncode == 2, refused.stdout
    assert refused.stderr.startswith(f"{server.uri}: MLflow refuses access; set MLFLOW_TRACKING_USERNAME")
    assert len(refused.stderr.splitlines()) == 1
    assert not list(folder.glob("runs/trials/*")), "no trial started"

    monkeypatch.setattr("tests.end_to_end.conftest.environment", lambda: as_user(SECRET))
    done = run_module(folder, *line)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "MLflow lacks" not in done.stdout

    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", ADMIN)
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", SECRET)
    assert differences(folder / "runs", "tiny", server.uri) == []
    secrets = (SECRET.encode(), base64.b64encode(f"{ADMIN}:{SECRET}".encode()))
    kept = [path for path in folder.rglob("*") if path.is_file() and path.suffix not in (".ini", ".patch")]
    assert [path for path in kept if path.suffix == ".png"], "artifacts went through the server"
    found = [path for path in kept if any(secret in path.read_bytes() for secret in secrets)]
    assert found == []
    assert SECRET not in done.stdout + done.stderr


def as_user(password: str) -> dict[str, str]:
    """The environment of the admin, or of somebody who would like to be."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("MLFLOW")}
    return kept | {
        "MLFLOW_TRACKING_USERNAME": ADMIN,
        "MLFLOW_TRACKING_PASSWORD": password,
        "OMP_NUM_THREADS": "1",
    }
