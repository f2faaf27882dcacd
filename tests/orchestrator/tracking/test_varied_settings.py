"""The parameters of a child run: what its row sets, and nothing that has no effect in it."""

from dataclasses import replace
from typing import Any

import pytest

from orchestrator.store.sweep_record import PlannedRun, Row, SweepRecord
from orchestrator.tracking.varied_settings import VariedSettings, parameter_names


@pytest.fixture
def varied(sweep: SweepRecord) -> SweepRecord:
    rows = (
        Row(label="none", factors={"contrast.source": "none", "optim.lr": 0.1}),
        Row(label="cold", factors={"contrast.temperature": 0.05, "optim.lr": 0.1}),
        Row(label="pixel", factors={"contrast.memory.kind": "pixel", "optim.lr": 0.1}),
    )
    unused = {"none": ("contrast.temperature", "contrast.memory.kind")}
    return replace(sweep, rows=rows, baseline="none", cells=(), unused=unused)


CONFIG: dict[str, Any] = {
    "contrast.source": "inter_image",
    "contrast.temperature": 0.1,
    "contrast.memory.kind": "pixel_region",
    "optim.lr": 0.1,
    "schedule.steps": 30,
}


def parameters(sweep: SweepRecord, row: str, **config: Any) -> dict[str, str]:
    own = {key.replace("__", "."): value for key, value in config.items()}
    return VariedSettings(sweep).parameters(PlannedRun(row=row, seed=1, trial_id="t"), {**CONFIG, **own})


def test_a_run_has_the_settings_that_differ_between_rows(varied: SweepRecord) -> None:
    assert parameters(varied, "pixel", contrast__memory__kind="pixel") == {
        "row": "pixel",
        "seed": "1",
        "source": "inter_image",
        "temperature": "0.1",
        "memory.kind": "pixel",
    }


def test_a_setting_without_effect_is_a_dash_or_left_out_where_the_others_are_numbers(varied: SweepRecord) -> None:
    found = parameters(varied, "none", contrast__source="none")
    assert found == {"row": "none", "seed": "1", "source": "none", "memory.kind": "–"}


def test_a_word_that_a_run_does_not_set_is_said_and_a_number_is_left_out(varied: SweepRecord) -> None:
    control = Row(label="control", factors={"contrast.labels": "shuffled", "optim.clip_norm": 1.0, "optim.lr": 0.1})
    sweep = replace(varied, rows=(*varied.rows, control))
    found = parameters(sweep, "pixel", contrast__memory__kind="pixel")
    assert (found["labels"], "clip_norm" in found) == ("not set", False)
    assert parameters(sweep, "control", contrast__labels="shuffled")["labels"] == "shuffled"


def test_the_runs_of_several_data_sets_say_which(varied: SweepRecord) -> None:
    planned = PlannedRun(row="cold", seed=0, trial_id="t", data="CamVid")
    assert VariedSettings(varied).parameters(planned, CONFIG)["data_set"] == "CamVid"


def test_a_drawn_run_has_what_was_drawn(sweep: SweepRecord) -> None:
    drawn = Row(label="trial 1", factors={"optim.lr": 0.2, "contrast.source": "none"})
    parameters = [{"key": "contrast.source"}, {"key": "contrast.temperature"}, {"key": "optim.lr"}]
    search = replace(sweep, method="tpe", baseline=None, rows=(drawn,), cells=(), search={"parameters": parameters})
    found = VariedSettings(search).parameters(PlannedRun(row="trial 1", seed=0, trial_id="t"), CONFIG)
    assert found == {"row": "trial 1", "seed": "0", "source": "none", "lr": "0.2"}


def test_a_name_is_short_unless_two_look_alike(sweep: SweepRecord) -> None:
    keys = ("contrast.memory.kind", "a.rate", "b.rate", "data.seed", "width")
    rows = (Row(label="one", factors={}), Row(label="two", factors=dict.fromkeys(keys, 1)))
    assert parameter_names(replace(sweep, rows=rows)) == {
        "contrast.memory.kind": "memory.kind",
        "a.rate": "a.rate",
        "b.rate": "b.rate",
        "data.seed": "data.seed",
        "width": "width",
    }


def test_what_all_rows_set_alike_is_not_varied(sweep: SweepRecord) -> None:
    rows = tuple(Row(label=label, factors={"optim.lr": 0.1}) for label in "ab")
    assert parameter_names(replace(sweep, rows=rows)) == {}
