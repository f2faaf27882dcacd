"""Slurm on this machine: munged, slurmctld and a slurmd per node, in their own folder, ended by their process ids."""

from __future__ import annotations

import contextlib
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path

__all__ = ["LocalSlurm", "why_not"]

DAEMONS = ("munged", "slurmctld", "slurmd")
PATH = f"{os.environ['PATH']}:/usr/sbin:/sbin"

CONFIGURATION = """\
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmUser={user}
SlurmdUser={user}
SlurmctldPort={port}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket,cred_expire=5
CredType=cred/munge
StateSaveLocation={folder}/state
SlurmctldPidFile={folder}/slurmctld.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdSpoolDir={folder}/spool.%n
SlurmdPidFile={folder}/slurmd.%n.pid
SlurmdLogFile={folder}/slurmd.%n.log
SlurmdParameters=config_overrides
ProctrackType=proctrack/pgid
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SchedulerType=sched/builtin
SchedulerParameters=sched_interval=1,batch_sched_delay=0
MpiDefault=none
JobRequeue=1
ReturnToService=2
KillWait=60
"""
"""`cred_expire` is also how long a requeued job waits before it starts again. `KillWait` is the time that a job has
after SIGTERM: on a busy machine a node needs some seconds to end Ray and to remove its folder."""


def why_not() -> str:
    """Why Slurm cannot be started here; empty when it can."""
    missing = [name for name in (*DAEMONS, "sbatch", "srun", "scontrol") if shutil.which(name, path=PATH) is None]
    return f"{', '.join(missing)} not installed (slurm-wlm, munge)" if missing else ""


class LocalSlurm:
    """A cluster whose nodes are all this machine, run by the present user.

    `folder` is for its own files; its path must be short, as it has sockets in it.
    """

    def __init__(self, folder: Path, *, nodes: int, cpus: int) -> None:
        self.folder = folder
        self.names = [f"node{number}" for number in range(1, nodes + 1)]
        self.cpus = cpus
        self.daemons: list[subprocess.Popen[bytes]] = []
        self.environment = {"PATH": PATH, "SLURM_CONF": str(folder / "slurm.conf")}

    def start(self) -> None:
        """Start all daemons and wait until every node is idle. Raises RuntimeError with the reason."""
        for name in ("state", *(f"spool.{node}" for node in self.names)):
            (self.folder / name).mkdir(mode=0o755)
        self.configure()
        self.start_munge()
        self.spawn("slurmctld", "-D", "-i")
        for node in self.names:
            self.spawn("slurmd", "-D", "-N", node)
        self.wait(lambda: self.run("sinfo", "-h", "-o", "%T %D").split() == ["idle", str(len(self.names))], 30)

    def configure(self) -> None:
        """Write slurm.conf."""
        host, ports = socket.gethostname().split(".")[0], free_ports(len(self.names) + 1)
        lines = CONFIGURATION.format(
            host=host, user=pwd.getpwuid(os.getuid()).pw_name, port=ports[0], folder=self.folder
        ).splitlines()
        for name, port in zip(self.names, ports[1:], strict=True):
            lines.append(f"NodeName={name} NodeHostname={host} NodeAddr=127.0.0.1 Port={port} CPUs={self.cpus}")
        lines.append(f"PartitionName=test Nodes={','.join(self.names)} Default=YES MaxTime=INFINITE State=UP")
        (self.folder / "slurm.conf").write_text("\n".join(lines) + "\n", encoding="utf-8")

    def start_munge(self) -> None:
        """Start munged with a key of its own."""
        key = self.folder / "munge.key"
        key.touch(mode=0o600)
        key.write_bytes(secrets.token_bytes(128))
        files = {"key-file": key, "socket": self.folder / "munge.socket", "pid-file": self.folder / "munge.pid"}
        files |= {"log-file": self.folder / "munge.log", "seed-file": self.folder / "munge.seed"}
        self.spawn("munged", "--foreground", "--force", *(f"--{name}={path}" for name, path in files.items()))
        self.wait((self.folder / "munge.socket").exists, 10)

    def spawn(self, *command: str) -> None:
        """Start a daemon in the foreground."""
        log = (self.folder / f"{command[0]}.out").open("ab")
        with log:
            self.daemons.append(
                subprocess.Popen(command, env=self.environment, cwd=self.folder, stdout=log, stderr=subprocess.STDOUT)
            )

    def run(self, *command: str) -> str:
        """Output of a command of Slurm; empty when it fails."""
        done = subprocess.run(command, env=self.environment, text=True, capture_output=True, timeout=60, check=False)
        return done.stdout if done.returncode == 0 else ""

    def submit(self, line: Sequence[str], folder: Path, environment: dict[str, str]) -> str:
        """Submit a job from `folder`; returns its id. Raises RuntimeError."""
        done = subprocess.run(
            ["sbatch", "--parsable", *line],
            env=environment | self.environment | {"PATH": f"{environment['PATH']}:{PATH}"},
            cwd=folder,
            text=True,
            capture_output=True,
            timeout=60,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(done.stderr)
        return done.stdout.strip()

    def state(self, job: str) -> str:
        """State of a job, for example RUNNING; exit code and restarts follow: `COMPLETED 0:0 1`."""
        text = self.run("scontrol", "show", "job", job, "--oneliner")
        found = dict(word.partition("=")[::2] for word in text.split())
        return " ".join(found.get(name, "") for name in ("JobState", "ExitCode", "Restarts"))

    def wait(self, happened: Callable[[], bool], seconds: float) -> None:
        """Wait for an event. Raises RuntimeError with the logs when it does not happen or a daemon ends."""
        ends = time.monotonic() + seconds
        while not happened():
            dead = [daemon.args for daemon in self.daemons if daemon.poll() is not None]
            if dead or time.monotonic() > ends:
                raise RuntimeError(f"{'ended: ' + str(dead) if dead else 'too slow'}\n{self.logs()}")
            time.sleep(0.1)

    def logs(self) -> str:
        """The last lines of all logs."""
        files = sorted([*self.folder.glob("*.log"), *self.folder.glob("*.out")])
        return "\n".join(f"{path.name}:\n{path.read_text(errors='replace')[-1500:]}" for path in files)

    def stop(self) -> None:
        """End all jobs, then the daemons that were started here."""
        if any(daemon.poll() is None for daemon in self.daemons[1:]):
            self.run("scancel", "--user", pwd.getpwuid(os.getuid()).pw_name)
            with contextlib.suppress(RuntimeError):
                self.wait(lambda: not self.run("squeue", "-h").strip(), 20)
        for daemon in reversed(self.daemons):
            daemon.send_signal(signal.SIGTERM)
        for daemon in self.daemons:
            try:
                daemon.wait(15)
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait()
        for process in self.left_over():
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)

    def left_over(self) -> list[int]:
        """Processes of this cluster that are still there: those of job steps outlive their daemon."""
        mark = f"SLURM_CONF={self.environment['SLURM_CONF']}\0".encode()
        found = []
        for entry in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if mark in (entry / "environ").read_bytes():
                    found.append(int(entry.name))
        return found


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on."""
    with contextlib.ExitStack() as open_sockets:
        found = [open_sockets.enter_context(socket.socket()) for _ in range(count)]
        for item in found:
            item.bind(("127.0.0.1", 0))
        return [item.getsockname()[1] for item in found]
