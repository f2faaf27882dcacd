"""`init` proposes a description and `check` accepts it; no file of the data set is touched."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from tests.trainer.data.layouts import LAYOUTS, content
from trainer.config import DataConfig
from trainer.data import open_source
from trainer.data.__main__ import main


@pytest.mark.parametrize("name", sorted(LAYOUTS))
def test_a_proposal_is_what_a_user_would_write(name, tmp_path):
    """`tests/end_to_end/test_own_data.py` trains with the proposals."""
    layout = LAYOUTS[name](tmp_path / "set")
    before = content(layout.tree.root)
    layout.propose_and_check()
    text = layout.file.read_text()
    source = opened(layout, layout.file)
    sizes = {split: source.size(split) for split in source.splits}
    assert sum(sizes.values()) == sum(size for split, size in layout.tree.sizes.items() if split != "trainval"), text
    expected = layout.file.with_name("expected.yaml")
    expected.write_text(layout.description)
    written = opened(layout, expected)
    assert len(source.class_names) == len(written.class_names), text
    assert not layout.named or set(source.class_names) == set(written.class_names), text
    assert content(layout.tree.root) == before


def opened(layout, file):
    return open_source(DataConfig(name="folder", root=str(layout.tree.root), classes=str(file)))


def test_masks_beside_their_images_in_one_folder(tmp_path, capsys):
    """As in BUSI: `benign (1).png` and `benign (1)_mask.png`."""
    rng = np.random.default_rng(0)
    for number in range(4):
        Image.fromarray(rng.integers(0, 255, (32, 32, 3), dtype=np.uint8)).save(tmp_path / f"benign ({number}).png")
        Image.fromarray(np.eye(32, dtype=np.uint8) * 255).save(tmp_path / f"benign ({number})_mask.png")
    out = tmp_path / "classes.yaml"
    assert main(["init", str(tmp_path), "--out", str(out)]) == 0
    assert main(["check", str(tmp_path)]) == 0, (out.read_text(), capsys.readouterr())


def test_a_file_is_never_overwritten(tmp_path, capsys):
    layout = LAYOUTS["binary_masks"](tmp_path / "set")
    layout.file.write_text("mine")
    assert main(["init", str(layout.tree.root), "--out", str(layout.file)]) == 2
    assert "never overwritten" in capsys.readouterr().err
    assert layout.file.read_text() == "mine"
    assert main(["init", str(layout.tree.root)]) == 0
    assert "map: {0: background, 255: foreground}" in capsys.readouterr().out


@pytest.mark.parametrize("what", ["nothing", "images only", "no folder"])
def test_without_images_and_labels_there_is_no_proposal(what, tmp_path, capsys):
    if what == "images only":
        Image.fromarray(np.random.default_rng(0).integers(0, 255, (9, 9, 3), dtype=np.uint8)).save(tmp_path / "a.png")
    path = tmp_path / "nowhere" if what == "no folder" else tmp_path
    assert main(["init", str(path)]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_check_says_what_to_write(tmp_path, capsys):
    layout = LAYOUTS["ade20k"](tmp_path / "set")
    root = layout.tree.root
    layout.file.write_text(
        layout.description.replace("reduce_zero_label: true", "ignore: [0]\nmap: {1: wall, 2: building, 3: sky}")
    )
    layout.file.write_text(layout.file.read_text().replace(", 'floor'", ""))
    (root / "images/training/ADE_train_00000001.jpg").rename(root / "images/training/ADE_train_00000001.png")
    assert main(["check", str(root), "--classes", str(layout.file)]) == 1
    out = capsys.readouterr().out
    assert "ADE_train_00000001.png lies there; add .png to images" in out
    pixels = sum(int((np.asarray(Image.open(path)) == 4).sum()) for path in root.glob("annotations/validation/*"))
    assert f"label id 4 ({pixels} pixels in 2 labels); add it to map or ignore in {layout.file}" in out


def test_the_commands_need_no_torch(tmp_path):
    layout = LAYOUTS["binary_masks"](tmp_path / "set")
    code = "import sys; from trainer.data.__main__ import main; sys.exit(main(sys.argv[1:]) or 'torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code, "init", str(layout.tree.root)]).returncode == 0
