"""The table in a terminal: the figures of the table, in the width of the terminal, with no word broken."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Mapping
from dataclasses import replace

import pytest
from rich.cells import cell_len
from rich.console import Console
from rich.segment import Segment

from orchestrator.store.sweep_record import TableRecord
from reports.render.terminal import TerminalTable
from reports.tables.cell_text import Mark
from reports.tables.combined_table import combine_tables
from reports.tables.table import Table, build_table
from reports.testing.tables import HOSTILE, TABLES
from reports.write import make_table
from tests.reports.conftest import make_data_results, make_outcomes, make_sweep, results_of

WIDTHS = [60, 80, 120]
MIOU = "final/miou"


def example_search() -> Table:
    rows = {f"draw {number}": {"contrast.temperature": 0.01 * number} for number in range(12)}
    sweep = make_sweep(rows, method="tpe", baseline=None, seeds=(0,), columns=(MIOU, "cost/train_minutes"))
    values = {row: [{MIOU: 0.3 + number / 100, "cost/train_minutes": 1.0}] for number, row in enumerate(rows)}
    return build_table(results_of(sweep, make_outcomes(values, seeds=(0,))), None, {}, None)


def single_seed() -> Table:
    sweep = make_sweep({"base": {}, "memory": {"contrast.memory.kind": "pixel"}}, seeds=(0,))
    return build_table(results_of(sweep, make_outcomes({"base": [0.3], "memory": [0.4]}, seeds=(0,))))


def no_baseline() -> Table:
    rows = {"first": {"contrast.weight": 0.1}, "second": {"contrast.weight": 0.2}}
    values = {"first": [0.30, 0.31, 0.32], "second": [0.40, 0.41, 0.45]}
    return build_table(results_of(make_sweep(rows, baseline=None), make_outcomes(values)))


def data_sets() -> Table:
    def metrics(values: list[float]) -> list[dict[str, float]]:
        return [{MIOU: value, "final/pixel_accuracy": value + 0.3, "cost/train_minutes": 1.5} for value in values]

    rows = ("w/o contrast", "mini-batch, no memory", "pixel + region memory")
    values = {
        row: {data: metrics([0.40 + number / 50, 0.41, 0.43]) for data in ("CamVid", "own data", "Cityscapes")}
        for number, row in enumerate(rows)
    }
    columns = (MIOU, "final/pixel_accuracy", "cost/train_minutes")
    results = make_data_results(values, data_sets=("CamVid", "own data", "Cityscapes"), columns=columns)
    return make_table(results, {})


def leave_one_out() -> Table:
    full = {"contrast.memory.kind": "pixel", "contrast.mining.kind": "semi_hard", "contrast.weight": 0.1}
    rows = {"full": full} | {
        f"w/o {name}": {key: value for key, value in full.items() if key != left}
        for name, left in (("memory", "contrast.memory.kind"), ("mining", "contrast.mining.kind"))
    }
    sweep = make_sweep(rows, columns=(MIOU, "final/pixel_accuracy", "cost/train_minutes"))
    return build_table(results_of(sweep, make_outcomes({row: [0.4, 0.41, 0.42] for row in rows})))


KINDS: Mapping[str, Callable[[], Table]] = {
    **TABLES,
    "search": example_search,
    "single seed": single_seed,
    "no baseline": no_baseline,
    "data sets": data_sets,
    "leave one out": leave_one_out,
    "combined": lambda: combine_tables([TABLES["all marks"](), TABLES["matrix"](), no_baseline()]),
}


def segments_of(table: Table, width: int, **environment: str) -> list[Segment]:
    console = Console(
        file=io.StringIO(), width=width, force_terminal=True, color_system="truecolor", _environ=environment
    )
    return list(console.render(TerminalTable(table)))


def lines_of(table: Table, width: int) -> list[str]:
    return "".join(segment.text for segment in segments_of(table, width)).splitlines()


def words_in(lines: list[str]) -> set[str]:
    return {word for line in lines for word in line.split() if not set(word) <= {"─"}}


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("kind", KINDS)
def test_lines_fit_and_no_word_is_broken(kind: str, width: int) -> None:
    table = KINDS[kind]()
    lines = lines_of(table, width)
    assert max(map(cell_len, lines)) <= width
    assert words_in(lines) - {str(width), "not", "shown", "in", "columns:"} <= {
        part for word in words_in(lines_of(table, 1000)) for part in (word, f"{word},")
    }


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("kind", KINDS)
def test_every_figure_is_shown_unless_its_column_is_named_as_left_out(kind: str, width: int) -> None:
    table = KINDS[kind]()
    text = "\n".join(lines_of(table, width))
    left_out = text.partition("columns: ")[2]
    for line in table.layout.lines:
        for slot in line.slots:
            if slot.cell_text is not None and slot.cell_text.mean and slot.column is not None:
                shown = slot.cell_text.mean.replace("-", "−")
                shown += f" ± {slot.cell_text.std}" if slot.cell_text.std else ""
                name = slot.column.header.removeprefix(f"{slot.column.data} ")
                assert re.search(rf"(?<![\d.]){re.escape(shown)}", text) or name in left_out, (shown, name)


def test_what_gives_way_at_80_columns_is_the_training_time_and_then_the_row_header_wraps(example) -> None:
    plan = replace(example.sweep, table=TableRecord(columns=(MIOU, "final/pixel_accuracy", "cost/train_minutes")))
    table = build_table(replace(example, sweep=plan))
    wide, middle, narrow = ("\n".join(lines_of(table, width)) for width in (120, 80, 62))
    assert "Train (min) ↓" in wide
    assert "not shown" not in wide
    assert "Train (min) ↓" not in middle
    assert "not shown in 80 columns: Train (min)" in middle
    assert "mini-batch, no memory  " in middle
    assert re.search(r"^mini-batch, no +42\.12? ", narrow, re.MULTILINE) or re.search(
        r"^mini-batch, no +\d", narrow, re.MULTILINE
    )
    assert "not shown in 62 columns: Train (min)" in narrow


def test_data_sets_that_do_not_fit_side_by_side_stand_one_below_the_other() -> None:
    table = data_sets()
    lines = lines_of(table, 80)
    heads = [line for line in lines if re.match(r" +(CamVid|own data|Cityscapes)", line)]
    assert len(heads) == 3
    assert sum(line.startswith("w/o contrast") for line in lines) == 3
    wide = lines_of(table, 250)
    assert sum(line.startswith("w/o contrast") for line in wide) == 1


def test_a_metric_keeps_its_interval_and_p_beside_it() -> None:
    lines = lines_of(TABLES["all marks"](), 80)
    heads = [line for line in lines if line.startswith("Variant")]
    assert [line.split()[1] for line in heads] == ["mIoU", "Pixel"]
    assert all(line.endswith("p") for line in heads)


def styled(table: Table, width: int = 120, **environment: str) -> Mapping[str, set[str]]:
    """The texts of the body that are bold or underlined."""
    found: dict[str, set[str]] = {"bold": set(), "underline": set()}
    for segment in segments_of(table, width, **environment):
        for name, texts in found.items():
            if segment.style is not None and getattr(segment.style, name):
                texts.add(segment.text.strip())
    return found


@pytest.mark.parametrize("environment", [{}, {"NO_COLOR": "1"}])
@pytest.mark.parametrize("kind", KINDS)
def test_the_best_is_bold_and_the_second_underlined(kind: str, environment: dict[str, str]) -> None:
    table = KINDS[kind]()
    found = styled(table, 400, **environment)
    texts = [slot.cell_text for line in table.layout.lines for slot in line.slots if slot.cell_text is not None]
    for mark, style in ((Mark.BEST, "bold"), (Mark.SECOND, "underline")):
        ranked = {text.mean for text in texts if text.rank is mark}
        assert ranked <= found[style]
        others = {text.mean for text in texts} - ranked
        assert not others & found[style]


def test_marks_that_are_used_are_explained_and_no_other(example) -> None:
    text = " ".join(lines_of(build_table(example), 100))
    for mark in ("†", "‡", "§", "¶"):
        assert f"{mark} " in text.partition("mean ± standard")[2]
    plain = " ".join(lines_of(single_seed(), 100))
    assert "one seed" in plain
    assert not re.search("[†‡§¶≈]", plain)


def test_runs_without_a_result_are_counted_and_named() -> None:
    table = TABLES["all marks"]()
    text = "\n".join(lines_of(table, 120))
    assert "10 of 15 runs are done; without result:" in text
    assert "region memory, seed 1: lost: LostError: its process died" in text
    quiet = Console(file=io.StringIO(), width=120)
    with quiet.capture() as capture:
        quiet.print(TerminalTable(table, lists_missing=False))
    assert "without result" not in capture.get()


def test_texts_of_users_are_no_markup() -> None:
    sweep = make_sweep({"[bold]base[/bold]": {}, HOSTILE: {"contrast.weight": 2}})
    outcomes = make_outcomes({"[bold]base[/bold]": [0.1, 0.2, 0.3], HOSTILE: [0.2, 0.3, 0.4]})
    text = "\n".join(lines_of(build_table(results_of(sweep, outcomes)), 150))
    assert "[bold]base[/bold]" in text
    assert " ".join(HOSTILE.split()) in text


def test_a_terminal_that_is_too_narrow_for_a_word_cuts_it() -> None:
    sweep = make_sweep({"a" * 50: {}, "b": {"contrast.weight": 2}})
    lines = lines_of(build_table(results_of(sweep, make_outcomes({"a" * 50: [0.1, 0.2, 0.3]}))), 40)
    assert max(map(cell_len, lines)) <= 40
    assert any(line.startswith("aaaa") and "…" in line and "20.00 ± 10.00" in line for line in lines)
