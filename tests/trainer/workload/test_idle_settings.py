"""Settings with less effect than they say: a sentence each, with the rows that have them, in dry run and plan."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from orchestrator.commands.dry_run import plan_as_text
from orchestrator.machine.text_table import plain
from orchestrator.planning.plan import plan_sweep
from orchestrator.spec.sweep_spec import read_spec
from orchestrator.store.run_directory import RunDirectory
from orchestrator.store.sweep_record import SweepRecord
from trainer.workload.key_forecast import TrainPixels, expected_keys

ROWS = """\
method: ablation
recipe: small
seeds: 1
rows:
  w/o contrast: {contrast.source: none}
"""


PADDED = "crops are padded with void unless the random resize enlarges the image"


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """A current folder with one recipe in it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "recipes").mkdir()
    (tmp_path / "recipes" / "small.yaml").write_text(
        "data.crop: [64, 64]\nschedule: {steps: 10, batch_size: 4}\n"
        "contrast.memory: {kind: none, pixels_per_class: 400, pixels_per_image: 10, regions_per_class: 40}\n"
    )


def plan(rows: str, *settings: str):
    Path("s.yaml").write_text(ROWS + rows)
    spec = read_spec(Path("s.yaml"), settings=settings)
    return spec, plan_sweep(spec, run_dir=Path("runs"))


@pytest.mark.parametrize(
    ("row", "note"),
    [
        ("contrast.memory: {kind: pixel, pixels_per_class: 400}", None),
        (
            "contrast.memory: {kind: pixel, pixels_per_class: 401}",
            "pixels_per_class is 401, but 10 steps push at most 400 pixels of a class: the queue never fills (full).",
        ),
        ("contrast.memory: {kind: region, pixels_per_class: 401}", None),
        (
            "contrast.memory: {kind: region, regions_per_class: 41}",
            "regions_per_class is 41, but 10 steps push at most 40 regions of a class: the queue never fills (full).",
        ),
        ("contrast: {source: none, labels: shuffled}", None),
        (
            "contrast.labels: shuffled",
            "contrast.labels is shuffled: the contrastive loss of this control cannot learn from labels (full).",
        ),
        ("contrast: {source: intra_image, memory: {kind: pixel, pixels_per_class: 401}}", None),
        ("model: {backbone: resnet50, stem: deep, fusion_kernel: 3, aux_channels: 32, aux_kernel: 1}", None),
        ("model: {backbone: hrnet_w18, head: hrnet, stem: plain}", None),
        (
            "model: {backbone: resnet18, stem: deep}",
            "model.stem: deep has no effect: only resnet50 and resnet101 have a choice of stem, not resnet18 (full).",
        ),
        (
            "model: {head: ocr, fusion_kernel: 3}",
            "model.fusion_kernel: 3 has no effect: the head ocr has no such convolution (full).",
        ),
        (
            "model: {head: hrnet, aux_channels: 32}",
            "model.aux_channels: 32 has no effect: the head hrnet has no auxiliary head (full).",
        ),
        ("schedule.rate_warmup_steps: 10", None),
        (
            "schedule.rate_warmup_steps: 11",
            "schedule.rate_warmup_steps is 11 of 10 steps: the learning rate never reaches optim.lr (full).",
        ),
        ("data.crop: [96, 128]", None),
        (
            "data.crop: [128, 128]",
            f"data.crop is 128x128, but no training image exceeds 96x128: {PADDED} (full).",
        ),
        ("data.crop: [128, 160], data.base_size.short: 128", None),
        (
            "data: {crop: [128, 160], base_size: {long: 160}}",
            f"data.crop is 128x160, but no training image exceeds 120x160 at data.base_size.long 160: {PADDED} (full).",
        ),
        (
            "data.base_size: {short: 96}",
            (
                "data.base_size.short is 96, which is the length of that side of every training and test image: no "
                "image is resized (full)."
            ),
        ),
        ("data.base_size: {long: 129}", None),
        (
            "evaluation.window: [64, 85], data.base_size.short: 64",
            (
                "evaluation.window is 64x85, but no test image exceeds 64x85 at data.base_size.short 64: images are "
                "evaluated whole (full)."
            ),
        ),
        ("evaluation.window: [95, 128]", None),
        (
            "evaluation.window: [96, 128]",
            "evaluation.window is 96x128, but no test image exceeds 96x128: images are evaluated whole (full).",
        ),
    ],
)
def test_a_setting_that_does_not_act_in_one_row_is_a_note_of_the_plan_and_of_the_dry_run(row, note):
    spec, made = plan(f"  full: {{{row}}}\n")
    notes = made.record.notes
    assert [text.removeprefix("contrast.memory.") for text in notes] == ([] if note is None else [note])
    assert SweepRecord.from_json(made.record.to_json()).notes == notes
    lines = plain(plan_as_text(spec, made, RunDirectory("runs")))
    assert [line for line in lines if line.startswith("note: ")] == [f"note: {text}" for text in notes]


def test_rows_with_the_same_note_share_it():
    _, made = plan("  a:\n  b: {optim.lr: 0.1}\n", "schedule.rate_warmup_steps=20")
    assert [note.rpartition(" (")[2] for note in made.record.notes] == ["all rows)."]
    many = "".join(f"  row {n}: {{optim.lr: 0.{n}, schedule.rate_warmup_steps: 20}}\n" for n in range(1, 9))
    _, made = plan(many)
    (note,) = made.record.notes
    assert note.endswith("(row 1; row 2; row 3; row 4; row 5; row 6; and 2 more).")


def test_the_sizes_are_those_of_the_files():
    for split in ("train", "val", "test"):
        for kind in ("images", "labels"):
            Path("data", kind, split).mkdir(parents=True)
        for number, size in enumerate([(40, 60), (80, 36)]):
            noise = np.random.default_rng(number).integers(0, 255, (*size, 3), dtype=np.uint8)
            Image.fromarray(noise).save(f"data/images/{split}/{number}.png")
            label = np.arange(size[0] * size[1], dtype=np.uint8).reshape(size) % 2
            Image.fromarray(label).save(f"data/labels/{split}/{number}.png")
    Path("data/classes.yaml").write_text("names:\n  - a\n  - b\n")
    _, made = plan("  full: {contrast.memory.kind: pixel}\n", "data.name=folder", "data.root=data", "data.crop=[80,61]")
    assert made.record.notes == (f"data.crop is 80x61, but no training image exceeds 80x60: {PADDED} (all rows).",)
    (row, *_) = made.rows[""]
    pixels = TrainPixels.of(row.config.data, row.inputs.facts)
    assert pixels.share_C == (0.5, 0.5)
    assert pixels.presence_C == (1, 1)
    keys = {row.label: expected_keys(row.config, pixels) for row in made.rows[""]}
    assert keys["w/o contrast"] is None
    assert keys["full"].positives > 1
