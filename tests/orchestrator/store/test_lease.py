"""The lease: one driver holds it, a silent holder loses it and notices. The clocks are the tests' own."""

import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import replace

import pytest

from orchestrator.errors import StoreError
from orchestrator.store.attempt_record import Point, State
from orchestrator.store.backends import Files, open_files
from orchestrator.store.lease import Lease, LeaseTimings
from orchestrator.store.lock_owner import Owner
from orchestrator.store.record_store import RecordStore
from orchestrator.store.run_directory import RunDirectory

ELSEWHERE = Owner(host="node7", pid=4711, since=1.7e9, machine="another boot")


class Clock:
    """A clock that only sleeping advances; `meanwhile` is called at each sleep."""

    def __init__(self) -> None:
        self.now = 0.0
        self.slept: list[float] = []
        self.meanwhile: Callable[[], None] = lambda: None

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.slept.append(seconds)
        self.meanwhile()

    def timings(self) -> LeaseTimings:
        # the renewing thread waits in real time, so it never renews here
        return LeaseTimings(
            renew_seconds=3600.0, dead_seconds=5 * 3600.0, settle_seconds=1.0, clock=lambda: self.now, sleep=self.sleep
        )


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def files(memory: str) -> Files:
    return open_files(memory)


def lease_of(files: Files, clock: Clock, owner: Owner | None = None) -> Lease:
    return Lease(files, clock.timings(), owner or Owner.here())


def test_a_lease_is_acquired_and_released(files: Files, clock: Clock) -> None:
    lease = lease_of(files, clock)
    lease.acquire()
    lease.check()
    assert files.names("driver.lease") == ["000001"]
    lease.release()
    assert files.names("driver.lease") == []
    assert clock.now == 1.0, "only the settling time"


def test_a_holder_that_renews_keeps_the_lease_and_is_named(files: Files, clock: Clock) -> None:
    first = lease_of(files, clock, ELSEWHERE)
    first.acquire()
    clock.meanwhile = first.renew
    second = lease_of(files, clock)
    with pytest.raises(StoreError, match=r"another sweep is writing here \(process 4711 on node7, since 20"):
        second.acquire()
    first.check()
    first.release()


def test_a_silent_holder_loses_the_lease_and_notices_when_it_wakes(files: Files, clock: Clock) -> None:
    first = lease_of(files, clock, ELSEWHERE)
    first.acquire()
    began = clock.now
    second = lease_of(files, clock)
    second.acquire()
    assert 5 * 3600 <= clock.now - began <= 6 * 3600 + 1
    assert files.names("driver.lease") == ["000002"]
    with pytest.raises(StoreError, match=r"lost it to process \d+ on .*; it writes nothing more, run the same"):
        first.check()
    with pytest.raises(StoreError, match="lost it to process"):
        first.check()
    first.release()
    second.check()
    assert files.names("driver.lease") == ["000002"], "a lost lease is not released"
    second.release()


def test_a_dead_process_of_this_machine_is_not_waited_for(files: Files, clock: Clock) -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as gone:
        pass
    first = lease_of(files, clock, replace(Owner.here(), pid=gone.pid, nonce="another"))
    first.acquire()
    began = clock.now
    second = lease_of(files, clock)
    second.acquire()
    assert clock.now - began == 1.0
    second.release()
    first.release()


def test_a_check_asks_the_store_only_when_the_last_renewal_is_old(files: Files, clock: Clock) -> None:
    lease = lease_of(files, clock)
    lease.acquire()
    lease.check()
    assert lease.renewals == 0
    clock.now += 3 * 3600
    lease.check()
    assert lease.renewals == 1
    lease.release()


def test_of_two_that_create_the_same_file_the_last_one_holds(memory: str, clock: Clock) -> None:
    """In a store that ignores conditions both creations succeed, and only one finds its own file afterwards."""
    files = open_files(memory)
    other = replace(ELSEWHERE, nonce="other")
    rival = Lease(files, clock.timings(), other)
    overwritten = []

    def overwrite() -> None:
        if not overwritten:
            overwritten.append(True)
            files.write("driver.lease/000001", rival.content())
        else:
            rival.renewals += 1
            files.write("driver.lease/000001", rival.content())

    clock.meanwhile = overwrite
    with pytest.raises(StoreError, match="process 4711 on node7"):
        lease_of(files, clock).acquire()


def test_a_file_that_cannot_be_parsed_counts_as_a_holder_until_it_was_silent_for_long_enough(
    files: Files, clock: Clock
) -> None:
    files.write("driver.lease/000003", b"")
    lease = lease_of(files, clock)
    lease.acquire()
    assert clock.now > 5 * 3600
    assert lease.number == 4
    lease.release()


def test_it_is_renewed_while_the_driver_does_something_else(memory: str) -> None:
    files = open_files(memory)
    lease = Lease(files, LeaseTimings(renew_seconds=0.01, dead_seconds=0.5, settle_seconds=0.0))
    lease.acquire()
    renewed = threading.Event()
    seen = files.read("driver.lease/000001")
    for _ in range(500):
        if files.read("driver.lease/000001") != seen:
            renewed.set()
            break
        threading.Event().wait(0.01)
    lease.release()
    assert renewed.is_set()


def test_a_driver_that_lost_its_lease_writes_nothing_more(memory: str, clock: Clock, make_record) -> None:
    store = RecordStore(memory, lease_timings=clock.timings())
    with store.lock():
        store.start("a", 1, {}, time=1.0)
        assert store.lease is not None
        store.lease.files.write("driver.lease/000002", Lease(store.files, owner=ELSEWHERE).content())
        clock.now += 4 * 3600
        for write in (
            lambda: store.append("a", Point(step=1, metrics={})),
            lambda: store.end(make_record("a", state=State.DONE)),
            lambda: store.start("b", 1, {}, time=2.0),
        ):
            with pytest.raises(StoreError, match="lost it to process 4711 on node7"):
                write()
    assert RunDirectory(memory).attempts("a") == ()


HOLD = """
import sys, time
from orchestrator.errors import StoreError
from orchestrator.store.lease import LeaseTimings
from orchestrator.store.record_store import RecordStore
try:
    timings = LeaseTimings(renew_seconds=0.2, dead_seconds=1.0, settle_seconds=0.1)
    with RecordStore(sys.argv[1], lease_timings=timings).lock():
        print("held", flush=True)
        time.sleep(float(sys.argv[2]))
except StoreError as error:
    print(error, flush=True)
"""


def test_two_processes_and_one_bucket(bucket: str) -> None:
    def start(seconds: float) -> subprocess.Popen[str]:
        return subprocess.Popen([sys.executable, "-c", HOLD, bucket, str(seconds)], stdout=subprocess.PIPE, text=True)

    with start(60) as first:
        assert first.stdout is not None
        assert first.stdout.readline() == "held\n"
        with start(0) as second:
            refused, _ = second.communicate()
        assert f"another sweep is writing here (process {first.pid} on " in refused
        assert refused.count("\n") == 1
        first.kill()
        first.wait()
        with start(0) as third:
            assert third.communicate()[0] == "held\n"
