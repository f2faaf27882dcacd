"""The lease: one holds it, a silent holder loses it, one that lost it notices. The clocks are the tests' own."""

import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import replace

import pytest

from orchestrator.errors import StoreError
from orchestrator.store.backends import Files, open_files
from orchestrator.store.lease import Lease, Patience
from orchestrator.store.lock_owner import Owner
from orchestrator.store.record_store import RecordStore
from orchestrator.store.records import Point, State
from orchestrator.store.run_directory import RunDirectory

ELSEWHERE = Owner(host="node7", pid=4711, since=1.7e9, machine="another boot")


class Clock:
    """Time that passes when somebody sleeps; `meanwhile` happens at each sleep."""

    def __init__(self) -> None:
        self.now = 0.0
        self.slept: list[float] = []
        self.meanwhile: Callable[[], None] = lambda: None

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.slept.append(seconds)
        self.meanwhile()

    def patience(self) -> Patience:
        # the thread that renews waits in real time: so long that it never comes to it
        return Patience(renew=3600.0, dead=5 * 3600.0, settle=1.0, clock=lambda: self.now, sleep=self.sleep)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def files(memory: str) -> Files:
    return open_files(memory)


def lease_of(files: Files, clock: Clock, owner: Owner | None = None) -> Lease:
    return Lease(files, clock.patience(), owner or Owner.here())


def test_one_holds_and_lets_go(files: Files, clock: Clock) -> None:
    lease = lease_of(files, clock)
    lease.take()
    lease.check()
    assert files.names("driver.lease") == ["000001"]
    lease.release()
    assert files.names("driver.lease") == []
    assert clock.now == 1.0, "nobody was waited for"


def test_a_holder_that_renews_is_named_and_left_alone(files: Files, clock: Clock) -> None:
    first = lease_of(files, clock, ELSEWHERE)
    first.take()
    clock.meanwhile = first.renew
    second = lease_of(files, clock)
    with pytest.raises(StoreError, match=r"another sweep is writing here \(process 4711 on node7, since 20"):
        second.take()
    first.check()
    first.release()


def test_a_silent_holder_is_dead_after_a_while_and_notices_when_it_wakes(files: Files, clock: Clock) -> None:
    first = lease_of(files, clock, ELSEWHERE)
    first.take()
    began = clock.now
    second = lease_of(files, clock)
    second.take()
    assert 5 * 3600 <= clock.now - began <= 6 * 3600 + 1
    assert files.names("driver.lease") == ["000002"]
    with pytest.raises(StoreError, match=r"lost its hold to process \d+ on .*; nothing more is written, run the same"):
        first.check()
    with pytest.raises(StoreError, match="lost its hold"):
        first.check()
    first.release()
    second.check()
    assert files.names("driver.lease") == ["000002"], "the loser lets go of nothing"
    second.release()


def test_a_dead_process_of_this_machine_is_seen_at_once(files: Files, clock: Clock) -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as gone:
        pass
    first = lease_of(files, clock, replace(Owner.here(), pid=gone.pid, nonce="another"))
    first.take()
    began = clock.now
    second = lease_of(files, clock)
    second.take()
    assert clock.now - began == 1.0
    second.release()
    first.release()


def test_a_check_asks_again_only_when_the_last_renewal_is_old(files: Files, clock: Clock) -> None:
    lease = lease_of(files, clock)
    lease.take()
    lease.check()
    assert lease.renewals == 0
    clock.now += 3 * 3600
    lease.check()
    assert lease.renewals == 1
    lease.release()


def test_of_two_that_create_the_same_file_the_last_one_holds(memory: str, clock: Clock) -> None:
    """A store that ignores conditions: both succeed, and only one still finds itself there after a while."""
    files = open_files(memory)
    other = replace(ELSEWHERE, nonce="other")
    rival = Lease(files, clock.patience(), other)
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
        lease_of(files, clock).take()


def test_a_file_that_says_nothing_counts_as_a_holder_until_it_proves_dead(files: Files, clock: Clock) -> None:
    files.write("driver.lease/000003", b"")
    lease = lease_of(files, clock)
    lease.take()
    assert clock.now > 5 * 3600
    assert lease.number == 4
    lease.release()


def test_it_is_renewed_while_the_driver_does_something_else(memory: str) -> None:
    files = open_files(memory)
    lease = Lease(files, Patience(renew=0.01, dead=0.5, settle=0.0))
    lease.take()
    renewed = threading.Event()
    seen = files.read("driver.lease/000001")
    for _ in range(500):
        if files.read("driver.lease/000001") != seen:
            renewed.set()
            break
        threading.Event().wait(0.01)
    lease.release()
    assert renewed.is_set()


def test_a_driver_that_lost_its_hold_writes_nothing_more(memory: str, clock: Clock, make_record) -> None:
    store = RecordStore(memory, patience=clock.patience())
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
            with pytest.raises(StoreError, match="lost its hold to process 4711 on node7"):
                write()
    assert RunDirectory(memory).attempts("a") == ()


HOLD = """
import sys, time
from orchestrator.errors import StoreError
from orchestrator.store.lease import Patience
from orchestrator.store.record_store import RecordStore
try:
    with RecordStore(sys.argv[1], patience=Patience(renew=0.2, dead=1.0, settle=0.1)).lock():
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
