"""Checks of the machine: processors, memory, limits of this user, GPUs."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
from pathlib import Path

from orchestrator.doctor.finding import Problem, Question

__all__ = ["check_gpus", "check_limits", "check_memory", "check_processors", "check_shared_memory"]

GROUPS = Path("/sys/fs/cgroup")
LEAST_MEMORY = 2_000_000_000
TRIAL_MEMORY = 500_000_000
"""Bytes of a process that has imported PyTorch and trains the smallest model."""
LEAST_SHARED_MEMORY = 80_000_000
"""Bytes; Ray's object store has at least 75 MiB."""
LEAST_OPEN_FILES, LEAST_PROCESSES = 2048, 2048
SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - of the machine


def check_processors(_question: Question) -> str:
    """CPUs that this process may use, by its affinity and by the quota of its container."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = processor_quota()
    if quota is not None and quota < 1:
        raise Problem(f"a quota of {quota:g} CPUs", "give the container or job at least one CPU; a trial takes one")
    limit = "" if quota is None else f", a quota of {quota:g}"
    return f"{usable} of {os.cpu_count()} CPUs{limit}"


def processor_quota(groups: Path = GROUPS) -> float | None:
    """CPUs by the quota of this process's control group; None where there is none."""
    for folder in own_groups(groups):
        words = first_line(folder / "cpu.max").split()
        if len(words) == 2 and words[0] != "max":
            return int(words[0]) / int(words[1])
    quota, period = (first_line(groups / "cpu" / f"cpu.cfs_{name}_us") for name in ("quota", "period"))
    return int(quota) / int(period) if quota.isdecimal() and period.isdecimal() else None


def own_groups(groups: Path) -> list[Path]:
    """The control group of this process and those above it, in version 2 of control groups."""
    line = next((text for text in lines("/proc/self/cgroup") if text.startswith("0::")), "0::/")
    own = groups / line[3:].lstrip("/")
    return [folder for folder in (own, *own.parents) if folder == groups or groups in folder.parents]


def lines(path: Path | str) -> list[str]:
    """Lines of a file of the kernel; none if it cannot be read."""
    try:
        return Path(path).read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return []


def first_line(path: Path) -> str:
    """First line of a file of the kernel; empty if it cannot be read."""
    return next(iter(lines(path)), "")


def check_memory(question: Question) -> str:
    """Memory that is available, by the machine and by the limit of the container."""
    facts = {
        words[0].rstrip(":"): int(words[1]) * 1024 for words in map(str.split, lines("/proc/meminfo")) if len(words) > 1
    }
    total, available = facts.get("MemTotal", 0), facts.get("MemAvailable", 0)
    limits = [room for folder in own_groups(GROUPS) if (room := group_room(folder)) is not None]
    free = min([available, *limits])
    if free < max(LEAST_MEMORY, TRIAL_MEMORY * question.trials_at_a_time):
        remedy = "end other programs, give the container or job more memory, or run fewer trials (--max-concurrent)"
        trials = f" for {question.trials_at_a_time} trials at a time" if question.trials_at_a_time > 1 else ""
        raise Problem(f"{free / 1e9:.1f} GB available{trials}; Ray kills trials when memory is short", remedy)
    limit = f", the container may use {min(limits) / 1e9:.1f} GB more" if limits else ""
    return f"{available / 1e9:.1f} of {total / 1e9:.1f} GB available{limit}"


def group_room(folder: Path) -> int | None:
    """Bytes that a control group may still use; None without a limit."""
    most, used = first_line(folder / "memory.max"), first_line(folder / "memory.current")
    return int(most) - int(used) if most.isdecimal() and used.isdecimal() else None


def check_shared_memory(_question: Question) -> str:
    """Ray's object store has room in the shared memory."""
    if not SHARED_MEMORY.is_dir():
        return "this system has none"
    free = shutil.disk_usage(SHARED_MEMORY).free
    if free < LEAST_SHARED_MEMORY:
        remedy = "start the container with --shm-size=1g, or remove what other programs left there"
        raise Problem(f"{free / 1e6:.0f} MB free in {SHARED_MEMORY}; Ray keeps objects in files instead", remedy)
    return f"{free / 1e9:.1f} GB free in {SHARED_MEMORY}"


def check_limits(_question: Question) -> str:
    """Open files and processes that this user may have."""
    found = []
    for name, limit, least, option in (
        ("open files", resource.RLIMIT_NOFILE, LEAST_OPEN_FILES, "n"),
        ("processes", resource.RLIMIT_NPROC, LEAST_PROCESSES, "u"),
    ):
        soft, hard = resource.getrlimit(limit)
        if soft != resource.RLIM_INFINITY and soft < least:
            allowed = hard == resource.RLIM_INFINITY or hard >= least
            ask = "" if allowed else f" (the hard limit is {hard}: ask the administrator)"
            raise Problem(f"{soft} {name}, Ray needs {least}", f"`ulimit -{option} {least}` before the sweep{ask}")
        found.append(f"{'unlimited' if soft == resource.RLIM_INFINITY else soft} {name}")
    return ", ".join(found)


def check_gpus(_question: Question) -> str:
    """PyTorch sees the GPUs that the driver sees."""
    import torch

    listed = gpus_of_driver()
    build = f"PyTorch {torch.__version__} for " + (f"CUDA {torch.version.cuda}" if torch.version.cuda else "CPUs")
    if not listed:
        return f"the driver lists none, so trials run on CPUs ({build})"
    if torch.version.cuda is None:
        raise Problem(f"{len(listed)} ({listed[0]}), but {build}", "install PyTorch for CUDA (pytorch.org/get-started)")
    hidden = os.environ.get("CUDA_VISIBLE_DEVICES")
    if not torch.cuda.is_available():
        if hidden is not None and hidden.strip() in ("", "-1"):
            return f"{len(listed)}, hidden by CUDA_VISIBLE_DEVICES={hidden}; trials run on CPUs"
        text = f"{len(listed)} ({listed[0]}), but {build} cannot use them"
        raise Problem(
            text, "update the driver (`nvidia-smi` shows its CUDA version), or install PyTorch for an older CUDA"
        )
    return f"{torch.cuda.device_count()} of {len(listed)}: {listed[0]}, {build}"


def gpus_of_driver() -> list[str]:
    """`NVIDIA H100, driver 580.0` for each GPU that the driver lists; none without a driver."""
    command = ["nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)  # noqa: S603 - fixed
    except FileNotFoundError:
        return []
    except (OSError, subprocess.SubprocessError) as error:
        output = str(getattr(error, "stdout", "") or error)
        cause = " ".join(output.split())[:200]
        raise Problem(
            f"nvidia-smi fails ({cause})", "load or reinstall NVIDIA's driver, or restart the machine"
        ) from error
    return [line.replace(", ", ", driver ") for line in done.stdout.splitlines() if line.strip()]
