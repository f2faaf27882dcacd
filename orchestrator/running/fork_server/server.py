"""`python -c`: the fork server. It imports what trials need, and then forks a process for every request.

It ends with the driver that has started it, or when it has had nothing to do for some time.
"""

from __future__ import annotations

import fcntl
import gc
import json
import os
import selectors
import signal
import socket
import sys
import warnings
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from orchestrator.interrupts import ENDING
from orchestrator.machine.process_name import name_process
from orchestrator.running.fork_server.preload import preload, why_unsafe
from orchestrator.running.fork_server.request import Ended, TrialRequest, receive_request
from orchestrator.running.fork_server.starting import ServerOptions, note_imported, opened
from orchestrator.running.fork_server.trial_process import become_trial

__all__ = ["ForkServer"]

REQUEST_SECONDS = 10.0
"""How long a client may take to send its request."""

LINES_KEPT = 20


@dataclass(slots=True, eq=False)
class RunningTrial:
    """A process that was forked."""

    pid: int
    control: socket.socket
    """Connection to the client; it closes when the process is to end."""
    output: int
    """Descriptor of what the process prints."""
    lines: deque[str] = field(default_factory=lambda: deque(maxlen=LINES_KEPT))

    def read_output(self) -> bool:
        """Keep the last lines, so that the process is never blocked; False at the end of its output."""
        text = b""
        try:
            while chunk := os.read(self.output, 65536):
                text += chunk
            at_end = True
        except BlockingIOError:
            at_end = False
        self.lines.extend(line for line in text.decode(errors="replace").splitlines() if line.strip())
        return not at_end

    def kill(self) -> None:
        """Kill the process and those that it has started in its group."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)


class ForkServer:
    """Forks a process for every request that arrives at `listener`, and tells the client how it has ended."""

    def __init__(self, listener: socket.socket, *, driver: int | None, address: Path | None) -> None:
        """`driver`: descriptor that is at its end when the driver is gone. `address`: the file of a shared server."""
        self.listener = listener
        self.driver = driver
        self.address = address
        self.clients: set[socket.socket] = set()
        """Connections without a request so far."""
        self.trials: dict[int, RunningTrial] = {}
        """By process id."""
        self.stopped = False
        self.selector = selectors.DefaultSelector()
        self.woken, self.waking = socket.socketpair()
        """What a signal that a process has ended is written to."""

    def serve(self, idle_seconds: float | None = None) -> None:
        """Until the driver is gone, or nothing has happened for `idle_seconds`; None: for ever."""
        for end in (self.woken, self.waking):
            end.setblocking(False)
        before = signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
        wakeup = signal.set_wakeup_fd(self.waking.fileno(), warn_on_full_buffer=False)
        self.watch(self.listener, self.accept)
        self.watch(self.woken, self.reap)
        if self.driver is not None:
            self.watch(self.driver, self.stop)
        try:
            while not self.stopped:
                ready = self.selector.select(None if self.trials or self.clients else idle_seconds)
                if not ready and self.address is not None and self.withdraw(self.address):
                    return
                for key, _ in ready:
                    if key.fd in self.selector.get_map():  # an earlier one may have ended it
                        key.data()
        finally:
            for trial in self.trials.values():
                trial.kill()
            signal.set_wakeup_fd(wakeup)
            signal.signal(signal.SIGCHLD, before)
            self.selector.close()
            self.woken.close()
            self.waking.close()

    def watch(self, file: socket.socket | int, answer: Callable[[], object]) -> None:
        """Call `answer` when there is something to read."""
        self.selector.register(file, selectors.EVENT_READ, answer)

    def stop(self) -> None:
        """The driver is gone."""
        self.stopped = True

    def withdraw(self, address: Path) -> bool:
        """Let no further client find this server; False if one is about to come: clients lock the file meanwhile."""
        try:
            with address.open("r+", encoding="utf-8") as file:
                fcntl.flock(file, fcntl.LOCK_EX)
                if self.selector.select(0):
                    return False
                if file.read() == self.listener.getsockname():
                    file.truncate(0)  # for a client that has it open
                    address.unlink()
        except FileNotFoundError:  # another client has found this server before it was there
            pass
        return True

    def accept(self) -> None:
        """A client has connected, and sends its request next."""
        control, _ = self.listener.accept()
        self.clients.add(control)
        self.watch(control, lambda: self.begin(control))

    def begin(self, control: socket.socket) -> None:
        """Fork the process for a client's request."""
        self.clients.discard(control)
        self.selector.unregister(control)
        control.settimeout(REQUEST_SECONDS)
        try:
            request, reports = receive_request(control)
        except (OSError, EOFError):  # the client is gone
            control.close()
            return
        try:
            trial = self.fork(request, control, reports)
        finally:
            os.close(reports)
        self.trials[trial.pid] = trial
        self.watch(control, trial.kill)  # a client sends nothing more: it is gone
        self.watch(trial.output, lambda: self.read(trial))

    def fork(self, request: TrialRequest, control: socket.socket, reports: int) -> RunningTrial:
        """The child process never returns from here."""
        server, (output, printing) = os.getpid(), os.pipe()
        pid = os.fork()
        if pid == 0:
            try:
                os.setpgid(0, 0)
                self.leave(control, output)
                become_trial(request, reports, printing, server)
            finally:
                os._exit(1)
        with suppress(OSError):  # the child may have been faster, and may be over
            os.setpgid(pid, pid)
        os.close(printing)
        os.set_blocking(output, False)
        return RunningTrial(pid=pid, control=control, output=output)

    def leave(self, control: socket.socket, output: int) -> None:
        """In the child: close what belongs to the server, and handle signals as any process does."""
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGCHLD, *ENDING):
            signal.signal(number, signal.SIG_DFL)
        for end in (self.listener, self.selector, self.woken, self.waking):
            end.close()
        if self.driver is not None:
            os.close(self.driver)
            os.open(os.devnull, os.O_RDONLY)  # standard input, which the driver held
        for trial in self.trials.values():
            trial.control.close()
            os.close(trial.output)
        for client in (control, *self.clients):
            client.close()
        os.close(output)

    def read(self, trial: RunningTrial) -> None:
        """Read what a trial prints, until it has closed its output."""
        if not trial.read_output():
            self.selector.unregister(trial.output)

    def reap(self) -> None:
        """Tell the clients of the processes that have ended, and end what these have left in their groups."""
        with suppress(BlockingIOError):
            while self.woken.recv(4096):
                pass
        for trial in list(self.trials.values()):
            if os.waitid(os.P_PID, trial.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None:
                trial.kill()  # before its number is free
                _, status = os.waitpid(trial.pid, 0)
                self.end(trial, os.waitstatus_to_exitcode(status))

    def end(self, trial: RunningTrial, code: int) -> None:
        """Answer the client."""
        del self.trials[trial.pid]
        trial.read_output()
        for file in (trial.control, trial.output):
            with suppress(KeyError):
                self.selector.unregister(file)
        os.close(trial.output)
        with trial.control, suppress(OSError):
            trial.control.sendall(Ended(code=code, last_line=trial.lines[-1] if trial.lines else "").to_line())


def main(options: str) -> None:
    """Run a server with the `ServerOptions` in JSON."""
    given = ServerOptions(**json.loads(options))
    name_process("fork-server")
    for number in ENDING:  # they are for the driver
        signal.signal(number, lambda _number, _frame: None)
    warnings.filterwarnings("ignore", message=r".*use of fork\(\) may lead to deadlocks", category=DeprecationWarning)
    gc.disable()  # imports make a million objects that stay, and the collector would look at them again and again
    with opened(given) as listener:
        preload(given.modules)
        if given.modules and (reason := why_unsafe()):
            sys.stderr.write(f"trials import everything themselves: {reason}\n")
            given.run_again_without_modules(listener)
        note_imported(listener)
        gc.collect()
        gc.freeze()  # so that a trial does not copy what it only reads
        gc.enable()
        address = Path(given.address) if given.address else None
        ForkServer(listener, driver=0 if given.driver else None, address=address).serve(given.idle_seconds)
    os._exit(0)  # taking PyTorch's modules apart takes half a second, and the end of a sweep waits for it
