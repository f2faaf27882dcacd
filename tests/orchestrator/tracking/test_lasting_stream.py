"""Output whose reader goes away: one warning, and everything else continues. 3 s."""

import io
import json
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console
from rich.live import Live

from orchestrator.tracking.lasting_stream import LastingStream

READER_GOES_AWAY = """
import sys
from orchestrator.tracking.lasting_stream import LastingStream
from rich.console import Console
stream = LastingStream(sys.stdout)
for number in range(2000):
    Console(file=stream).print("x" * 99)
    print("{}", file=stream, flush=True)
sys.stderr.write("the end\\n")
"""


@pytest.mark.parametrize("read", [0, 10])
def test_a_pipe_without_a_reader_is_one_line(read: int) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", READER_GOES_AWAY], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.read(read)
        process.stdout.close()
        lines = process.stderr.read().splitlines()
        assert process.wait() == 0
    assert lines == ["<stdout>: nobody reads it any more ([Errno 32] Broken pipe); the sweep continues", "the end"]


def test_a_full_disk_behind_stdout_is_one_line(caplog: pytest.LogCaptureFixture) -> None:
    with open("/dev/full", "w", encoding="utf-8") as full:  # noqa: PTH123
        stream = LastingStream(full)
        for _ in range(3):
            stream.write("x" * 100_000)
            stream.flush()
    (line,) = caplog.messages
    assert line == "/dev/full: nobody reads it any more ([Errno 28] No space left on device); the sweep continues"


def test_a_stream_that_was_closed_takes_everything(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    closed = (tmp_path / "x").open("w", encoding="utf-8")
    closed.close()
    assert print("more", file=LastingStream(closed)) is None
    assert len(caplog.messages) == 1


@pytest.mark.parametrize(("encoding", "bar"), [("ascii", "-"), ("latin-1", "-"), ("utf-8", "━")])
def test_rich_draws_with_what_the_encoding_has(encoding: str, bar: str) -> None:
    from rich.progress_bar import ProgressBar

    content = io.BytesIO()
    console = Console(file=LastingStream(io.TextIOWrapper(content, encoding=encoding)), force_terminal=True)
    with Live(ProgressBar(total=2, completed=1), console=console):
        pass
    console.file.flush()
    assert bar in content.getvalue().decode(encoding)


def test_it_stands_for_its_stream() -> None:
    content = io.StringIO()
    stream = LastingStream(content)
    json.dump({"a": 1}, stream)
    assert content.getvalue() == '{"a": 1}'
    assert not stream.isatty()


def test_it_may_outlive_its_stream_and_closes_nothing(caplog: pytest.LogCaptureFixture) -> None:
    content = io.StringIO()
    stream = LastingStream(content)
    stream.close()
    assert not content.closed
    content.close()
    del stream  # which Python closes
    assert caplog.messages == []
