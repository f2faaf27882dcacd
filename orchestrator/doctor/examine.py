"""Runs the checks at the same time, each with a time limit, and shows what they found; never raises."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict

from orchestrator.doctor.checks import checks_for
from orchestrator.doctor.finding import Check, Finding, Problem, Question
from orchestrator.doctor.folders import removing_scratch
from orchestrator.errors import SweepError
from orchestrator.redaction import one_line

__all__ = ["examine", "findings_as_json", "summary"]

ANSWER_SECONDS = 60.0
"""For all checks together; most of a second of each is imports."""


def examine(
    question: Question, checks: Mapping[str, Check] | None = None, answer_seconds: float = ANSWER_SECONDS
) -> Iterator[Finding]:
    """The finding of each check, by default of all, in their order, as soon as it is there.

    A check without an answer in time is a problem too: a file system or a server may hang.
    """
    found: dict[str, Finding] = {}
    threads = {}
    with removing_scratch():
        for name, check in (checks_for(question) if checks is None else checks).items():
            threads[name] = threading.Thread(
                target=lambda name=name, check=check: found.update({name: finding_of(name, check, question)}),
                daemon=True,
            )
            threads[name].start()
        ends = time.monotonic() + answer_seconds
        for name, thread in threads.items():
            thread.join(max(ends - time.monotonic(), 0))
            text = f"no answer in {answer_seconds:g} s"
            remedy = "a file system or a server hangs; try another folder or address"
            if (load := os.getloadavg()[0]) > 2 * (os.cpu_count() or 1):
                text += f", at a load of {load:.0f} on {os.cpu_count()} CPUs"
                remedy = "run it again when other programs need less"
            yield found.get(name) or Finding(name=name, ok=False, text=text, remedy=remedy)


def finding_of(name: str, check: Check, question: Question) -> Finding:
    """What one check finds; whatever it raises is a problem in one line."""
    try:
        return Finding(name=name, ok=True, text=one_line(check(question)))
    except Problem as problem:
        return Finding(name=name, ok=False, text=one_line(problem.text), remedy=one_line(problem.remedy))
    except SweepError as error:
        text, _, remedy = one_line(error).partition("; ")
        return Finding(name=name, ok=False, text=text, remedy=remedy)
    except BaseException as error:  # also what a library does to end the program
        text = f"the check failed ({one_line(f'{type(error).__name__}: {error}')})"
        return Finding(name=name, ok=False, text=text, remedy="please report it")


def findings_as_json(findings: Sequence[Finding]) -> str:
    """All findings as a JSON list."""
    return json.dumps([asdict(finding) for finding in findings], indent=1, ensure_ascii=False)


def summary(findings: Sequence[Finding]) -> str:
    """The last line."""
    problems = [finding.name for finding in findings if not finding.ok]
    text = f"{len(findings)} checks, {len(problems) or 'no'} problem{'' if len(problems) == 1 else 's'}"
    return f"{text}: {', '.join(problems)}" if problems else text
