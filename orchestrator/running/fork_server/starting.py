"""Starts fork servers: one that ends with this process, or one that the clients on a node share.

A server makes a folder for its socket. Clients that share one find it by a small file that names its socket.
"""

from __future__ import annotations

import fcntl
import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import NoReturn

from orchestrator.machine.own_folder import temporary_folder
from orchestrator.machine.parent_process import end_with_parent
from orchestrator.machine.python_child import module_path

__all__ = [
    "ServerOptions",
    "connect",
    "has_imported",
    "note_imported",
    "opened",
    "server_of_this_process",
    "shared_server",
]

CODE = "import sys; sys.path[:] = {path!r}; from orchestrator.running.fork_server.server import main; main({options!r})"

IDLE_SECONDS = 20.0
"""How long a shared server waits for another trial."""

IMPORTED = "imported"
"""File beside the socket of a server that has imported its modules."""

ADDRESS = ".forks"
"""Ending of the files that name the sockets of shared servers."""

BACKLOG = 1024
"""Requests that wait while a server imports."""

ATTEMPTS = 3
"""A shared server may end just when a client finds it."""

CLOSING_SECONDS = 10.0


@dataclass(frozen=True, kw_only=True, slots=True)
class ServerOptions:
    """What a server is started with."""

    modules: Sequence[str]
    """What it imports first."""
    parent: str
    """Folder in which it makes its own, unless it has a `listener`."""
    driver: int = 0
    """Process with which it ends; 0: it is shared."""
    listener: int | None = None
    """Descriptor of its socket; None: it makes one and prints the path."""
    address: str = ""
    """File in which clients find a shared server."""
    idle_seconds: float | None = None
    """How long it waits for requests; None: for ever."""

    def run_again_without_modules(self, listener: socket.socket) -> NoReturn:
        """Make a server of this process that imports nothing first."""
        os.set_inheritable(listener.fileno(), True)
        os.execv(sys.executable, command(replace(self, modules=(), listener=listener.fileno())))  # noqa: S606 - ours


def command(options: ServerOptions) -> list[str]:
    """The command line of a server, which looks for modules where this process does."""
    return [sys.executable, "-c", CODE.format(path=module_path(), options=json.dumps(asdict(options)))]


@contextmanager
def opened(options: ServerOptions) -> Iterator[socket.socket]:
    """In a server: its listening socket. A shared server first leaves the process that has started it."""
    if options.driver:
        end_with_parent(options.driver)
    if options.listener is not None:
        with socket.socket(fileno=options.listener) as listener:
            listener.set_inheritable(False)
            yield listener
        return
    if os.fork():  # Ray kills the children of a worker that ends, and its process group
        os._exit(0)
    os.setpgid(0, 0)
    with temporary_folder("fork", Path(options.parent)) as folder, listening(folder) as listener:
        print(listener.getsockname(), flush=True)  # noqa: T201 - the answer to `start_shared`
        with open(os.devnull, "w") as nothing:  # noqa: PTH123
            os.dup2(nothing.fileno(), 1)
        yield listener


@contextmanager
def listening(folder: Path) -> Iterator[socket.socket]:
    """A socket in a folder of this user alone."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(str(folder / "fork.sock"))
        listener.listen(BACKLOG)
        yield listener


def note_imported(listener: socket.socket) -> None:
    """In a server: let `has_imported` know. On a full disk it does not, which costs nobody a trial."""
    with suppress(OSError):
        Path(listener.getsockname()).with_name(IMPORTED).touch()


def has_imported(path: str) -> bool:
    """Whether the server whose socket is at `path`, on this node, has imported its modules."""
    return Path(path).with_name(IMPORTED).exists()


@contextmanager
def server_of_this_process(parent: Path, modules: Sequence[str], environment: Mapping[str, str]) -> Iterator[str]:
    """A server that ends with the body, or with this process; yields the path of its socket, which can be used at once.

    `parent`: a folder for short-lived files of this user. `environment`: further variables of the server.
    """
    with temporary_folder("fork", parent) as folder:
        with listening(folder) as listener:
            path = str(listener.getsockname())
            options = ServerOptions(
                modules=tuple(modules), parent=str(parent), driver=os.getpid(), listener=listener.fileno()
            )
            process = subprocess.Popen(  # noqa: S603 - this interpreter, this module
                command(options),
                env={**os.environ, **environment},
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=[listener.fileno()],
                start_new_session=True,  # Ctrl-C is for the driver
            )
        try:
            yield path
        finally:
            end(process)


def end(process: subprocess.Popen[bytes]) -> None:
    """End a server of this process by closing its standard input."""
    if process.stdin is not None:
        process.stdin.close()
    try:
        process.wait(CLOSING_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def connect(path: str) -> socket.socket:
    """A connection to the server whose socket is at `path`. Raises OSError if it is gone."""
    control = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        control.connect(path)
    except BaseException:
        control.close()
        raise
    return control


def shared_server(parent: Path, key: str, modules: Sequence[str]) -> socket.socket:
    """A connection to the server `key` on this node, which is started if there is none. Raises OSError."""
    address = parent / f"{key}{ADDRESS}"
    remove_stale_addresses(parent)
    for _ in range(ATTEMPTS):
        with address.open("a+", encoding="utf-8") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            file.seek(0)
            if path := file.read():
                with suppress(OSError):
                    return connect(path)
            path = start_shared(
                ServerOptions(
                    modules=tuple(modules), parent=str(parent), address=str(address), idle_seconds=IDLE_SECONDS
                )
            )
            file.truncate(0)
            file.write(path)
            file.flush()
            with suppress(OSError):
                return connect(path)
    raise ConnectionError("the fork server of this node does not start")


def start_shared(options: ServerOptions) -> str:
    """Start a server that does not end with this process; returns the path of its socket, empty if it fails."""
    with subprocess.Popen(  # noqa: S603 - this interpreter, this module
        command(options), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as process:
        return "" if process.stdout is None else process.stdout.readline().decode().strip()


def remove_stale_addresses(parent: Path) -> None:
    """Remove the files of servers that were killed, once their folders are gone."""
    for address in parent.glob(f"*{ADDRESS}"):
        with suppress(OSError), address.open(encoding="utf-8") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if (path := file.read()) and not Path(path).exists():
                address.unlink()
