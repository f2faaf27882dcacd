"""What commands print: whole words in columns on a terminal, plain lines when piped."""

from __future__ import annotations

import io
import re

import pytest
from rich.cells import cell_len
from rich.console import Console

from orchestrator.machine.first_few import first_lines
from orchestrator.machine.text_table import Line, Part, TextTable, plain, print_parts, show

TABLE = TextTable(
    header=("row", "mIoU (%)", "why"),
    rows=[
        ("w/o contrast", "9.25 ± 0.41", "done on 2026-11-28 14:57, commit b4c0cb0"),
        (
            Line("pixel memory", "green"),
            "63.25 ± 4.67",
            "never run; closest differs in contrast.temperature: 0.1 -> 0.2",
        ),
    ],
    right=frozenset({1}),
)


def on_terminal(parts: list[Part], width: int = 80) -> list[str]:
    """The lines on a terminal of this width, without colours."""
    console = Console(file=io.StringIO(), force_terminal=True, width=width, record=True, highlight=False)
    show(parts, console)
    return [line.rstrip() for line in console.export_text().splitlines()]


def test_piped_text_is_aligned_and_has_a_line_per_row() -> None:
    assert plain([Line("head", "bold"), "", TABLE]) == [
        "head",
        "",
        "row               mIoU (%)  why",
        "w/o contrast   9.25 ± 0.41  done on 2026-11-28 14:57, commit b4c0cb0",
        "pixel memory  63.25 ± 4.67  never run; closest differs in contrast.temperature: 0.1 -> 0.2",
    ]


@pytest.mark.parametrize("width", [60, 80])
def test_a_terminal_wraps_between_words_and_cuts_no_figure(width: int) -> None:
    lines = on_terminal([TABLE], width)
    assert all(cell_len(line) <= width for line in lines)
    text = " ".join(lines)
    for word in ("63.25 ± 4.67", "9.25 ± 0.41", "2026-11-28", "contrast.temperature:"):
        assert word in text
    column = lines[0].index("why")
    assert all(len(line) <= column or line[column - 1] == " " for line in lines)


def test_a_table_that_does_not_fit_is_not_cut() -> None:
    assert on_terminal([TABLE], 20)[1].startswith("w/o contrast   9.25 ± 0.41  done on")


def test_a_long_line_is_wrapped_and_its_rest_indented() -> None:
    words = [f"word{number}" for number in range(30)]
    lines = on_terminal([" ".join(words)])
    assert " ".join(" ".join(lines).split()).split() == words
    assert len(lines) > 1
    assert all(line.startswith("  ") for line in lines[1:])
    assert on_terminal([Line(" ".join(words), whole=True)])[0].split() == words, "as it is, to be copied"


def test_a_command_is_in_one_line_with_its_text_or_below_it() -> None:
    command = "python -m orchestrator.sweep a.yaml"
    short, long = (
        Line("next:", command=command),
        Line("  next, after all of this:", command=f"{command} --set {'x' * 40}"),
    )
    assert on_terminal([short]) == plain([short]) == [f"next: {command}"]
    assert on_terminal([long], 60) == [long.text, f"    {long.command}"]
    assert plain([long]) == [f"{long.text} {long.command}"]


class Stream(io.StringIO):
    """A stream that may be a terminal."""

    def __init__(self, terminal: bool) -> None:
        super().__init__()
        self.terminal = terminal

    def isatty(self) -> bool:
        return self.terminal


def test_only_a_terminal_gets_colours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    piped, terminal = Stream(False), Stream(True)
    for stream in (piped, terminal):
        print_parts([Line("head", "bold"), TABLE], stream)
    assert "\x1b" not in piped.getvalue()
    assert "\x1b" in terminal.getvalue()
    words = re.sub(r"\x1b\[[0-9;]*m", "", terminal.getvalue()).split()
    assert sorted(words) == sorted(piped.getvalue().split())


def test_a_label_that_looks_like_markup_is_shown_as_it_is() -> None:
    label = "[bold]a [red] b[/]"
    assert on_terminal([label, TextTable(header=("row",), rows=[(label,)])]) == [label, "row", label]


def test_lines_beyond_the_most_are_counted() -> None:
    assert first_lines(["  a", "  b", "  c"], 2) == ["  a", "  b", "  and 1 more; --all lists them"]
    assert first_lines(["a", "b"], None) == first_lines(["a", "b"], 2) == ["a", "b"]
