"""Every mistake of a user is one line with file, line and remedy, and exit code 2; never a traceback."""

import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.end_to_end.conftest import Command

SPACE_MISTAKES = {
    "unknown key": (
        "rows:\n  a: {contrast.memory.pixels_per_clas: 3}\nbaseline: a\n",
        r"wrong\.yaml:7: contrast\.memory\.pixels_per_clas: unknown key; did you mean '.*pixels_per_class'\?",
    ),
    "unknown top-level key": (
        "rows:\n  a: {}\nbaselin: a\n",
        r"wrong\.yaml:8: baselin: unknown key; did you mean 'baseline'\?",
    ),
    "wrong type": (
        "rows:\n  a: {contrast.temperature: warm}\n",
        r"wrong\.yaml:7: contrast\.temperature: .*number.*'warm'",
    ),
    "repeated key": ("rows:\n  a: {}\n  b: {}\n  a: {}\n", r"wrong\.yaml:9: .*'?a'?.*(repeated|twice)"),
    "unknown backbone": (
        "rows:\n  a: {model.backbone: resnet81}\n",
        r"wrong\.yaml:7: model\.backbone: unknown backbone 'resnet81'; choose .*resnet18",
    ),
    "a bank above its cap": (
        "rows:\n  a: {contrast.memory.kind: pixel, contrast.memory.pixels_per_class: 100000000}\n",
        r"wrong\.yaml:7: contrast\.memory: 11 classes x 100000000 rows x 16 wide x 4 bytes .* GB > 4 GB; lower ",
    ),
    "weights of other classes": (
        "rows:\n  a: {}\n  b: {loss.class_weights: [1, 2, 0.5]}\n",
        r"wrong\.yaml:8: loss\.class_weights: 3 weights for 11 classes; give one for each",
    ),
    "empty rows": ("rows: {}\n", r"wrong\.yaml:6: rows: "),
    "no seeds": ("rows:\n  a: {}\nseeds: 0\n", r"wrong\.yaml:8: seeds: "),
}


@pytest.mark.parametrize("mistake", SPACE_MISTAKES)
def test_a_mistake_in_the_search_space(mistake: str, folder: Path, command_here: Command) -> None:
    body, expected = SPACE_MISTAKES[mistake]
    head = "name: wrong\nquestion: Why?\nmethod: ablation\nrecipe: ./tiny_recipe.yaml\n# a comment\n"
    (folder / "wrong.yaml").write_text(head + body, encoding="utf-8")
    result = command_here("orchestrator.sweep", "wrong.yaml")
    assert result.returncode == 2, result.stdout + result.stderr
    assert result.stdout == ""
    assert re.search(expected, result.stderr), result.stderr
    assert len(result.stderr.splitlines()) == 1, result.stderr
    assert not (folder / "runs" / "trials").exists()


def test_a_missing_search_space(folder: Path, command: Command) -> None:
    """In a process of its own, as a user starts it: what Python itself prints would be seen too."""
    result = command("orchestrator.sweep", "tinny.yaml")
    assert (result.returncode, len(result.stderr.splitlines())) == (2, 1)
    assert re.search(r"tinny\.yaml: .*tiny\.yaml", result.stderr)


def test_a_missing_recipe(folder: Path, command_here: Command) -> None:
    result = command_here("orchestrator.sweep", "tiny.yaml", "--recipe", "nowhere")
    assert (result.returncode, len(result.stderr.splitlines())) == (2, 1)
    assert re.search(r"recipe.*nowhere", result.stderr)


def test_a_missing_data_root(folder: Path, command_here: Command) -> None:
    result = command_here("orchestrator.sweep", "tiny.yaml", "--set", "data.name=camvid", "--set", "data.root=no/such")
    assert (result.returncode, len(result.stderr.splitlines())) == (2, 1)
    assert re.search(r"--set data\.root=no/such: data\.root: .*no/such", result.stderr)


@pytest.fixture
def camvid(folder: Path) -> Path:
    """A tree in CamVid's layout with two pairs per split."""
    root = folder / "camvid"
    for split in ("train", "val", "test"):
        for kind in ("images", "labels"):
            (root / split / kind).mkdir(parents=True)
        for stem in ("a", "b"):
            image_HW3 = np.full((48, 64, 3), 100, dtype=np.uint8)
            Image.fromarray(image_HW3).save(root / split / "images" / f"{stem}.jpg")
            Image.fromarray(image_HW3[..., 0] // 50).save(root / split / "labels" / f"{stem}.png")
    return root


def test_a_label_with_an_id_out_of_range_names_the_file(camvid: Path, command_here: Command) -> None:
    bad = camvid / "val" / "labels" / "b.png"
    Image.fromarray(np.full((48, 64), 37, dtype=np.uint8)).save(bad)
    result = command_here("orchestrator.sweep", "tiny.yaml", "--set", "data.name=camvid", "--set", "data.root=camvid")
    assert (result.returncode, len(result.stderr.splitlines())) == (2, 1), result.stderr
    assert re.search(r"--set data\.root=camvid: data\.root: .*val/labels/b\.png.*37", result.stderr)


def test_an_image_without_label_names_the_file(camvid: Path, command_here: Command) -> None:
    (camvid / "train" / "labels" / "a.png").unlink()
    result = command_here("orchestrator.sweep", "tiny.yaml", "--set", "data.name=camvid", "--set", "data.root=camvid")
    assert (result.returncode, len(result.stderr.splitlines())) == (2, 1), result.stderr
    assert re.search(r"train/images/a\.jpg.*label", result.stderr)


def test_a_data_set_that_was_moved_is_the_same_data_set(camvid: Path, folder: Path, command_here: Command) -> None:
    shutil.copytree(camvid, folder / "elsewhere")
    ids = []
    for root in ("camvid", "elsewhere"):
        line = ("--set", "data.name=camvid", "--set", f"data.root={root}", "--dry-run", "--json")
        result = command_here("orchestrator.sweep", "tiny.yaml", "--set", "data.absent_classes=allow", *line)
        assert result.returncode == 0, result.stderr
        ids.append(re.findall(r'"trial_id": "(\w+)"', result.stdout))
    assert len(ids[0]) == 4
    assert ids[0] == ids[1]


def test_reports_of_a_sweep_that_never_ran(folder: Path, command_here: Command) -> None:
    result = command_here("reports", "tiny.yaml")
    assert (result.returncode, len(result.stderr.splitlines())) == (2, 1)
    assert "orchestrator.sweep" in result.stderr
