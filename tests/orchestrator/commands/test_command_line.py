"""Exit codes, and mistakes in one line."""

import subprocess
import sys

import pytest

from orchestrator.commands.command_line import Parser, guarded
from orchestrator.errors import SpecError, StoreError


def test_the_code_of_the_command_is_handed_on() -> None:
    assert guarded(lambda: 1) == 1


@pytest.mark.parametrize(
    ("failure", "code", "line"),
    [
        (
            SpecError("a.yaml:1: rows: empty", "a.yaml:2: seeds: zero"),
            2,
            "a.yaml:1: rows: empty\na.yaml:2: seeds: zero\n",
        ),
        (StoreError("runs: full"), 2, "runs: full\n"),
        (
            UnicodeEncodeError("ascii", "gr\xf6\xdfe", 2, 4, "ordinal not in range(128)"),
            2,
            (
                "'ascii' codec can't encode characters in position 2-3: ordinal not in range(128); the locale lacks a "
                "character: set LC_ALL=C.UTF-8, or PYTHONUTF8=1\n"
            ),
        ),
        (PermissionError(13, "Permission denied", "runs/x"), 2, "[Errno 13] Permission denied: 'runs/x'\n"),
        (
            KeyboardInterrupt(),
            130,
            "interrupted; run the same command again\n",
        ),
    ],
)
def test_what_a_user_can_cause_is_a_line_and_a_code(
    failure: BaseException, code: int, line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail() -> int:
        raise failure

    assert guarded(fail) == code
    assert capsys.readouterr().err == line


def test_the_first_cause_comes_before_what_failed_after_it(capsys: pytest.CaptureFixture[str]) -> None:
    def fail() -> int:
        error = StoreError("runs: full")
        error.add_note("tables: reports: full")
        raise error

    assert guarded(fail) == 2
    assert capsys.readouterr().err == "runs: full\ntables: reports: full\n"


def test_a_bug_keeps_its_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    def fail() -> int:
        raise ZeroDivisionError

    assert guarded(fail) == 1
    written = capsys.readouterr().err
    assert written.startswith("Traceback")
    assert written.strip().endswith("ZeroDivisionError")


def test_a_reader_that_goes_away_is_no_error() -> None:
    program = "import sys; from orchestrator.commands.command_line import guarded; "
    program += "sys.exit(guarded(lambda: [print('x' * 99) for _ in range(9999)] and 0))"
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.read(10)
        process.stdout.close()
        assert process.wait() == 1
        assert process.stderr.read() == b""


def test_wrong_usage_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        Parser(prog="python -m it").parse_args(["--what"])
    assert ended.value.code == 2
    assert capsys.readouterr().err == "python -m it: unrecognized arguments: --what (--help shows the usage)\n"
