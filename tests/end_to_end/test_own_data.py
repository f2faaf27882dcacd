"""docs/own_data.md, followed literally on a data set of masks; and every key of a description is on the page."""

from __future__ import annotations

import re
import shlex

import pytest

from orchestrator import api
from orchestrator.api import RunOptions
from orchestrator.store.attempt_record import State
from tests.end_to_end.conftest import PROJECT
from tests.trainer.data.layouts import LAYOUTS, Layout, content
from trainer.data.reading.description import KEYS, read_description

PAGE = (PROJECT / "docs/own_data.md").read_text(encoding="utf-8")


@pytest.mark.usefixtures("without_figures", "without_mlflow")
def test_the_page_followed_literally(tmp_path, command_here):
    LAYOUTS["binary_masks"](tmp_path / "street")
    for name, text in re.findall(r"```yaml (\S+)\n(.*?)```", PAGE, re.DOTALL):
        (tmp_path / name).write_text(text)
    (commands,) = re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)
    before = sorted((path, path.stat().st_mtime_ns) for path in (tmp_path / "street").rglob("*"))
    for line in commands.splitlines():
        words = shlex.split(line)
        assert words[:2] == ["python", "-m"]
        done = command_here(*words[2:])
        assert done.returncode == 0, (line, done.stdout, done.stderr)
    assert sorted((path, path.stat().st_mtime_ns) for path in (tmp_path / "street").rglob("*")) == before
    (table,) = (tmp_path / "reports").rglob("table.md")
    assert "street, test split (1 image, trained on 8)" in table.read_text(encoding="utf-8")


RECIPE = """
data: {name: folder, crop: [32, 32]}
model: {backbone: timm/test_resnet, head: hrnet, head_channels: 16, output_stride: 32}
schedule: {steps: 2, batch_size: 2, eval_every_steps: 2}
"""


def entry(name: str, layout: Layout) -> str:
    """The entry of a layout in `data:`; one without a test split reports val."""
    splits = "" if "test" in layout.tree.sizes else ", data.val_split: val, data.test_split: val"
    return f"  - {{name: {name}, data.root: {name}/set, data.classes: {name}/classes.yaml{splits}}}\n"


@pytest.mark.slow
@pytest.mark.usefixtures("without_figures", "without_mlflow")
def test_every_layout_trains_through_init_check_and_a_sweep(tmp_path, monkeypatch):
    """All layouts in one sweep. What the plan has counted and what the trials report is what lies on disk."""
    monkeypatch.chdir(tmp_path)
    layouts = {name: LAYOUTS[name](tmp_path / name / "set") for name in sorted(LAYOUTS)}
    before = {name: content(layout.tree.root) for name, layout in layouts.items()}
    for layout in layouts.values():
        layout.propose_and_check()
    (tmp_path / "recipe.yaml").write_text(RECIPE)
    (tmp_path / "layouts.yaml").write_text(
        "method: ablation\nrecipe: ./recipe.yaml\nseeds: 1\nrows: {baseline: {contrast.source: none}}\ndata:\n"
        + "".join(entry(name, layout) for name, layout in layouts.items())
    )
    outcome = api.sweep(tmp_path / "layouts.yaml", options=RunOptions(executor="serial"))
    assert {name: content(layout.tree.root) for name, layout in layouts.items()} == before
    assert {data_set.name for data_set in outcome.plan.record.data_sets} == set(layouts)
    by_label = {outcome.plan.record.label_of(trial_id): record for trial_id, record in outcome.outcomes.items()}
    for data_set in outcome.plan.record.data_sets:
        layout = layouts[data_set.name]
        (found,) = data_set.data
        expected = read_description_of(layout)
        assert len(found.class_names) == len(expected), data_set.name
        assert not layout.named or set(found.class_names) == set(expected), data_set.name
        pairs = sum(size for split, size in layout.tree.sizes.items() if split != "trainval")
        assert sum(split.images for split in found.splits) == pairs, data_set.name
        void, total = layout.void_pixels()
        assert sum(split.void for split in found.splits) == void, data_set.name
        assert sum(sum(split.pixels) for split in found.splits) == total - void, data_set.name
        trial = by_label[f"baseline on {data_set.name}, seed 0"]
        assert trial.state is State.DONE, trial.error
        assert trial.metrics["final/classes"] == found.split("test").present == len(found.class_names), data_set.name
        assert 0 <= trial.metrics["final/miou"] <= 1, data_set.name


def read_description_of(layout: Layout) -> tuple[str, ...]:
    """The classes that a user would write."""
    file = layout.file.with_name("expected.yaml")
    file.write_text(layout.description)
    return read_description(file).class_names


def test_the_page_has_every_key():
    rows = re.findall(r"^\| `(\w+)` \|", PAGE, re.MULTILINE)
    assert tuple(rows) == KEYS


def test_the_descriptions_on_the_page_are_read(tmp_path):
    examples = re.findall(r"```yaml\n(names?:.*?)```", PAGE, re.DOTALL)
    assert len(examples) == 2
    for text in examples:
        (tmp_path / "classes.yaml").write_text(text)
        assert len(read_description(tmp_path / "classes.yaml").class_names) > 1
    (splits,) = re.findall(r"```yaml\n(splits:.*?)```", PAGE, re.DOTALL)
    for line in splits.splitlines():
        files = "" if "train: training" in line or "[train, val]" in line else "images: a/*.png\nlabels: b/{stem}.png\n"
        (tmp_path / "classes.yaml").write_text(f"names: [a, b]\n{files}{line}\n")
        read_description(tmp_path / "classes.yaml")
