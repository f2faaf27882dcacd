"""Checks of Ray: what a private cluster needs, the token, and the cluster to join."""

from __future__ import annotations

import os
import socket
import stat
from contextlib import closing
from importlib.util import find_spec
from pathlib import Path

from orchestrator.doctor.finding import Problem, Question
from orchestrator.doctor.folders import scratch
from orchestrator.running.executors.socket_folder import socket_folder

__all__ = ["check_ray", "check_ray_address", "check_ray_token"]

ANSWER_SECONDS = 3.0
TOKEN_FILE = Path("~/.ray/auth_token")


def check_ray(_question: Question) -> str:
    """Ray is installed, and its processes can talk with each other through sockets."""
    if find_spec("ray") is None:
        raise Problem("not installed", "pip install 'ray[tune]', or use --executor serial", fatal=True)
    import importlib.metadata

    with scratch(socket_folder()[0]) as folder, closing(socket.socket(socket.AF_UNIX)) as local:
        try:
            local.bind(str(folder / "s"))
        except OSError as error:
            text = f"{folder.parent} has no sockets ({error.strerror})"
            raise Problem(text, "set RAY_TMPDIR to a folder on a local disk", fatal=True) from error
    with closing(socket.socket()) as server, closing(socket.socket()) as client:
        try:
            server.bind(("127.0.0.1", 0))
            server.listen()
            client.settimeout(ANSWER_SECONDS)
            client.connect(server.getsockname())
        except OSError as error:
            text = f"no connection to 127.0.0.1 ({error})"
            raise Problem(text, "switch the loopback interface on: `ip link set lo up`", fatal=True) from error
    return f"{importlib.metadata.version('ray')}, sockets and loopback work"


def check_ray_token(_question: Question) -> str:
    """A token is at hand if Ray asks for one, and only this user can read it."""
    if os.environ.get("RAY_AUTH_MODE", "").lower() != "token":
        return "not used (RAY_AUTH_MODE is not token)"
    if os.environ.get("RAY_AUTH_TOKEN"):
        return "from RAY_AUTH_TOKEN"
    given = os.environ.get("RAY_AUTH_TOKEN_PATH")
    path = Path(given or TOKEN_FILE).expanduser()
    copy = "copy the cluster's token there, or set RAY_AUTH_TOKEN_PATH to its file"
    try:
        status = path.stat()
        text = path.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise Problem(f"RAY_AUTH_MODE=token, but {path}: {error.strerror}", copy) from error
    if not text:
        raise Problem(f"{path} is empty", copy)
    if status.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise Problem(f"others may read {path}", f"chmod 600 {path}")
    return f"from {path}"


def check_ray_address(question: Question) -> str:
    """The cluster to join answers."""
    address = question.address
    if address is None:
        return "a sweep starts a private cluster"
    if "://" in address:
        raise Problem(
            f"{address} is an address of Ray Client", "start the sweep on a node of the cluster with --address auto"
        )
    if address == "auto":
        address = os.environ.get("RAY_ADDRESS") or recorded_address()
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal():
        raise Problem(f"{address!r} is not HOST:PORT", "`ray status` on the head node shows the address")
    try:
        socket.create_connection((host.strip("[]"), int(port)), ANSWER_SECONDS).close()
    except OSError as error:
        remedy = (
            "start the cluster (`ray start --head`), or correct host and port; `ray status` on the head node shows them"
        )
        raise Problem(f"{address} does not answer ({error})", remedy) from error
    return f"{address} answers"


def recorded_address() -> str:
    """The address of the cluster that was started on this machine last, as Ray records it."""
    folder = os.environ.get("RAY_TMPDIR") or os.environ.get("TMPDIR") or "/tmp"  # noqa: S108 - Ray's own rule
    path = Path(folder) / "ray" / "ray_current_cluster"
    try:
        return path.read_text(encoding="utf-8").strip()
    except OSError as error:
        remedy = "start one with `ray start --head`, or leave --address out"
        raise Problem("no Ray cluster was started on this machine", remedy) from error
