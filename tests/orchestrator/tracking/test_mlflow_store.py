"""The MLflow store: errors of one line, and readers beside the writer."""

import errno
import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from mlflow.server.security_utils import INVALID_HOST_MSG
from mlflow.utils.rest_utils import verify_rest_response
from requests import Response
from sqlalchemy import create_engine, event, text
from sqlalchemy.engine import Engine

from orchestrator.errors import AccessError, OutageError
from orchestrator.tracking.mlflow_database import create_database, spare_syncs, sync_seldom
from orchestrator.tracking.mlflow_store import Server
from tests.flushes import flushing
from tests.orchestrator.tracking.conftest import World


def test_the_database_lets_readers_in_while_it_is_written(world: World) -> None:
    Server(world.uri)
    with closing(sqlite3.connect(world.uri.removeprefix("sqlite:///"))) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_only_a_process_that_asks_for_it_waits_less_for_the_disk(tmp_path: Path) -> None:
    """Other databases of a notebook that imports us are not ours to set up."""
    full, normal = 2, 1

    def level(mode: str) -> int:
        path = tmp_path / f"{mode}.db"
        with closing(sqlite3.connect(path)) as connection:
            connection.execute(f"PRAGMA journal_mode={mode}")
        with create_engine(f"sqlite:///{path}").connect() as connection:
            return int(connection.execute(text("PRAGMA synchronous")).scalar_one())

    with flushing():
        assert level("wal") == full
        for _ in range(2):
            spare_syncs()
        try:
            assert level("wal") == normal
            assert level("delete") == full, "without a write-ahead log, a power failure could damage the database"
        finally:
            event.remove(Engine, "connect", sync_seldom)
        assert level("wal") == full


class WithoutSharedMemory(sqlite3.Connection):
    """A file system on which processes cannot share memory: SQLite finds that out when it first uses the log."""

    def execute(self, statement: str, *values: object) -> sqlite3.Cursor:
        if statement.startswith("SELECT count") and super().execute("PRAGMA journal_mode").fetchone() == ("wal",):
            raise sqlite3.OperationalError("disk I/O error")
        return super().execute(statement, *values)


@pytest.mark.parametrize("kind", ["ext4", "nfs4"])
def test_a_database_where_a_log_cannot_be_used_keeps_its_journal(
    migrated: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    path = tmp_path / "mlflow.db"
    path.write_bytes(migrated.read_bytes())
    real = sqlite3.connect
    monkeypatch.setattr("orchestrator.tracking.mlflow_database.file_system", lambda folder: kind)
    if kind == "ext4":
        monkeypatch.setattr(sqlite3, "connect", lambda path: real(path, factory=WithoutSharedMemory))
    Server(f"sqlite:///{path}")
    with closing(real(path)) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("delete",)


@pytest.mark.parametrize("number", [errno.EPERM, errno.ENOTSUP, errno.EXDEV, errno.ENOSYS, errno.EMLINK])
def test_a_database_is_created_where_there_are_no_hard_links(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def refuse(source: object, target: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "link", refuse)
    monkeypatch.setattr("orchestrator.tracking.mlflow_database.MlflowClient", Creating)
    monkeypatch.setattr(Creating, "dies", False)
    path = tmp_path / "mlflow.db"
    create_database(f"sqlite:///{path}")
    assert path.read_text() == "whole"
    assert list(tmp_path.iterdir()) == [path]


def test_an_address_of_no_store_is_one_line() -> None:
    with pytest.raises(AccessError, match=r"gopher://nowhere: not an MLflow tracking store; use an address such as"):
        Server("gopher://nowhere")


def test_a_server_that_is_down_is_an_outage_and_its_password_is_not_told() -> None:
    with pytest.raises(OutageError) as caught:
        Server("http://anna:verysecret@127.0.0.1:1")
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith("http://127.0.0.1:1: ")
    assert "verysecret" not in str(caught.value)


def test_a_rejected_host_name_is_not_reported_as_a_wrong_password(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object) -> None:
        answer = Response()
        answer.status_code, answer._content = 403, INVALID_HOST_MSG.encode()
        verify_rest_response(answer, "/api/2.0/mlflow/experiments/get-by-name")

    monkeypatch.setattr("orchestrator.tracking.mlflow_store.MlflowClient.get_experiment_by_name", refuse)
    with pytest.raises(AccessError, match=r"^http://mlflow\.lab: MLflow rejects this host name; .*--allowed-hosts"):
        Server("http://mlflow.lab")


class Creating:
    """Stands for a client that makes its database in two steps; the second may be interrupted."""

    dies = True

    def __init__(self, tracking_uri: str) -> None:
        self.path = Path(tracking_uri.removeprefix("sqlite:///"))
        self.path.write_text("half")

    def search_experiments(self) -> None:
        if self.dies:
            raise KeyboardInterrupt
        self.path.write_text("whole")


def test_a_database_has_its_name_only_when_it_is_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """MLflow refuses for ever a database whose creation a SIGKILL cut short."""
    path = tmp_path / "mlflow.db"
    monkeypatch.setattr("orchestrator.tracking.mlflow_database.MlflowClient", Creating)
    with pytest.raises(KeyboardInterrupt):
        create_database(f"sqlite:///{path}")
    assert not path.exists()
    monkeypatch.setattr(Creating, "dies", False)
    create_database(f"sqlite:///{path}")
    assert path.read_text() == "whole"
    assert list(tmp_path.iterdir()) == [path]
    monkeypatch.setattr(Creating, "dies", True)
    create_database(f"sqlite:///{path}")  # one that is there is left alone
    create_database("http://127.0.0.1:1")
    create_database(f"sqlite:///{tmp_path / 'nowhere' / 'mlflow.db'}")  # MLflow says what is wrong
