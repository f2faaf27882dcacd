"""What MLflow and its libraries raise, as a TrackingError of one line without secrets."""

from __future__ import annotations

import re
import sys

from orchestrator.errors import BlockedError, OutageError, TrackingError
from orchestrator.machine.one_line import in_one_line
from orchestrator.redaction import one_line, without_password
from orchestrator.tracking.quiet_mlflow import MIGRATIONS, MlflowException
from orchestrator.tracking.remedies import diagnose

__all__ = ["described", "explained"]

MOST_CAUSES, LONGEST_DESCRIPTION = 10, 2000
PASSING = (408, 429, *range(500, 600))
"""HTTP codes of failures that may pass, such as an unreachable server."""
HTTP_ERROR = re.compile(r"failed with error code (\d+) !=")
"""Where MLflow keeps the HTTP code of an answer that it has no code of its own for."""
SCHEMA = re.compile(r"database schema \(found version (\w+)")


def explained(uri: str, error: Exception) -> TrackingError:
    """The error of the store at `uri` with its remedy (`remedies`), or with its own words.

    Then it may pass (OutageError), unless MLflow says that it does not.
    """
    code = code_of(error)
    found = diagnose(uri, f"{code or ''} {described(error)}")
    if found is not None:
        if isinstance(found, BlockedError):
            close_connections()
        return found
    passing = code is None or code in PASSING
    return (OutageError if passing else TrackingError)(f"{without_password(uri)}: {first_line(error)}")


def code_of(error: Exception) -> int | None:
    """The HTTP code of an answer; None for an error that did not come from MLflow."""
    if not isinstance(error, MlflowException):
        return None
    if match := HTTP_ERROR.search(str(error)):
        return int(match[1])
    return int(error.get_http_status_code())  # type: ignore[no-untyped-call]


def described(error: Exception) -> str:
    """MLflow's code, the names of the exceptions and the message, in one line for `diagnose`."""
    names: list[str] = []
    cause: BaseException | None = error
    while cause is not None and len(names) < MOST_CAUSES:
        names.append(type(cause).__name__)
        cause = cause.__cause__ or cause.__context__
    text = in_one_line(str(error).partition("[SQL:")[0])  # the statement holds values of the user's
    line = f"{getattr(error, 'error_code', '')} {' '.join(names)}: {text[:LONGEST_DESCRIPTION]}"
    if match := SCHEMA.search(text):
        line += " (known)" if any(MIGRATIONS.glob(f"{match[1]}_*.py")) else " (unknown)"
    return line


def close_connections() -> None:
    """Close MLflow's connections to databases: it would keep those to a file that a user has moved away."""
    store = sys.modules.get("mlflow.store.tracking.sqlalchemy_store")
    if store is not None:
        for engine in list(store.SqlAlchemyStore._engine_map.values()):
            engine.dispose()


def first_line(error: Exception) -> str:
    """An exception in one line of bounded length, without secrets."""
    return one_line(error)[:300] or type(error).__name__
