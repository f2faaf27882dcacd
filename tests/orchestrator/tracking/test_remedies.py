"""Each failure of an MLflow store: made for real, recognised at once, and gone once its remedy is carried out. 6 s."""

import os
import re
import shlex
import shutil
import socket
import sqlite3
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path

import alembic.command
import mlflow.db
import mlflow.experiments
import pytest
from click.testing import CliRunner
from mlflow.exceptions import MlflowException
from mlflow.store.db.utils import _get_alembic_config
from mlflow.store.tracking.dbmodels.initial_models import Base as InitialBase
from sqlalchemy import create_engine, event
from sqlalchemy.engine import Engine

from orchestrator.errors import OutageError, TrackingError
from orchestrator.tracking.mlflow_errors import described
from orchestrator.tracking.mlflow_store import Server
from orchestrator.tracking.remedies import REMEDIES, diagnose
from tests.orchestrator.tracking.faulty_server import FaultyServer, half_body, reset, silence, status

NOBODY = 65534


@dataclass
class Bench:
    """A healthy database to break, and what must be undone after the test."""

    folder: Path
    monkeypatch: pytest.MonkeyPatch
    stack: ExitStack

    @property
    def database(self) -> Path:
        return self.folder / "mlflow.db"

    @property
    def uri(self) -> str:
        return f"sqlite:///{self.database}"

    def serve(self, server: FaultyServer) -> FaultyServer:
        return self.stack.enter_context(server)

    def listen(self, name: str, listener: Callable[..., object], **options: bool) -> Callable[[], None]:
        """Add a listener of SQLAlchemy; returns what removes it."""
        event.listen(Engine, name, listener, **options)
        removed: list[bool] = []

        def remove() -> None:
            if not removed:
                removed.append(True)
                event.remove(Engine, name, listener)

        self.stack.callback(remove)
        return remove


@dataclass
class Broken:
    """A store with a failure."""

    uri: str
    carry_out: Callable[[str], None]
    """Does what the message says, and nothing else."""
    path: str = "open"
    """`open`: the failure shows when the store is opened; `write`: when a run is written."""
    restored_uri: str = ""
    """Address after the remedy, where the remedy is another address."""


@pytest.fixture
def bench(migrated: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    folder = Path(tempfile.mkdtemp(prefix="mlflow-"))  # not below the folder of pytest, which other users may not enter
    folder.chmod(0o777)
    shutil.copy(migrated, folder / "mlflow.db")
    monkeypatch.chdir(folder)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
    monkeypatch.setattr("mlflow.tracking._tracking_service.utils._tracking_uri", None)  # other tests log models
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, folder)
        yield Bench(folder, monkeypatch, stack)


def use(uri: str) -> None:
    """Open the store and write a run, as a sweep does."""
    server = Server(uri, create=uri.startswith("sqlite"))
    if uri.startswith("sqlite"):
        run_id = server.create("a run", {"role": "trial"}, 100.0)
        server.end(run_id, "FINISHED")


def command_in(message: str) -> str:
    return re.findall(r"`(.*?)`", message)[0]


def run_mlflow(command: str) -> None:
    """Run `[NAME=VALUE] mlflow ...` in this process: the program takes seconds to start."""
    words = shlex.split(command)
    variables = dict(word.split("=", 1) for word in words if "=" in word.split("/")[0])
    group, *arguments = words[words.index("mlflow") + 1 :]
    commands = {"db": mlflow.db.commands, "experiments": mlflow.experiments.commands}
    done = CliRunner().invoke(commands[group], arguments, env=variables, catch_exceptions=False)
    assert done.exit_code == 0, done.output


def nothing(message: str) -> None:
    """The remedy is another address, or to wait."""


# -- one function a kind


def trash(bench: Bench) -> Broken:
    server = Server(bench.uri)
    server.client.delete_experiment(server.experiment)
    return Broken(bench.uri, lambda message: run_mlflow(command_in(message)))


def run_in_trash(bench: Bench) -> Broken:
    server = Server(bench.uri)
    run_id = server.create("a run", {}, 100.0)
    server.client.delete_run(run_id)
    with pytest.raises(OutageError) as caught:
        server.end(run_id, "FINISHED")
    assert caught.value.kind == "run in trash"
    return Broken(bench.uri, nothing, path="none")


def damaged(bench: Bench) -> Broken:
    def move(message: str) -> None:
        subprocess.run(["bash", "-c", command_in(message)], check=True, cwd=bench.folder)
        assert (bench.folder / "damaged" / "mlflow.db").exists()
        assert not list(bench.folder.glob("mlflow.db*"))
        bench.database.write_bytes(healthy)  # creating one takes seconds

    healthy = bench.database.read_bytes()
    bench.database.write_bytes(os.urandom(200_000))
    return Broken(bench.uri, move)


def older_schema(bench: Bench) -> Broken:
    """MLflow upgrades a database that lacks a table by itself, and this one does: MLflow must not see that."""
    bench.database.unlink()
    engine = create_engine(bench.uri)
    InitialBase.metadata.create_all(engine)
    with engine.begin() as connection:
        config = _get_alembic_config(bench.uri)
        config.attributes["connection"] = connection
        alembic.command.upgrade(config, "heads-1")
    engine.dispose()
    bench.monkeypatch.setattr("mlflow.store.db.utils._all_tables_exist", lambda engine: True)
    return Broken(bench.uri, lambda message: run_mlflow(command_in(message)))


def newer_schema(bench: Bench) -> Broken:
    shutil.copy(bench.database, bench.folder / "other.db")
    with closing(sqlite3.connect(bench.database)) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = 'ffffffffffff'")
    return Broken(bench.uri, nothing, restored_uri=f"sqlite:///{bench.folder / 'other.db'}")


def locked(bench: Bench) -> Broken:
    Server(bench.uri)
    holder = sqlite3.connect(bench.database)
    bench.stack.callback(holder.close)
    holder.execute("BEGIN EXCLUSIVE")

    def hurry(connection: object, cursor: object, statement: str, parameters: object, *_: object) -> tuple[str, object]:
        return statement.replace("busy_timeout = 20000", "busy_timeout = 10"), parameters

    bench.listen("before_cursor_execute", hurry, retval=True)
    return Broken(bench.uri, lambda message: holder.rollback(), path="write")


def full_disk(bench: Bench) -> Broken:
    Server(bench.uri)

    def limit(connection: sqlite3.Connection, _: object) -> None:
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
        connection.execute(f"PRAGMA max_page_count = {pages}")

    free = bench.listen("connect", limit)
    return Broken(bench.uri, lambda message: free(), path="fill")


def read_only(bench: Bench) -> Broken:
    if os.geteuid() != 0:
        pytest.skip("only root can become another user, for whom the database is read-only")
    Server(bench.uri)
    with closing(sqlite3.connect(bench.database)) as connection:
        connection.execute("PRAGMA journal_mode=DELETE")  # a reader of a write-ahead log needs to write
    bench.database.chmod(0o444)
    bench.folder.chmod(0o755)
    os.seteuid(NOBODY)
    bench.stack.callback(os.seteuid, 0)

    def make_writable(message: str) -> None:
        os.seteuid(0)
        bench.database.chmod(0o666)
        bench.folder.chmod(0o777)
        os.seteuid(NOBODY)

    return Broken(bench.uri, make_writable)


def no_database(bench: Bench) -> Broken:
    (bench.folder / "folder.db").mkdir()
    return Broken(f"sqlite:///{bench.folder / 'folder.db'}", nothing, restored_uri=bench.uri)


def address(bench: Bench) -> Broken:
    return Broken("gopher://nowhere", nothing, restored_uri=bench.uri)


def served(fault: Callable[[object], None]) -> Callable[[Bench], Broken]:
    """A server that answers each request with `fault` until somebody repairs it."""

    def make(bench: Bench) -> Broken:
        server = bench.serve(FaultyServer(fault))
        return Broken(server.uri, lambda message: setattr(server.http, "fault", None))

    return make


def no_mlflow(bench: Bench) -> Broken:
    other, right = bench.serve(FaultyServer(status(200, "<html>"))), bench.serve(FaultyServer())
    return Broken(other.uri, nothing, restored_uri=right.uri)


def credentials(bench: Bench) -> Broken:
    server = bench.serve(FaultyServer(password=True))

    def set_them(message: str) -> None:
        for name in re.findall(r"MLFLOW_TRACKING_\w+", message):
            bench.monkeypatch.setenv(name, "secret")

    return Broken(server.uri, set_them)


def plain_port(bench: Bench) -> Broken:
    server = bench.serve(FaultyServer())
    return Broken(server.uri.replace("http://", "https://"), nothing, restored_uri=server.uri)


def certificate(bench: Bench) -> Broken:
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed, which makes the certificate")
    paths = [bench.folder / "cert.pem", bench.folder / "key.pem"]
    line = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost"
    line += f" -addext subjectAltName=DNS:localhost -out {paths[0]} -keyout {paths[1]}"
    subprocess.run(shlex.split(line), check=True, capture_output=True)
    server = bench.serve(FaultyServer().with_certificate(*paths))

    def trust(message: str) -> None:
        (name,) = re.findall(r"MLFLOW_\w+", message)
        bench.monkeypatch.setenv(name, str(paths[0]))

    return Broken(server.uri, trust)


def nobody_answers(bench: Bench) -> Broken:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    return Broken(f"http://127.0.0.1:{port}", lambda message: bench.serve(FaultyServer(port=port)) and None)


def no_such_host(bench: Bench) -> Broken:
    return Broken("http://no.such.host.invalid:5000", nothing, restored_uri=bench.serve(FaultyServer()).uri)


FAULTS: dict[str, tuple[Callable[[Bench], Broken], ...]] = {
    "host name": (served(status(403, "Invalid Host header")),),
    "credentials": (credentials, served(status(403))),
    "address": (address,),
    "no MLflow": (no_mlflow, served(status(404)), served(status(405)), served(status(200, ""))),
    "TLS on a plain port": (plain_port,),
    "certificate": (certificate,),
    "no database": (no_database,),
    "trash": (trash,),
    "run in trash": (run_in_trash,),
    "damaged": (damaged,),
    "older schema": (older_schema,),
    "newer schema": (newer_schema,),
    "read-only": (read_only,),
    "locked": (locked,),
    "full disk": (full_disk, served(status(507))),
    "no such host": (no_such_host,),
    "nobody answers": (nobody_answers,),
    "too slow": (served(silence),),
    "broken connection": (served(half_body), served(reset)),
    "failing server": tuple(served(status(code)) for code in (429, 500, 502, 503, 504)),
}
LEFT_OUT = {
    "driver": "depends on what is installed",
    "no locks": "needs a file system without locks",
    "failing disk": "needs a disk that fails",
    "created at once": "needs two programs in the same millisecond",
}
MESSAGES = {
    "driver": " ModuleNotFoundError: No module named 'psycopg2'",
    "no locks": "503 TEMPORARILY_UNAVAILABLE MlflowException: (sqlite3.OperationalError) locking protocol",
    "failing disk": "503 TEMPORARILY_UNAVAILABLE MlflowException: (sqlite3.OperationalError) disk I/O error",
    "created at once": "400 RESOURCE_ALREADY_EXISTS MlflowException: Experiment(name=contrast-sweep) already exists.",
}


def test_every_kind_is_tested() -> None:
    assert FAULTS.keys() | LEFT_OUT.keys() == REMEDIES.keys()
    for kind, message in MESSAGES.items():
        error = diagnose("sqlite:///mlflow.db", message)
        assert error is not None
        assert error.kind == kind
        assert "{" not in str(error)


@pytest.mark.parametrize("uri", ["sqlite:///a b.db", "http://anna:secret@here", "postgresql://anna:secret@here/mlflow"])
def test_every_message_is_complete_for_every_kind_of_store(uri: str) -> None:
    for kind, remedy in REMEDIES.items():
        groups = dict.fromkeys(re.compile(remedy.signs).groupindex, "7")
        text = f"{remedy.cause} {remedy.advice} {remedy.of_server}"
        assert set(re.findall(r"\{(\w+)\}", text)) <= {*groups, "uri", "path", "status"}, kind
        assert re.search(r"\{path\}", remedy.advice) is None or remedy.of_server, kind


@pytest.mark.parametrize(
    ("kind", "number"), [(kind, number) for kind, made in FAULTS.items() for number in range(len(made))]
)
def test_a_failure_is_recognised_at_once_and_its_remedy_works(bench: Bench, kind: str, number: int) -> None:
    broken = FAULTS[kind][number](bench)
    if broken.path == "none":
        return
    began = time.monotonic()
    with pytest.raises(TrackingError) as caught:
        fill(broken.uri) if broken.path == "fill" else use(broken.uri)
    assert time.monotonic() - began < 30, "no silent retries"
    error = caught.value
    assert (error.kind, type(error)) == (kind, REMEDIES[kind].error), error
    assert str(error).startswith(broken.uri), error
    assert "\n" not in str(error)
    assert "{" not in str(error)
    broken.carry_out(str(error))
    use(broken.restored_uri or broken.uri)


def fill(uri: str) -> None:
    """Write until the disk is full."""
    server = Server(uri)
    for number in range(1000):
        server.create(f"run {number}", {"note": "x" * 5000}, 100.0)


def test_values_in_a_statement_are_no_signs() -> None:
    """SQLAlchemy quotes the statement with the user's values in its messages."""
    error = MlflowException("(sqlite3.IntegrityError) NOT NULL [SQL: INSERT INTO tags VALUES ('database is locked')]")
    assert diagnose("sqlite:///mlflow.db", f"400 {described(error)}") is None


def test_an_io_error_on_a_disk_without_space_is_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    uri, failure = f"sqlite:///{tmp_path}/mlflow.db", "503 TEMPORARILY_UNAVAILABLE MlflowException: disk I/O error"
    usage = shutil.disk_usage(tmp_path)
    for free, kind in ((0, "full disk"), (1_000_000_000, "failing disk")):
        monkeypatch.setattr(shutil, "disk_usage", lambda _path, free=free: usage._replace(free=free))
        error = diagnose(uri, failure)
        assert error is not None
        assert error.kind == kind
