"""The in-process executor."""

import pytest

from orchestrator.running.executors.serial import Serial
from tests.conformance.executor import ExecutorContract, Run


class TestSerial(ExecutorContract):
    @pytest.fixture
    def run(self) -> Run:
        return lambda director, work: Serial(work).run(director)
