"""Plugins in search spaces: keys and choices, trial ids, mistakes, and where they may be named."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import pytest

from orchestrator.commands.schema import schema_with
from orchestrator.errors import SpecError
from orchestrator.planning.plan import SweepPlan, plan_sweep
from orchestrator.plugins import source as plugin_source
from orchestrator.plugins.source import read_source
from orchestrator.spec.sweep_spec import read_spec
from orchestrator.workload.plugin_part import PluginSource
from trainer.plugins.options import with_plugin

SAMPLER = '''
from dataclasses import dataclass
from typing import Literal
from trainer.plugins import Entry

@dataclass(frozen=True, kw_only=True)
class Options:
    width: int = 2
    """How wide."""
    side: Literal["inner", "outer"] = "inner"
    """Which side."""

    def __post_init__(self):
        if self.width < 1:
            raise ValueError("width: must be at least 1")

def boundary(context, *, options): ...

ANCHOR_SAMPLERS = {"boundary": Entry(code=boundary, options=Options), "plain": Entry(code=boundary)}
'''
LOSS = "from trainer.plugins import Entry\nLOSSES = {'focal': Entry(code=lambda logits, label, settings: None)}\n"
RECIPE = (
    "data.synthetic: {train_images: 2, val_images: 1, test_images: 1, height: 32, width: 32}\ndata.crop: [32, 32]\n"
)
SPACE = """
method: ablation
recipe: ./recipe.yaml
plugins: [sampler.py, loss.py]
rows:
  hard: {contrast.anchors.kind: hard}
  two: {contrast.anchors.kind: boundary}
  three: {contrast.anchors: {kind: boundary, width: 3}}
  focal: {loss.kind: focal}
"""


@pytest.fixture(autouse=True)
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name, text in (("sampler.py", SAMPLER), ("loss.py", LOSS), ("recipe.yaml", RECIPE), ("space.yaml", SPACE)):
        Path(name).write_text(text, encoding="utf-8")
    return tmp_path


def plan(text: str | None = None, **options: object) -> SweepPlan:
    if text is not None:
        Path("space.yaml").write_text(text, encoding="utf-8")
    return plan_sweep(read_spec(Path("space.yaml"), **options), run_dir=Path("runs"))  # type: ignore[arg-type]


def ids(found: SweepPlan) -> dict[str, str]:
    return {run.row: run.trial_id for run in found.record.cells}


def mistake(text: str, **options: object) -> str:
    with pytest.raises(SpecError) as caught:
        plan(text, **options)
    return "\n".join(caught.value.messages)


def test_the_digest_is_part_of_the_id_of_the_trials_that_use_it_and_of_no_others() -> None:
    first = ids(plan())
    plain = ids(plan(SPACE.split("plugins")[0] + "rows: {hard: {contrast.anchors.kind: hard}}\n"))
    assert first["hard"] == plain["hard"], "a plugin renames no other trial"
    assert len(set(first.values())) == 4

    Path("sampler.py").write_text(SAMPLER.replace("must be at least 1", "must be at least one"), encoding="utf-8")
    second = ids(plan(SPACE))
    changed = {row for row in first if first[row] != second[row]}
    assert changed == {"two", "three"}
    Path("sampler.py").write_text(f"# a comment\n{SAMPLER}", encoding="utf-8")
    assert ids(plan(SPACE)) == first


def test_an_option_without_effect_renames_nothing_and_is_noted() -> None:
    text = SPACE.replace("kind: hard}", "kind: hard, contrast.anchors.width: 5}")
    assert ids(plan(text)) == ids(plan(SPACE))
    notes = " ".join(plan(text).record.notes)
    assert (
        "contrast.anchors.width: 5 has no effect: only contrast.anchors.kind: boundary has this option (hard)" in notes
    )
    assert "Code from plugins: boundary, plain (sampler.py, " in notes


def test_configs_reach_other_processes_with_their_source() -> None:
    config = pickle.loads(pickle.dumps(plan().trials[2].config))  # noqa: S301 - our own bytes
    part = config.contrast.anchors.plugin
    assert (part.name, part.options) == ("boundary", (("width", 3), ("side", "inner")))
    assert ("sampler.py", SAMPLER) in part.source.files


def test_keys_of_plugins_are_like_ours() -> None:
    assert plan(settings=["contrast.anchors.width=7"]).record.name == "space+anchors.width=7"
    grid = (
        "method: grid\nrecipe: ./recipe.yaml\nplugins: sampler.py\n"
        "parameters: {contrast.anchors.kind: {values: [hard, boundary]}, contrast.anchors.width: {values: [1, 2]}}\n"
        "when: {contrast.anchors.width: {contrast.anchors.kind: [boundary]}}\n"
    )
    assert len(set(ids(plan(grid)).values())) == 3
    search = (
        "method: random\nrecipe: ./recipe.yaml\nplugins: [sampler.py]\ntrials: 3\n"
        "fixed: {contrast.anchors.kind: boundary}\n"
        "parameters: {contrast.anchors.width: {min: 1, max: 9}}\n"
    )
    drawn = plan(search).record.search
    assert drawn["parameters"][0]["kind"] == "int_uniform"
    Path("sampler.py").write_text(SAMPLER.replace("least 1", "least one"), encoding="utf-8")
    assert plan(search).record.search["study"] != drawn["study"], "another plugin is another question"


MISTAKES = {
    "unknown name": ("kind: boundary}", "kind: boundry}", "choice; choose random, hard, boundary, plain"),
    "unknown key": ("width: 3", "widht: 3", "8: contrast.anchors.widht: unknown key; did you mean 'width'?"),
    "wrong type": ("width: 3", "width: wide", "8: contrast.anchors.width: must be a whole number, not 'wide'"),
    "not a choice": ("width: 3", "side: left", "8: contrast.anchors.side: 'left' is not a choice; choose inner, outer"),
    "refused": ("width: 3", "width: 0", "8: contrast.anchors.width: must be at least 1; got 0"),
    "no file": ("loss.py", "lost.py", "4: plugins: no such file "),
    "two of one name": ("loss.py", "again.py", "again.py:1: ANCHOR_SAMPLERS['boundary']: "),
    "one key for two tables": ("loss.py", "miner.py", None),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_one_line_with_file_and_line(name: str) -> None:
    old, new, expected = MISTAKES[name]
    Path("again.py").write_text(SAMPLER + "# again", encoding="utf-8")
    Path("miner.py").write_text(SAMPLER.replace("ANCHOR_SAMPLERS", "MINERS"), encoding="utf-8")
    text = SPACE.replace(old, new).replace("  focal: {loss.kind: focal}\n", "")
    if expected is None:  # keys of two blocks do not meet
        assert len(ids(plan(text))) == 3
    else:
        found = mistake(text)
        assert found.startswith("space.yaml:")
        assert expected in found
        assert found.count("\n") == 0


def test_options_of_two_tables_of_one_block_must_not_share_a_key() -> None:
    Path("head.py").write_text(SAMPLER.replace("ANCHOR_SAMPLERS", "HEADS"), encoding="utf-8")
    Path("body.py").write_text(SAMPLER.replace("ANCHOR_SAMPLERS", "BACKBONES"), encoding="utf-8")
    found = mistake("method: ablation\nplugins: [head.py, body.py]\nrows: {a: {}}\n")
    assert "body.py:1: BACKBONES['boundary']: its option model.width is also one of HEADS['boundary']" in found


def test_a_file_that_is_extended_and_a_recipe_name_plugins_relative_to_themselves() -> None:
    Path("below").mkdir()
    Path("below/base.yaml").write_text("plugins: [mine.py]\nmethod: ablation\n", encoding="utf-8")
    Path("below/mine.py").write_text(SAMPLER, encoding="utf-8")
    text = "extends: below/base.yaml\nrecipe: ./recipe.yaml\nrows: {a: {contrast.anchors.kind: boundary}}\n"
    expected = ids(plan(text))["a"]
    Path("below/recipe.yaml").write_text(f"plugins: mine.py\n{RECIPE}", encoding="utf-8")
    found = plan(f"method: ablation\nrecipe: ./below/recipe.yaml\n{text.splitlines()[2]}\n")
    assert ids(found)["a"] == expected


def test_the_schema_has_the_keys_and_their_descriptions() -> None:
    definitions = json.loads(schema_with(["sampler.py"]))["$defs"]
    assert definitions["contrast.anchors.width"] == {"description": "How wide.", "type": "integer"}
    assert definitions["contrast.anchors.kind"]["enum"] == ["random", "hard", "boundary", "plain"]


def test_a_metric_of_a_plugin_may_be_a_column_where_it_is_measured() -> None:
    text = (
        "from trainer.plugins import MetricEntry\nMETRICS = {'f1': MetricEntry(code=lambda label, said, classes: None)}"
    )
    Path("metric.py").write_text(text.replace("None)", "None, title='F1', unit='%')"), encoding="utf-8")
    shown = with_plugin(read_source("metric.py", Path()), None).metrics
    assert [(metric.name, metric.title, metric.scale) for metric in shown] == [
        ("final/f1", "F1", 100),
        ("val/f1", "Val F1", 100),
    ]
    space = (
        "method: ablation\nrecipe: ./recipe.yaml\nplugins: [metric.py]\nrows: {a: {}}\ntable: {columns: [final/f1]}\n"
    )
    assert "table.columns: no trial will report 'final/f1'" in mistake(space)
    assert plan(f"{space}fixed: {{evaluation.metrics: [f1]}}\n").record.table.columns == ("final/f1",)


STYLE = """from reports.render import TableStyle
TABLE_STYLES = {"mine": TableStyle(code=lambda table: table.name, file="table.txt")}
"""


def test_a_table_style_is_a_choice_and_part_of_no_identity() -> None:
    Path("style.py").write_text(STYLE, encoding="utf-8")
    without = plan()
    with_style = plan(SPACE.replace("loss.py]", "loss.py, style.py]") + "table: {styles: [csv, mine]}\n")
    assert ids(with_style) == ids(without)
    assert with_style.record.notes == without.record.notes
    assert with_style.record.table.styles == ("csv", "mine")
    read = read_spec(Path("space.yaml"))
    assert read.styles["mine"].code(with_style.record) == "space"
    items = json.loads(schema_with(["style.py"]))["$defs"]["Table"]["properties"]["styles"]["items"]
    assert items["enum"] == ["markdown", "latex", "preview", "html", "csv", "parquet", "mine"]
    assert "space.yaml:10: table.styles: no style 'mine'" in mistake(SPACE + "table: {styles: [mine]}\n")


def test_a_search_with_a_table_style_is_the_same_study() -> None:
    Path("style.py").write_text(STYLE, encoding="utf-8")
    search = "method: random\nrecipe: ./recipe.yaml\ntrials: 2\nparameters: {optim.lr: {min: 0.1, max: 0.2}}\n"
    assert plan(search).record.search == plan(f"{search}plugins: [style.py]\n").record.search


def test_the_source_of_a_plugin_is_read_once_per_specification(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its keys and its table styles are both of the source that was read."""
    Path("style.py").write_text(STYLE, encoding="utf-8")
    read, of_files = [], plugin_source.of_files

    def counted(path: Path) -> PluginSource:
        read.append(path.name)
        return of_files(path)

    monkeypatch.setattr(plugin_source, "of_files", counted)
    Path("space.yaml").write_text(SPACE.replace("loss.py]", "loss.py, style.py]"), encoding="utf-8")
    read_spec(Path("space.yaml"))
    assert sorted(read) == ["loss.py", "sampler.py", "style.py"]
