"""Every command of the README and of docs/ is run as it is written, or `not_run.py` says why not."""

from __future__ import annotations

import json
import re
import shlex
import tomllib
from fnmatch import fnmatchcase
from itertools import chain
from pathlib import Path

import pytest

from tests.docs.fences import PAGES, PROJECT, SHELLS, STARTS, Command, commands, fences
from tests.docs.not_run import NOT_RUN
from tests.end_to_end.conftest import MAINS
from website.command_reference import PROGRAMS, parser_of

COMMANDS = commands()
PLACEHOLDERS = {
    "SPEC.yaml": "search_spaces/ablation_memory.yaml",
    "FILE.zip": "ablation_memory.zip",
    "N": "2",
    "FOLDER": "camvid",
    "NAME": "cityscapes",
}
"""Words of the pages -> what is typed in their place."""
FINDS_PROBLEMS = {
    "python -m orchestrator doctor*": "of this machine",
    "python -m trainer.data check --data *": "of the look-alike, which lacks classes",
}
"""Commands whose exit code may be 1 -> whose problems they may find."""


def reason(text: str) -> str:
    """The pattern of `NOT_RUN` for a command; empty if it is run."""
    return next((pattern for pattern in NOT_RUN if fnmatchcase(text, pattern)), "")


RUN = [command for command in COMMANDS if not reason(command.text)]
ACCEPTED = [command for command in COMMANDS if reason(command.text)]


def test_commands_are_found() -> None:
    assert len(RUN) > 20
    assert {command.page for command in COMMANDS} >= {"README.md", "docs/daily_use.md", "deploy/mlflow.md"}


@pytest.mark.parametrize("page", PAGES)
def test_a_block_with_commands_says_that_it_is_a_shell(page: str) -> None:
    others = [text for language, text in fences(page) if language.partition(" ")[0] not in SHELLS]
    assert not [line for text in others for line in text.splitlines() if STARTS.match(line)]


def test_every_reason_is_needed() -> None:
    used = {reason(command.text) for command in ACCEPTED}
    assert not [pattern for pattern in NOT_RUN if pattern not in used]


@pytest.mark.parametrize("pattern", NOT_RUN)
def test_a_reason_names_files_that_exist(pattern: str) -> None:
    named = re.findall(r"(?:tests|docs)/[\w/.]*\w|\.ci/run", NOT_RUN[pattern])
    assert all((PROJECT / name).exists() for name in named)


@pytest.mark.parametrize("command", ACCEPTED, ids=lambda command: command.text)
def test_what_is_not_run_would_be_accepted(command: Command) -> None:
    """Options and commands exist, and so do the targets of make and the extras of pip."""
    for part in re.split(r" && | > \S+", command.text):
        words = shlex.split(part)
        if words[:2] == ["python", "-m"] and words[2] in PROGRAMS:
            parser_of(PROGRAMS[words[2]]).parse_args(typed(words[3:], Path()))
        elif words[:1] == ["make"]:
            makefile = (PROJECT / "Makefile").read_text(encoding="utf-8")
            target = re.sub(r"^test-(?!all).*", "test-%", words[1])
            assert re.search(rf"^(?:[\w. /-]+ )?{re.escape(target)}:", makefile, re.MULTILINE), target
        elif "install" in words:
            project = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
            ours = [word for word in words if re.match(r"(\.|contrast-sweep)\[", word)]
            extras = chain.from_iterable(re.findall(r"\[(.*)\]", word)[0].split(",") for word in ours)
            assert set(extras) <= set(project["optional-dependencies"])


def typed(words: list[str], folder: Path) -> list[str]:
    """The words of a command as a user types them in `folder`, without what is optional on the page."""
    plain = [PLACEHOLDERS.get(word, word) for word in (word.strip("[]") for word in words)]
    data = folder / ("cityscapes" if "cityscapes" in plain else "camvid")
    return [re.sub(r"\bPATH(/camvid_small)?\b", str(data), word) for word in plain]


@pytest.mark.slow
@pytest.mark.parametrize("command", RUN, ids=lambda command: command.text)
def test_the_command_runs(command: Command, prepared: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """In this process. A sweep whose trials are not done in the folder is planned only."""
    names = re.sub(r"(\S*)\{(\w+),(\w+)\}(\S*)", r"\1\2\4 \1\3\4", command.text)  # as a shell expands them
    python, option, program, *words = shlex.split(names)
    assert (python, option) == ("python", "-m"), "give it a reason in not_run.py"
    words = typed(words, prepared)
    assert program in MAINS, "give it a reason in not_run.py"
    if program == "orchestrator.sweep" and "--dry-run" not in words:
        assert MAINS[program]([*words, "--dry-run", "--json"]) == 0
        trials = json.loads(capsys.readouterr().out)["trials"]
        if {trial["status"] for trial in trials} != {"done"}:
            return
    expected = (0, 1) if any(fnmatchcase(command.text, pattern) for pattern in FINDS_PROBLEMS) else (0,)
    assert MAINS[program](words) in expected, capsys.readouterr()


@pytest.mark.slow
def test_the_code_of_the_page_on_python_runs(prepared: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without Ray, which takes seconds to start, and with fewer seeds and steps."""
    blocks = [text for language, text in fences("docs/python.md") if language == "python"]
    for text in blocks:
        code = text.replace("max_concurrent=2", 'executor="serial"')
        code = code.replace("seeds=5", "seeds=3").replace("steps=20", "steps=2")
        exec(compile(code, "docs/python.md", "exec"), {})  # noqa: S102
    lines = capsys.readouterr().out.splitlines()
    assert len(blocks) == 2
    assert lines[0] == "6"
    assert lines[1].startswith("True reports/out/ablation_memory+seeds=3/")
    assert 0 <= float(lines[-1]) <= 1
