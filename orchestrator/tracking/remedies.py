"""REMEDIES: every known failure of an MLflow store, with how it is recognised and what a user does about it."""

from __future__ import annotations

import re
import shlex
import shutil
from collections.abc import Mapping
from dataclasses import dataclass

from orchestrator.errors import AccessError, BlockedError, OutageError, TrackingError
from orchestrator.redaction import without_password
from orchestrator.tracking.uri import database_file

__all__ = ["REMEDIES", "Remedy", "diagnose"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Remedy:
    """One kind of failure. Its class says whether it may pass by itself (OutageError)."""

    error: type[TrackingError]
    signs: str
    """A regular expression that is searched in the failure: `<HTTP code> <MLflow's code> <exceptions>: <message>`."""
    cause: str
    advice: str
    """What to do; `{uri}` and `{path}` are ready for a shell, other names are groups of `signs`."""
    of_server: str = ""
    """What to do where the store is a server, whose files are on another machine; empty: the same."""


# with * because a log (-wal) that stays behind would be applied to the next database of this name
MOVE_AWAY = "move it away with `mkdir -p damaged && mv {path}* damaged/`, and a new one is created"
RESTORE = "`MLFLOW_TRACKING_URI={uri} mlflow experiments restore --experiment-id {experiment}` restores it"
SERVER_FILE = "its administrator must look at the server's database"
CREDENTIALS = "set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD for a user with write permission"

LOG_STEP_BYTES = 32 * 1024
"""By how much SQLite lets the index of its log grow at a time."""

REMEDIES: Mapping[str, Remedy] = {
    "host name": Remedy(
        error=AccessError,
        signs="Invalid Host header",
        cause="MLflow rejects this host name",
        advice="start the server with --allowed-hosts that lists the host and port of this address",
    ),
    "credentials": Remedy(
        error=AccessError,
        signs=r"^40[13] |password authentication failed|Access denied for user|no password supplied",
        cause="MLflow refuses access",
        advice=CREDENTIALS,
    ),
    "address": Remedy(
        error=AccessError,
        signs=r"\bUnsupported\w*URI\w*|\bNoSuchModuleError\b",
        cause="not an MLflow tracking store",
        advice="use an address such as http://host:5000 or sqlite:///mlflow.db",
    ),
    "driver": Remedy(
        error=AccessError,
        signs=r"\bModuleNotFoundError: No module named '(?P<module>\w+)'",
        cause="the Python package {module}, which talks to this database, is not installed",
        advice="install it, or use the address of an MLflow server",
    ),
    "no MLflow": Remedy(
        error=AccessError,
        signs=r"^404 ENDPOINT_NOT_FOUND .*/api/2\.0/mlflow/|^405 |not in a valid JSON format|Exceeded \d+ redirects"
        r"|no experiment id",
        cause="what answers at this address is not an MLflow server",
        advice="correct the address (a server behind a prefix needs it too: http://host/mlflow)",
    ),
    "TLS on a plain port": Remedy(
        error=AccessError,
        signs="WRONG_VERSION_NUMBER|wrong version number|record layer failure",
        cause="the server does not speak TLS",
        advice="use an address that begins with http://",
    ),
    "certificate": Remedy(
        error=AccessError,
        signs=r"\bSSLError\b|CERTIFICATE_VERIFY_FAILED",
        cause="the server's certificate is not trusted",
        advice="set MLFLOW_TRACKING_SERVER_CERT_PATH to the file of the authority that signed it",
    ),
    "no database": Remedy(
        error=AccessError,
        signs="unable to open database file",
        cause="the database cannot be opened",
        advice="its folder must exist, and this user must be able to read and write both",
        of_server=SERVER_FILE,
    ),
    "trash": Remedy(
        error=BlockedError,
        signs=r"experiment (?P<experiment>\d+) must be in the 'active' state",
        cause="the experiment of all sweeps is in MLflow's trash",
        advice=RESTORE,
    ),
    "run in trash": Remedy(
        error=OutageError,
        signs=r"The run \w+ must be in the 'active' state",
        cause="a run of this sweep was moved to MLflow's trash",
        advice="a new run takes its place; to keep the old one, restore it and delete the new one",
    ),
    "damaged": Remedy(
        error=BlockedError,
        signs=r"file is not a database|disk image is malformed|malformed database schema|unsupported file format"
        r"|file is encrypted|no such table|table \S+ already exists|duplicate column name|_alembic_tmp_"
        r"|\(found version None",
        cause="the database is damaged",
        advice=MOVE_AWAY,
        of_server=SERVER_FILE,
    ),
    "older schema": Remedy(
        error=BlockedError,
        signs=r"out-of-date database schema .*\(known\)$",
        cause="the database was written by an older MLflow",
        advice="make a copy of it, then bring it up to date with `mlflow db upgrade {uri}`",
    ),
    "newer schema": Remedy(
        error=BlockedError,
        signs=r"out-of-date database schema .*\(unknown\)$",
        cause="the database was written by a newer MLflow",
        advice="upgrade with `pip install --upgrade mlflow`, or use another --tracking-uri",
    ),
    "read-only": Remedy(
        error=BlockedError,
        signs=r"attempt to write a readonly database|Read-only file system|\bPermissionError\b|Permission denied",
        cause="MLflow's files cannot be written",
        advice="make {path} and the artifacts beside it writable for this user",
        of_server="its administrator must make the server's database and artifacts writable",
    ),
    "no locks": Remedy(
        error=BlockedError,
        signs="locking protocol|No locks available",
        cause="the file system has no locks, which SQLite needs",
        advice="use a database on a local disk (--tracking-uri sqlite:////local/mlflow.db), or a server",
        of_server=SERVER_FILE,
    ),
    "locked": Remedy(
        error=OutageError,
        signs="database (table )?is locked",
        cause="another program keeps the database locked",
        advice="end it if this lasts",
    ),
    "full disk": Remedy(
        error=OutageError,
        signs="database or disk is full|No space left on device|Disk quota exceeded|^507 ",
        cause="the disk is full",
        advice="free space on the disk of {path}",
        of_server="its administrator must free space on the server's disk",
    ),
    "failing disk": Remedy(
        error=OutageError,
        signs="disk I/O error",
        cause="the disk does not read or write the database",
        advice="check the disk, or use a database on another one (--tracking-uri)",
        of_server=SERVER_FILE,
    ),
    "created at once": Remedy(
        error=OutageError,
        signs="RESOURCE_ALREADY_EXISTS|experiments.*already exists",
        cause="another program created the experiment in the same moment",
        advice="the next try finds it",
    ),
    "no such host": Remedy(
        error=OutageError,
        signs=r"NameResolutionError|\bgaierror\b|Name or service not known|could not translate host name",
        cause="no machine has this name",
        advice="check the name in the address, and the network",
    ),
    "nobody answers": Remedy(
        error=OutageError,
        signs=r"ConnectionRefusedError|Connection refused|No route to host|Network is unreachable",
        cause="nobody answers",
        advice="start the server, or correct host and port",
    ),
    "too slow": Remedy(
        error=OutageError,
        signs=r"\b(Read|Connect)Timeout(Error)?\b|timed out",
        cause="no answer in time",
        advice="check the load of the server and the network",
    ),
    "broken connection": Remedy(
        error=OutageError,
        signs=r"ProtocolError|ConnectionResetError|IncompleteRead|RemoteDisconnected|JSONDecodeError",
        cause="the connection broke in the middle of an answer",
        advice="check the server's log and what stands between (a proxy, a load balancer)",
    ),
    "failing server": Remedy(
        error=OutageError,
        signs=r"too many (?P<status>\d+) error responses|failed with error code (?P<code>429|5\d\d) ",
        cause="the server or a proxy before it answers with HTTP error {status}",
        advice="look into its log",
    ),
}
"""By name of the kind; the first whose signs are found counts."""


def diagnose(uri: str, failure: str) -> TrackingError | None:
    """The error for a failure of the store at `uri`, as `Remedy.signs` expects it; None if it is not in the table."""
    for kind, remedy in REMEDIES.items():
        if match := re.search(remedy.signs, failure):
            if kind == "failing disk" and has_no_space(uri):
                kind, remedy = "full disk", REMEDIES["full disk"]
            groups = {key: text for key, text in match.groupdict().items() if text}
            error = remedy.error(described(uri, remedy, groups))
            error.kind = kind
            return error
    return None


def has_no_space(uri: str) -> bool:
    """Whether the disk of the database file at `uri` is full; SQLite then also reports an I/O error, of its log."""
    path = database_file(uri)
    try:
        return path is not None and shutil.disk_usage(path.absolute().parent).free < LOG_STEP_BYTES
    except OSError:
        return False


def described(uri: str, remedy: Remedy, groups: Mapping[str, str]) -> str:
    """The message: where, what is wrong, and what to do."""
    name, path = without_password(uri), database_file(uri)
    facts = {"uri": shlex.quote(name), "status": groups.get("code", ""), **groups}
    advice = remedy.advice
    if path is None:
        advice = remedy.of_server or advice
    else:
        facts["path"] = shlex.quote(str(path))
    return f"{name}: {remedy.cause.format(**facts)}; {advice.format(**facts)}"
