"""Ctrl-C and SIGTERM while a sweep runs."""

from __future__ import annotations

import signal
import threading
from pathlib import Path

import pytest

from orchestrator.running.driver import Driver
from orchestrator.running.interrupts import graceful_interrupts
from orchestrator.store.record_store import RecordStore


def test_the_second_interrupt_stops_at_once(tmp_path: Path) -> None:
    driver = Driver(RecordStore(tmp_path), [])
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    with graceful_interrupts(driver):
        signal.raise_signal(signal.SIGTERM)
        assert (driver.interrupted, driver.halted) == (True, "interrupted")
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before


def test_only_the_main_thread_hears_signals(tmp_path: Path) -> None:
    entered: list[bool] = []

    def enter() -> None:
        with graceful_interrupts(Driver(RecordStore(tmp_path), [])):
            entered.append(True)

    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
    assert entered == [True]
