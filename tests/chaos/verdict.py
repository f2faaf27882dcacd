"""Verdict: what a chaos job has done and found, in lines for people and as JSON."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from tests.chaos.verifier import Finding

__all__ = ["LEFT_SECONDS", "Round", "Verdict"]

LEFT_SECONDS = 70.0
"""Time that processes have to end after their sweep: Ray's agents wait a minute for the server of a dead driver."""

SUMMARY = (
    ("lost trial", "doubled trial", "open attempt", "damaged record"),
    ("doubled point", "missing point", "extra point", "damaged point", "differing bits", "differing table"),
    ("open run", "wrong status", "doubled run", "missing run"),
    ("process left", "folder left", "traceback", "exit code", "stuck"),
)
"""Kinds of findings (`tests.chaos.verifier.KINDS`), by line of the summary."""


@dataclass(frozen=True, kw_only=True)
class Round:
    """One fault and what followed."""

    number: int
    fault: str
    at: float
    """Seconds since the epoch."""
    done: str
    """What was done, or why nothing could be."""
    happened: bool
    seconds: float
    """From the fault, or from its end if it lasted, to the next point or record of any trial."""
    ends: tuple[int | None, ...] = ()
    """Exit codes of the commands that ended in this round; None: killed."""
    findings: tuple[Finding, ...] = ()

    def __str__(self) -> str:
        ended = (
            f"; exit {', '.join('killed' if code is None else str(code) for code in self.ends)}" if self.ends else ""
        )
        wrong = "".join(f"\n    {finding}" for finding in self.findings)
        result = f"resumed after {self.seconds:.1f} s{ended}" if self.happened else "left out"
        return f"[{self.number}] {self.fault}: {self.done}; {result}{wrong}"


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What the job has seen."""

    seed: int
    rounds: tuple[Round, ...]
    trials: int
    attempts: dict[str, int]
    """Records by their states."""
    findings: tuple[Finding, ...]
    """Those of the rounds, then those of the end."""
    seconds: float

    @property
    def by_fault(self) -> dict[str, int]:
        """Number of rounds of each fault that happened."""
        return dict(Counter(item.fault for item in self.rounds if item.happened))

    @property
    def by_kind(self) -> dict[str, int]:
        """Number of findings of each kind."""
        return dict(Counter(finding.kind for finding in self.findings))

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self) | {"faults": self.by_fault, "kinds": self.by_kind}

    def __str__(self) -> str:
        return "\n  ".join(self.lines())

    def lines(self) -> Iterator[str]:
        """Figures, then findings."""
        count, happened = Counter(self.by_kind), sum(self.by_fault.values())
        waits = sorted(item.seconds for item in self.rounds if item.happened) or [0.0]
        left_out = len(self.rounds) - happened
        yield f"seed {self.seed}: {happened} faults in {self.seconds / 60:.1f} min, {left_out} left out"
        yield f"faults: {', '.join(f'{name} {number}' for name, number in sorted(self.by_fault.items()))}"
        yield f"seconds until the sweep resumed: median {waits[len(waits) // 2]:.1f}, longest {waits[-1]:.1f}"
        yield f"trials {self.trials}; records: {', '.join(f'{key} {number}' for key, number in self.attempts.items())}"
        for kinds in SUMMARY:
            yield "; ".join(f"{kind} {count[kind]}" for kind in kinds)
        yield from map(str, self.findings)
        yield f"{len(self.findings)} findings" if self.findings else "everything is as in the undisturbed run"
