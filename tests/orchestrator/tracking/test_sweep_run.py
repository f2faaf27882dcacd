"""The table in the description of a sweep's run, as MLflow's page shows it."""

from __future__ import annotations

from orchestrator.tracking.sweep_run import for_page


def test_the_table_stands_above_its_caption_and_needs_no_underlines() -> None:
    table = "| Row | mIoU |\n| :-- | --: |\n| a | **3.0** |\n| b | <u>2.0</u> ± 0.1 |"
    notes = "- **bold**: best of its column.\n- <u>underlined</u>: second best."
    assert for_page(f"**memory.** Caption.\n\n{table}\n\n{notes}\n") == (
        table.replace("<u>2.0</u>", "*2.0*")
        + "\n\n**memory.** Caption.\n\n- **bold**: best of its column.\n- *italic*: second best."
    )
    assert for_page("| one |") == "| one |"
