"""Contracts that a new executor or run directory backend inherits in its tests. Imports pytest and any other package.

from orchestrator.testing.executor import ExecutorContract, Run

class TestSlurm(ExecutorContract):
    @pytest.fixture
    def run(self) -> Run:
        return lambda controller, work: Slurm(work).run(controller)
"""

import pytest

pytest.register_assert_rewrite("orchestrator.testing.executor", "orchestrator.testing.files")
