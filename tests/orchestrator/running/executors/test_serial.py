"""The in-process executor."""

import pytest

from orchestrator.running.executors.serial import Serial
from orchestrator.testing.executor import ExecutorContract, Run


class TestSerial(ExecutorContract):
    @pytest.fixture
    def run(self) -> Run:
        return lambda controller, work: Serial(work).run(controller)
