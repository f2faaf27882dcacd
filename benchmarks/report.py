"""What all benchmarks share: command line, figures with goals, facts about the machine, the table and the JSON file."""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

__all__ = [
    "DEVICES",
    "Figure",
    "amount",
    "at_least",
    "at_most",
    "below",
    "command_line",
    "gpu_facts",
    "information",
    "machine",
    "print_figures",
    "publish",
    "share_at_least",
    "share_at_most",
    "write_figures",
]

DEVICES = ("cpu", "cuda")
LOAD_AT_START = os.getloadavg()[0]
"""One-minute load average when this process began."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Figure:
    """One line of the report; `ours` and `beside` in SI units (seconds, bytes) or shares."""

    figure: str
    ours: float
    beside: float | None = None
    """The alternative, measured in the same run; None if there is none."""
    ratio: float | None = None
    """beside / ours for a speed-up, ours / beside for an overhead; the goal says which."""
    goal: str = ""
    """Empty for a figure without a goal."""
    held: bool | None = None
    """None without a goal, and in a quick run, because the goal is for the full size."""
    unit: str = "s"
    """Of `ours` and `beside`; empty for a share or a count."""


def at_least(
    figure: str,
    ours: float,
    beside: float,
    factor: float,
    *,
    counts: bool = True,
    unit: str = "s",
    word: str = "faster",
) -> Figure:
    """Ours must be at least `factor` times faster (or smaller) than the alternative."""
    ratio = beside / ours
    goal = f"at least {factor:g}x {word}"
    held = ratio >= factor if counts else None
    return Figure(figure=figure, ours=ours, beside=beside, ratio=ratio, goal=goal, held=held, unit=unit)


def at_most(figure: str, ours: float, beside: float, factor: float, *, counts: bool = True, unit: str = "s") -> Figure:
    """Ours must be at most `factor` times the alternative."""
    ratio = ours / beside
    goal = f"at most {factor:g}x"
    held = ratio <= factor if counts else None
    return Figure(figure=figure, ours=ours, beside=beside, ratio=ratio, goal=goal, held=held, unit=unit)


def share_at_least(figure: str, ours: float, least: float, *, counts: bool = True) -> Figure:
    """Ours, a share between 0 and 1, must be at least `least`."""
    held = ours >= least if counts else None
    return Figure(figure=figure, ours=ours, goal=f"at least {least:.0%}", held=held, unit="")


def share_at_most(figure: str, ours: float, most: float, *, counts: bool = True) -> Figure:
    """Ours, a share between 0 and 1, must be at most `most`."""
    held = ours <= most if counts else None
    return Figure(figure=figure, ours=ours, goal=f"at most {most:.0%}", held=held, unit="")


def below(figure: str, ours: float, limit: float, *, counts: bool = True, unit: str = "s") -> Figure:
    """Ours must be below `limit`, in the same unit."""
    held = ours < limit if counts else None
    return Figure(figure=figure, ours=ours, goal=f"under {limit:g} {unit}".rstrip(), held=held, unit=unit)


def information(figure: str, ours: float, beside: float | None = None, *, unit: str = "s") -> Figure:
    """A figure without a goal; the ratio is ours / beside, if there is an alternative."""
    ratio = ours / beside if beside else None
    return Figure(figure=figure, ours=ours, beside=beside, ratio=ratio, unit=unit)


def machine() -> dict[str, Any]:
    """Facts that the figures depend on: processor, cores, memory in bytes, load at the start, versions, GPU."""
    facts: dict[str, Any] = {
        "processor": processor(),
        "cores": os.cpu_count(),
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "load_at_start": round(LOAD_AT_START, 2),
        "python": platform.python_version(),
    }
    for package in ("torch", "ray", "mlflow"):
        try:
            facts[package] = version(package)
        except PackageNotFoundError:
            continue
    return facts | gpu_facts()


def processor() -> str:
    """Model name of the processor, or its architecture if the system does not give a name."""
    facts = Path("/proc/cpuinfo")
    lines = facts.read_text(encoding="utf-8").splitlines() if facts.exists() else []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, "") or platform.machine()


def gpu_facts() -> dict[str, Any]:
    """`gpu` and `gpu_memory_bytes` of the first GPU; empty without one.

    Asks nvidia-smi. Importing torch takes seconds, so it is asked only if there is a GPU but no nvidia-smi.
    """
    program = shutil.which("nvidia-smi")
    if program is None:
        return gpu_of_torch() if Path("/dev/nvidiactl").exists() else {}
    query = [program, "--query-gpu=name,memory.total", "--format=csv,noheader,nounits"]
    try:
        answer = subprocess.run(query, capture_output=True, text=True, check=True, timeout=30).stdout  # noqa: S603
    except (OSError, subprocess.SubprocessError):
        return {}
    name, _, mebibytes = (answer.splitlines() or [""])[0].rpartition(",")
    memory = {"gpu_memory_bytes": int(mebibytes) * 2**20} if mebibytes.strip().isdigit() else {}
    return {"gpu": name.strip(), **memory} if name else {}


def gpu_of_torch() -> dict[str, Any]:
    """The first GPU as torch sees it."""
    import torch

    if not torch.cuda.is_available():
        return {}
    return {
        "gpu": torch.cuda.get_device_name(),
        "gpu_memory_bytes": torch.cuda.get_device_properties(0).total_memory,
    }


def command_line(description: str | None, devices: Sequence[str] = ("cpu",)) -> argparse.ArgumentParser:
    """The options of every benchmark, which may add its own. `devices`: those it measures, the default first."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=tuple(devices), default=devices[0], help=f"default: {devices[0]}")
    parser.add_argument("--json", type=Path, metavar="OUT", help="write the figures there")
    parser.add_argument("--quick", action="store_true", help="tiny sizes without goals, to check that it runs")
    return parser


def parse(parser: argparse.ArgumentParser) -> argparse.Namespace:
    """The options given; one line and exit code 2 if they ask for a GPU and there is none."""
    given = parser.parse_args()
    if given.device == "cuda" and not gpu_of_torch():
        parser.exit(2, f"{parser.prog}: --device cuda: torch finds no CUDA device; run it on a machine with a GPU\n")
    return given


def print_figures(figures: Sequence[Figure]) -> None:
    """The figures as a table."""
    width = max((len(item.figure) for item in figures), default=0)
    print(f"{'figure':<{width}}  {'ours':>12}  {'beside':>12}  {'ratio':>7}  {'goal':<22} held")
    for item in figures:
        ratio = "-" if item.ratio is None else f"{item.ratio:.2f}x"
        held = {True: "yes", False: "NO", None: "-"}[item.held]
        ours, beside = (amount(value, item.unit) for value in (item.ours, item.beside))
        print(f"{item.figure:<{width}}  {ours:>12}  {beside:>12}  {ratio:>7}  {item.goal or '-':<22} {held}")


def amount(value: float | None, unit: str) -> str:
    """`0.0342 s`; a dash for None."""
    return "-" if value is None else f"{value:.4g} {unit}".rstrip()


def write_figures(figures: Sequence[Figure], path: Path | None) -> None:
    """Write the figures to `path`, if one is given; after each case, so that a run cut short keeps what it has."""
    if path is not None:
        from orchestrator.store.git_state import code_state

        content = {"machine": machine(), "code": code_state().facts(), "figures": [asdict(item) for item in figures]}
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def publish(figures: Sequence[Figure], path: Path | None = None) -> bool:
    """Print the figures as a table and write them to `path`. Returns whether every goal held."""
    print_figures(figures)
    write_figures(figures, path)
    return all(item.held is not False for item in figures)
