"""What `trainer.data check` reports of own data, planning refuses; changed descriptions are other data."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
from PIL import Image

from orchestrator.errors import SpecError
from orchestrator.planning.build_config import SettingSources
from orchestrator.workload.inputs import forget
from tests.trainer.data.layouts import LAYOUTS
from trainer.config import DataConfig
from trainer.data.__main__ import main
from trainer.workload.datasets import data_facts

IMAGE, LABEL = "images/training/ADE_train_00000001.jpg", "annotations/training/ADE_train_00000001.png"


def write(path, shape, value=0, dtype=np.uint8):
    Image.fromarray(np.full(shape, value, dtype=dtype)).save(path)


FAULTS = {
    "image without label": lambda root: (root / LABEL).unlink(),
    "label without image": lambda root: (root / IMAGE).unlink(),
    "dangling link": lambda root: (root / IMAGE).unlink() or (root / IMAGE).symlink_to("nowhere"),
    "another ending": lambda root: (root / IMAGE).rename((root / IMAGE).with_suffix(".tif")),
    "no folder": lambda root: shutil.rmtree(root / "annotations"),
    "empty split": lambda root: [path.unlink() for path in root.glob("*/validation/*")],
    "illegal id": lambda root: write(root / LABEL, (64, 56), 77),
    "colours": lambda root: write(root / LABEL, (64, 56, 3)),
    "another size": lambda root: write(root / LABEL, (8, 8), 1),
    "damaged image": lambda root: (root / IMAGE).write_bytes(b"\xff\xd8 no more"),
    "void everywhere": lambda root: [write(path, (64, 56), 0) for path in root.glob("annotations/training/*")],
    "void everywhere in val": lambda root: [write(path, (64, 56), 0) for path in root.glob("annotations/val*/*")],
    "an absent class": lambda root: [write(path, (64, 56), 1) for path in root.glob("annotations/training/*")],
    "16 bits": lambda root: (
        write(root / IMAGE.replace(".jpg", ".png"), (64, 56), 999, np.uint16) or (root / IMAGE).unlink()
    ),
}


def facts_of(layout):
    data = DataConfig(
        name="folder",
        root=str(layout.tree.root),
        classes=str(layout.file),
        test_split="val",
    )
    return SettingSources({}, "recipe.yaml:3").checked(lambda: data_facts(data, forget))


@pytest.fixture
def layout(tmp_path):
    found = LAYOUTS["ade20k"](tmp_path / "set")
    found.file.write_text(found.description.replace("*.jpg", "*.{jpg,png}"))
    return found


@pytest.mark.parametrize("fault", FAULTS)
def test_what_check_reports_planning_refuses(fault, layout, capsys):
    command = ["check", str(layout.tree.root), "--classes", str(layout.file)]
    assert main(command) == 0, capsys.readouterr()
    assert facts_of(layout).train_images == 2
    FAULTS[fault](layout.tree.root)
    assert main(command) == 1
    with pytest.raises(SpecError) as caught:
        facts_of(layout)
    (message,) = caught.value.messages
    assert message.startswith("recipe.yaml:3: data.")
    assert "; " in message


def test_a_mistake_in_the_description_is_one_at_data_classes(layout):
    layout.file.write_text("names: [a\n")
    with pytest.raises(SpecError, match=r"recipe.yaml:3: data.classes: .*classes.yaml:2: not valid YAML"):
        facts_of(layout)


@pytest.mark.parametrize(
    ("old", "new", "is_equal"),
    [
        ("names:", "# a comment\nname: Rooms\nnames:", True),
        ("reduce_zero_label: true", "map: {1: wall, 2: building, 3: sky, 4: floor}\nignore: [255, 0]", True),
        ("reduce_zero_label: true", "map: {2: wall, 1: building, 3: sky, 4: floor}\nignore: [0, 255]", False),
        ("reduce_zero_label: true", "map: {1: wall, 2: building, 3: sky, 4: floor}\nignore: [0]", False),
        ("splits: {train: training, val: validation}", "splits: {train: validation, val: training}", False),
        ("reduce_zero_label: true", "reduce_zero_label: true\ngroup: folder", False),
    ],
)
def test_what_the_description_means_is_content(layout, old, new, is_equal):
    before = facts_of(layout).digest
    text = layout.file.read_text()
    assert old in text
    layout.file.write_text(text.replace(old, new, 1))
    assert (facts_of(layout).digest == before) is is_equal
