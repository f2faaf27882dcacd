"""Every command on a terminal that lacks characters, in this process, and one sweep with a locale of 1990. 12 s."""

from __future__ import annotations

import argparse
import io
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from orchestrator import __main__ as orchestrator
from orchestrator import api
from orchestrator import sweep as sweep_command
from orchestrator.doctor.checks import checks_for
from orchestrator.doctor.finding import Question
from orchestrator.machine.streams import ASCII_FORMS
from reports import __main__ as reports
from tests.end_to_end.conftest import TINY_SPACE, write_tiny
from tests.orchestrator.conftest import quick_options
from trainer import export
from trainer.data import __main__ as data
from trainer.golden import __main__ as golden

ROW = "Größe ± ≈ · 中 ☃ §"
"""Label of a row; Latin-1 has some of its characters."""
ENCODINGS = ("ascii", "latin-1")

SPEC = "tiny.yaml"
ARGUMENTS = {
    "status": [[SPEC], [SPEC, "--json"], [SPEC, "--plans"], [SPEC, "--all"]],
    "why": [[SPEC], [SPEC, "--all"]],
    "clean": [[], ["--all"]],
    "sync": [["--tracking-uri", "sqlite:///mlflow.db"], ["--check", "--tracking-uri", "sqlite:///mlflow.db"]],
    "verify": [[], [SPEC, "--deep"]],
    "export": [[SPEC, "tiny.zip"]],
    "import": [["tiny.zip", "--run-dir", "imported"], ["größe.zip"]],
    "ui": [["--tracking-uri", "http://größe.example"]],
    "schema": [[]],
}
"""Arguments of the commands of `python -m orchestrator`; a command that is not named here is called without any."""


class Terminal:
    """Streams with an encoding, as Python opens them for a terminal."""

    def __init__(self, encoding: str, monkeypatch: pytest.MonkeyPatch) -> None:
        self.encoding = encoding
        self.content = {"stdout": io.BytesIO(), "stderr": io.BytesIO()}
        for name, content in self.content.items():
            monkeypatch.setattr(sys, name, io.TextIOWrapper(content, encoding=encoding, errors="strict"))

    def text(self) -> str:
        """All that was written; raises for what is not in the encoding."""
        sys.stdout.flush()
        sys.stderr.flush()
        return "".join(content.getvalue().decode(self.encoding) for content in self.content.values())


@pytest.fixture(autouse=True, scope="module")
def no_figures() -> Iterator[None]:
    """Drawing takes most of the time, and writes nothing to a terminal."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("reports.figures.choose.choose", lambda *given, **named: {})
        yield


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with a sweep that has run."""
    folder = tmp_path_factory.mktemp("swept")
    write_tiny(folder)
    text = TINY_SPACE.replace("pixel + region memory", ROW).replace("w/o contrast", "ohne")
    (folder / SPEC).write_text(text, encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        options = quick_options.__wrapped__(folder, patch)  # type: ignore[attr-defined]
        api.sweep(folder / SPEC, options=options)
        yield folder


def names() -> list[str]:
    """The commands of `python -m orchestrator`."""
    parser = orchestrator.build_parser()
    (action,) = [item for item in parser._actions if isinstance(item, argparse._SubParsersAction)]
    return sorted(action.choices)


def exit_code(command: Callable[..., object], arguments: Sequence[str]) -> object:
    """What the command returns, or ends with."""
    try:
        return command(arguments)
    except SystemExit as ended:
        return ended.code


def calls() -> dict[str, tuple[Callable[..., object], Sequence[str]]]:
    """Every command that a user can type, with arguments."""
    found: dict[str, tuple[Callable[..., object], Sequence[str]]] = {}
    for name in names():
        for number, arguments in enumerate(ARGUMENTS.get(name, [[]])):
            found[f"{name}-{number}"] = (orchestrator.main, [name, *arguments])
        found[f"{name}-help"] = (orchestrator.main, [name, "--help"])
    found["help"] = (orchestrator.main, ["--help"])
    found["sweep-help"] = (sweep_command.main, ["--help"])
    found["sweep-dry-run"] = (sweep_command.main, [SPEC, "--dry-run"])
    found["sweep-dry-run-json"] = (sweep_command.main, [SPEC, "--dry-run", "--json"])
    found["sweep-wrong"] = (sweep_command.main, [SPEC, "--set", "größe=☃"])
    found["sweep-again"] = (sweep_command.main, [SPEC, "--executor", "serial"])
    found["sweep-again-json"] = (sweep_command.main, [SPEC, "--executor", "serial", "--json"])
    found["sweep-new"] = (sweep_command.main, [SPEC, "--executor", "serial", "--run-dir", "new"])
    found["reports"] = (reports.main, [SPEC])
    found["reports-trace"] = (reports.main, ["trace", SPEC, ROW, "final/miou"])
    found["reports-help"] = (reports.main, ["--help"])
    found["data-check"] = (data.main, ["check", "--data", "camvid", "--root", "größe ☃"])
    found["data-help"] = (data.main, ["check", "--help"])
    found["golden-help"] = (golden.main, ["--help"])
    return found


CALLS = calls()


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("call", CALLS)
def test_no_command_fails_for_a_character(
    swept: Path, migrated: Path, monkeypatch: pytest.MonkeyPatch, call: str, encoding: str
) -> None:
    if call == "sync-0" and not (swept / "mlflow.db").exists():
        (swept / "mlflow.db").write_bytes(migrated.read_bytes())
    if call.startswith("sweep"):
        quick_options.__wrapped__(swept, monkeypatch)  # type: ignore[attr-defined]
    terminal = Terminal(encoding, monkeypatch)
    assert exit_code(*CALLS[call]) in (0, 1, 2)
    text = terminal.text()
    assert text.strip()
    assert "Traceback (most" not in text
    if call == "doctor-0" and encoding == "ascii":
        assert "problem  encoding: ascii lacks letters" in text
        lines = terminal.content["stdout"].getvalue().decode().splitlines()
        assert lines[-1].startswith(f"{len(checks_for(Question()))} checks, ")
    if call == "status-0":
        known = {"ascii": "Gr\\xf6\\xdfe +- ~ - \\u4e2d \\u2603 (s)", "latin-1": "Größe ± ~ · \\u4e2d \\u2603 §"}
        assert known[encoding] in text


def test_the_export_prepares_its_streams_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["export", str(tmp_path / "größe ☃"), "--out", "x"])
    terminal = Terminal("ascii", monkeypatch)
    assert export.main() == 2
    assert "gr\\xf6\\xdfe \\u2603" in terminal.text()


def test_files_do_not_take_the_place_of_a_closed_stream(tmp_path: Path) -> None:
    prepared = "from orchestrator.machine.streams import prepare_streams; prepare_streams()"
    program = f"{prepared}; file = open('x', 'w'); print('lost')"
    command = ["bash", "-c", 'exec "$0" "$@" <&- >&- 2>&-', sys.executable, "-c", f"{program}; file.write('kept')"]
    environment = os.environ | {"PYTHONPATH": str(Path(export.__file__).parents[1])}
    assert subprocess.run(command, cwd=tmp_path, env=environment).returncode == 0
    assert (tmp_path / "x").read_text(encoding="utf-8") == "kept"


def test_every_form_is_ascii_and_no_two_markers_are_equal() -> None:
    assert all(form.isascii() and form for form in ASCII_FORMS.values())
    assert len({ASCII_FORMS[marker] for marker in "†‡§±"}) == 4


OLD_LOCALE = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}


@pytest.mark.slow
def test_a_sweep_with_an_old_locale_and_closed_streams_reaches_its_end_and_mlflow(
    tmp_path: Path, migrated: Path
) -> None:
    write_tiny(tmp_path)
    (tmp_path / SPEC).write_text(TINY_SPACE.replace("pixel + region memory", ROW), encoding="utf-8")
    (tmp_path / "mlflow.db").write_bytes(migrated.read_bytes())
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("MLFLOW", "LC_", "LANG"))}
    line = 'exec "$0" "$@" <&- 2>&-'
    command = ["bash", "-c", line, sys.executable, "-m", "tests.orchestrator.commands.quick_sweep", SPEC]
    done = subprocess.run(command, cwd=tmp_path, env=kept | OLD_LOCALE, capture_output=True, timeout=300)
    assert done.returncode == 1, done.stderr  # one of the trials fails
    assert b"Traceback (most" not in done.stdout + done.stderr
    assert b"MLflow lacks" not in done.stdout
    assert b"Gr\\xf6\\xdfe +- ~ - \\u4e2d \\u2603 (s)" in done.stdout
    assert ROW in (tmp_path / "reports" / "out" / "tiny" / "table.md").read_text(encoding="utf-8")
    assert len(list(tmp_path.glob("runs/trials/*/attempt_*.json"))) >= 4
