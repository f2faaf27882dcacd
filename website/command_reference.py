"""All commands with their options as Markdown, from the parsers that read the command lines."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import import_module
from unittest.mock import patch

__all__ = ["PROGRAMS", "Program", "commands_of", "reference"]

WIDTH = 80
"""Columns of a usage line."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Program:
    """Something that users start with `python -m`."""

    module: str
    """The module with its `main`."""
    words: tuple[str, ...] = ()
    """Arguments that choose one of several parsers."""


PROGRAMS = {
    "orchestrator.sweep": Program(module="orchestrator.sweep"),
    "orchestrator": Program(module="orchestrator.__main__"),
    "reports": Program(module="reports.__main__"),
    "reports trace": Program(module="reports.__main__", words=("trace",)),
    "trainer.data": Program(module="trainer.data.__main__"),
    "trainer.plugins": Program(module="trainer.plugins.__main__"),
    "trainer.export": Program(module="trainer.export"),
    "trainer.golden": Program(module="trainer.golden.__main__"),
}
"""What stands after `python -m` -> the program, in the order of the page."""


class Found(Exception):  # noqa: N818 - not an error
    """Carries the parser out of the program that has made it."""

    def __init__(self, parser: argparse.ArgumentParser) -> None:
        self.parser = parser


def parser_of(program: Program) -> argparse.ArgumentParser:
    """The parser with which a program reads its command line; nothing else of the program runs."""

    def stop(parser: argparse.ArgumentParser, *_: object) -> None:
        raise Found(parser)

    main: Callable[[list[str]], int] = import_module(program.module).main
    with patch.object(argparse.ArgumentParser, "parse_args", stop), patch("sys.argv", ["", *program.words]):
        try:
            main(list(program.words)) if main.__code__.co_argcount else main()  # type: ignore[call-arg]
        except Found as found:
            return found.parser
    raise AssertionError(f"{program.module} reads no command line")


def commands_of(program: Program) -> Iterator[argparse.ArgumentParser]:
    """The parsers of a program's commands; its own if it has none."""
    parser = parser_of(program)
    nested = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    if not nested:
        yield parser
    for action in nested:
        yield from dict.fromkeys(action.choices.values())


def reference(name: str) -> str:
    """The section of a program: for each of its commands the usage, what it does, and a table of its options."""
    return "\n\n".join(section(parser) for parser in commands_of(PROGRAMS[name]))


def section(parser: argparse.ArgumentParser) -> str:
    """A command."""
    formatter = argparse.HelpFormatter(parser.prog, width=WIDTH)
    formatter.add_usage(
        parser.usage,
        [action for action in parser._actions if action.dest != "help"],
        parser._mutually_exclusive_groups,
        prefix="",
    )
    description = " ".join((parser.description or "").split())
    parts = [f"## {parser.prog}", escaped(description), f"```text\n{formatter.format_help().strip()}\n```"]
    rows = [row(action, formatter) for action in parser._actions if action.dest != "help"]
    if rows:
        parts.append("\n".join(["| option | meaning |", "| --- | --- |", *rows]))
    if parser.epilog:
        parts.append(escaped(parser.epilog))
    return "\n\n".join(part for part in parts if part)


def row(action: argparse.Action, formatter: argparse.HelpFormatter) -> str:
    """A line of the table of options."""
    names = ", ".join(action.option_strings)
    value = formatter._format_args(action, formatter._get_default_metavar_for_optional(action))
    if not names:
        names, value = formatter._metavar_formatter(action, action.dest)(1)[0], ""
    meaning = formatter._expand_help(action) if action.help else ""
    return f"| `{names}{f' {value}' if value else ''}` | {escaped(meaning)} |"


def escaped(text: str) -> str:
    """A text of the command line, in which no character is markup."""
    return text.replace("|", "\\|").replace("<", "&lt;").replace("*", "\\*").replace("_", "\\_")
