"""What a sweep checks before it starts anything: those checks of `doctor` that take milliseconds."""

from __future__ import annotations

import logging

from orchestrator.doctor.checks import CHECKS, OF_A_PRIVATE_CLUSTER, OF_A_SWEEP
from orchestrator.doctor.finding import Problem, Question
from orchestrator.doctor.folders import removing_scratch
from orchestrator.errors import SweepError
from orchestrator.redaction import one_line

__all__ = ["check_before_sweep"]

logger = logging.getLogger(__name__)


def check_before_sweep(question: Question) -> None:
    """Raise SweepError, one line with the remedy, if no trial can run; warn of what may keep trials from ending.

    A check that fails itself says nothing about the sweep and is left out.
    """
    is_private = question.executor == "ray" and question.address is None
    with removing_scratch():
        for name in (*OF_A_SWEEP, *(OF_A_PRIVATE_CLUSTER if is_private else ())):
            try:
                CHECKS[name](question)
            except Problem as problem:
                line = one_line(f"{name}: {problem.text}; {problem.remedy}")
                if problem.fatal:
                    raise SweepError(line) from problem
                logger.warning("%s", line)
            except SweepError:
                raise
            except Exception as error:
                logger.debug("the check %r failed (%s)", name, one_line(error))
