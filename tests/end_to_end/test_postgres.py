"""The set-up of a team, as deploy/mlflow.md has it: `mlflow server` on a real PostgreSQL, with users and passwords."""

from __future__ import annotations

import base64
import importlib.util
import os
import re
import secrets
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from orchestrator.__main__ import main as orchestrator
from orchestrator.commands.sync import differences
from orchestrator.commands.ui import free_port
from tests.end_to_end.conftest import PROJECT, TINY_SPACE, run_module
from tests.end_to_end.tracking_server import TrackingServer

BINARIES = next((path.parent for path in sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))), None)
MISSING = [name for name in ("psycopg2", "flask_wtf") if importlib.util.find_spec(name) is None]
OWNER = "postgres"
"""PostgreSQL refuses to run as root; its Debian package makes this user."""
PAGE = PROJECT / "deploy" / "mlflow.md"

pytestmark = [
    pytest.mark.slow,  # a database, a server and a sweep
    pytest.mark.skipif(BINARIES is None, reason="no PostgreSQL (Debian: apt-get install postgresql)"),
    pytest.mark.skipif(bool(MISSING), reason=f"not installed: {', '.join(MISSING)} (psycopg2-binary, mlflow[auth])"),
]


@dataclass(frozen=True, kw_only=True)
class Database:
    """A PostgreSQL cluster of the test's own."""

    port: int
    log: Path
    password: str
    pass_file: Path
    """What libpq reads the password from."""

    def run(self, program: str, *arguments: str) -> str:
        """Output of one of PostgreSQL's clients."""
        assert BINARIES is not None
        line = [str(BINARIES / program), "-h", "127.0.0.1", "-p", str(self.port), "-U", "mlflow", *arguments]
        environment = os.environ | {"PGPASSFILE": str(self.pass_file)}
        return subprocess.run(line, env=environment, check=True, capture_output=True, text=True).stdout


@pytest.fixture
def database() -> Iterator[Database]:
    """The two databases of the page, on a port of their own, for one user with a password."""
    as_owner = {"user": OWNER, "group": OWNER} if os.getuid() == 0 else {}
    folder = Path(tempfile.mkdtemp(prefix="postgres_"))  # not below pytest's folder, which is closed to other users
    found = Database(
        port=free_port(), log=folder / "log.txt", password=secrets.token_hex(), pass_file=folder / "pgpass"
    )
    found.pass_file.touch(mode=0o600)
    found.pass_file.write_text(f"127.0.0.1:{found.port}:*:mlflow:{found.password}\n", encoding="utf-8")
    given = folder / "given"
    given.write_text(found.password, encoding="utf-8")
    if as_owner:
        shutil.chown(folder, OWNER, OWNER)
    assert BINARIES is not None
    data = folder / "data"
    quiet = {"stdout": subprocess.DEVNULL, "cwd": folder, "check": True, **as_owner}
    checked = ["-A", "scram-sha-256", "-U", "mlflow", f"--pwfile={given}"]
    subprocess.run([BINARIES / "initdb", "-D", data, "--no-sync", *checked], **quiet)
    options = f"-p {found.port} -k {folder} -c listen_addresses=127.0.0.1 -c fsync=off"
    subprocess.run([BINARIES / "pg_ctl", "-D", data, "-w", "-l", found.log, "-o", options, "start"], **quiet)
    try:
        for name in ("mlflow", "mlflow_users"):
            found.run("createdb", name)
        yield found
    finally:
        subprocess.run([BINARIES / "pg_ctl", "-D", data, "-m", "immediate", "stop"], **quiet)
        shutil.rmtree(folder)


@pytest.fixture
def passwords() -> dict[str, str]:
    """By user; random, so that a patch of uncommitted changes cannot hold them."""
    return {name: secrets.token_hex() for name in ("admin", "anna", "bert")}


@pytest.fixture
def server(
    database: Database, folder: Path, passwords: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[TrackingServer]:
    """The server as the page starts it, with the addresses of the test."""
    here = {
        "@db.lab/": f"@127.0.0.1:{database.port}/",
        "s3://lab-mlflow": str(folder / "server" / "artifacts"),
        "'mlflow.lab,mlflow.lab:5000'": "'127.0.0.1:*'",
    }
    page = PAGE.read_text(encoding="utf-8").replace("\\\n", " ")
    for there, value in here.items():
        assert there in page
        page = page.replace(there, value)
    settings = re.search(r"^```ini\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
    command = re.search(r"^mlflow server (.*) --host 0.0.0.0 --port 5000 (.*)$", page, re.MULTILINE)
    assert settings is not None
    assert command is not None
    auth = tmp_path_factory.mktemp("etc") / "auth.ini"
    auth.write_text(settings[1], encoding="utf-8")
    environment = {
        "MLFLOW_AUTH_CONFIG_PATH": str(auth),
        "MLFLOW_AUTH_ADMIN_PASSWORD": passwords["admin"],
        "MLFLOW_FLASK_SERVER_SECRET_KEY": secrets.token_hex(),
        "PGPASSFILE": str(database.pass_file),
    }
    server = TrackingServer(folder / "server", *shlex.split(command[1] + command[2]), environment=environment)
    yield server.start()
    server.kill()


@pytest.mark.usefixtures("without_figures")
@pytest.mark.filterwarnings("ignore:starlette.middleware.wsgi is deprecated")  # by MLflow, where users are made
def test_a_sweep_logs_and_no_secret_is_found_anywhere(
    server: TrackingServer,
    database: Database,
    folder: Path,
    passwords: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    from mlflow.server import get_app_client

    (folder / "tiny.yaml").write_text(TINY_SPACE.replace("seeds: 2", "seeds: 1"), encoding="utf-8")

    def become(name: str, password: str) -> None:
        user = {"MLFLOW_TRACKING_URI": server.uri, "MLFLOW_TRACKING_USERNAME": name}
        user["MLFLOW_TRACKING_PASSWORD"] = password
        for key, value in user.items():
            monkeypatch.setenv(key, value)
        whole = os.environ | {"OMP_NUM_THREADS": "1"}
        monkeypatch.setattr("tests.end_to_end.conftest.environment", lambda: whole)

    become("admin", passwords["admin"])
    users = get_app_client("basic-auth", tracking_uri=server.uri)
    for name in ("anna", "bert"):
        users.create_user(name, passwords[name])

    wrong = secrets.token_hex()
    become("anna", wrong)
    refused = run_module(folder, "orchestrator.sweep", "tiny.yaml", "--executor", "serial")
    assert refused.returncode == 2, refused.stdout
    assert refused.stderr.startswith(f"{server.uri}: MLflow refuses access; set MLFLOW_TRACKING_USERNAME")
    assert len(refused.stderr.splitlines()) == 1
    assert not list(folder.glob("runs/trials/*")), "no trial started"

    become("anna", passwords["anna"])
    done = run_module(folder, "orchestrator.sweep", "tiny.yaml", "--executor", "serial")  # on Ray: test_secrets
    assert done.returncode == 0, done.stdout + done.stderr
    assert "MLflow lacks" not in done.stdout
    assert "View run" not in done.stdout, "MLflow itself prints nothing"

    become("bert", passwords["bert"])
    assert differences(folder / "runs", "tiny", server.uri) == [], "all may read"
    assert orchestrator(["sync", "tiny.yaml"]) == 2
    assert capsys.readouterr().err.startswith(f"{server.uri}: MLflow refuses access; set MLFLOW_TRACKING_USERNAME")
    become("anna", passwords["anna"])
    get_app_client("basic-auth", tracking_uri=server.uri).grant_user_permission("bert", "experiment", "1", "EDIT")
    become("bert", passwords["bert"])
    assert orchestrator(["sync", "tiny.yaml"]) == 0

    written = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert [path for path in written if path.is_relative_to(server.folder) and path.suffix == ".png"]
    written[database.log] = database.log.read_bytes()
    for name in ("mlflow", "mlflow_users"):
        written[Path(f"dump of {name}")] = database.run("pg_dump", name).encode()
    assert b"anna" in written[Path("dump of mlflow_users")]
    for path, result in {"refused": refused, "done": done}.items():
        written[Path(path)] = (result.stdout + result.stderr).encode()
    hidden = [database.password.encode()]
    for name, password in (*passwords.items(), ("anna", wrong)):
        hidden += [password.encode(), base64.b64encode(f"{name}:{password}".encode())]
    assert [path for path, text in written.items() if any(secret in text for secret in hidden)] == []
