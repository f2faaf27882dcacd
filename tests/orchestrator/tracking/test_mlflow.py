"""The door to MLflow: errors of one line, readers beside the writer."""

import sqlite3
from contextlib import closing

import pytest

from orchestrator.errors import AccessError, OutageError
from orchestrator.tracking.mlflow import Server
from tests.orchestrator.tracking.conftest import World


def test_the_database_lets_readers_in_while_it_is_written(world: World) -> None:
    Server(world.uri)
    with closing(sqlite3.connect(world.uri.removeprefix("sqlite:///"))) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_an_address_of_no_store_is_one_line() -> None:
    with pytest.raises(AccessError, match=r"gopher://nowhere: no tracking store of MLflow; it is an address such as"):
        Server("gopher://nowhere")


def test_a_server_that_is_down_is_an_outage_and_its_password_is_not_told() -> None:
    with pytest.raises(OutageError) as caught:
        Server("http://anna:verysecret@127.0.0.1:1")
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith("http://127.0.0.1:1: ")
    assert "verysecret" not in str(caught.value)
