"""Contracts that executors, run directory backends and workloads inherit in their tests; may import any package.

from orchestrator.testing.executor import ExecutorContract, Run

class TestSlurm(ExecutorContract):
    @pytest.fixture
    def run(self) -> Run:
        return lambda controller, work: Slurm(work).run(controller)
"""

import pytest

pytest.register_assert_rewrite(
    "orchestrator.testing.executor", "orchestrator.testing.files", "orchestrator.testing.workload"
)
