"""From search spaces to trials: sharing, order, data checks, and every shipped file and example."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import orchestrator.planning.build_config
import orchestrator.planning.identity
import orchestrator.planning.plan
import trainer.workload.datasets
from orchestrator.commands.dry_run import plan_as_json
from orchestrator.errors import SpecError
from orchestrator.planning.identity import canonical, content_id
from orchestrator.planning.plan import plan_sweep
from orchestrator.spec.sweep_spec import read_spec
from orchestrator.store.attempt_record import AttemptRecord, State
from orchestrator.store.record_store import RecordStore
from orchestrator.store.run_directory import RunDirectory
from orchestrator.store.sweep_record import SweepRecord
from orchestrator.workload.inputs import forget
from orchestrator.workload.protocol_record import BaseSizeRecord
from trainer.config import TrainConfig
from trainer.data import open_source
from trainer.workload.datasets import data_digest

PROJECT = Path(__file__).resolve().parents[3]
SPACES = PROJECT / "search_spaces"
CAMVID = PROJECT / ".." / "shared" / "data" / "camvid_small"
SHIPPED = sorted(SPACES.glob("*.yaml"))
RECIPES = sorted((SPACES / "recipes").glob("*.yaml"))
README = (SPACES / "README.md").read_text(encoding="utf-8")

MEMORY = """\
method: ablation
recipe: small
seeds: 2
baseline: w/o contrast
rows:
  pixel: {contrast.memory.kind: pixel}
  w/o contrast: {contrast.source: none}
  cold, w/o contrast: {contrast.source: none, contrast.temperature: 0.02}
  both:
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A current folder with one recipe in it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "recipes").mkdir()
    (tmp_path / "recipes" / "small.yaml").write_text("data: {crop: [64, 64]}\nschedule.steps: 10\n")
    return tmp_path


def plan(text, **options):
    Path("s.yaml").write_text(text)
    return plan_sweep(read_spec(Path("s.yaml"), **options), run_dir=Path("runs"))


def messages(text, **options):
    with pytest.raises(SpecError) as caught:
        plan(text, **options)
    return list(caught.value.messages)


def test_rows_that_compute_the_same_share_a_trial(folder):
    found = plan(MEMORY)
    ids = {(cell.row, cell.seed): cell.trial_id for cell in found.record.cells}

    assert len(ids) == 8
    assert len(found.trials) == 6
    assert ids["w/o contrast", 0] == ids["cold, w/o contrast", 0] != ids["w/o contrast", 1]
    assert set(ids.values()) == {trial.trial_id for trial in found.trials}


def test_the_baseline_runs_first_and_seed_by_seed(folder):
    found = plan(MEMORY)
    order = [
        (trial.config.contrast.source, trial.config.contrast.memory.kind, trial.config.seed) for trial in found.trials
    ]

    assert order == [
        ("none", "none", 0),
        ("inter_image", "pixel", 0),
        ("inter_image", "pixel_region", 0),
        ("none", "none", 1),
        ("inter_image", "pixel", 1),
        ("inter_image", "pixel_region", 1),
    ]


def test_a_trial_is_named_after_its_config(folder):
    for trial in plan(MEMORY).trials:
        assert trial.trial_id == content_id(
            canonical(trial.config), data_digest(open_source(trial.config.data), trial.config.data, forget)
        )
        assert trial.config == trial.config.normalised()


def test_the_record_of_a_plan_is_complete(folder):
    record = plan(MEMORY).record

    assert [row.label for row in record.rows] == ["pixel", "w/o contrast", "cold, w/o contrast", "both"]
    assert record.rows[2].factors == {"contrast.source": "none", "contrast.temperature": 0.02}
    assert (record.name, record.recipe, record.baseline, record.seeds) == ("s", "small", "w/o contrast", (0, 1))
    assert record.spec == MEMORY
    assert SweepRecord.from_json(json.loads(json.dumps(record.to_json()))) == record
    assert record.protocol == (
        "Synthetic scenes, test split (48 images, trained on 96), ResNet-18 (random init) + DeepLabV3, "
        "crop 64×64, batch 8, 10 steps, "
        "seeds 0–1, whole-image single-scale evaluation"
    )


def test_the_caption_says_what_varies(folder):
    text = "method: grid\nrecipe: small\nseeds: [3, 9]\nparameters:\n  model.backbone: {values: [resnet18, resnet50]}\n"

    sentence = plan(f"{text}  schedule.steps: {{values: [10, 20]}}\n").record.protocol

    assert "varied backbone (random init) + DeepLabV3" in sentence
    assert "varied number of steps, seeds 3, 9," in sentence


def test_another_sweep_with_the_same_baseline_uses_its_trial(folder):
    one = plan(MEMORY)
    two = plan(
        "method: grid\nrecipe: small\nbaseline: {contrast.source: none}\n"
        "parameters: {contrast.temperature: {values: [0.2]}}\n"
    )

    assert two.trials[0] == one.trials[0]


def test_dry_run_has_an_entry_per_row_and_seed(folder):
    found = plan(MEMORY)
    done = found.trials[0].trial_id
    record = AttemptRecord(trial_id=done, attempt=1, state=State.DONE, started_at=0.0, ended_at=1.0)
    RecordStore("runs").end(record)
    entries = json.loads(plan_as_json(found, RunDirectory("runs")))["trials"]

    assert [(entry["row"], entry["seed"]) for entry in entries[:3]] == [("pixel", 0), ("pixel", 1), ("w/o contrast", 0)]
    assert len(entries) == 8
    assert {entry["row"] for entry in entries if entry["status"] == "done"} == {"w/o contrast", "cold, w/o contrast"}
    assert {entry["status"] for entry in entries} == {"done", "planned"}
    assert entries[0]["factors"] == {"contrast.memory.kind": "pixel"}
    assert entries[0]["config"]["contrast"]["memory"]["kind"] == "pixel"
    assert entries[0]["config"]["data"]["crop"] == [64, 64]
    assert entries[1]["config"]["seed"] == 1
    assert set(entries[0]) == {"trial_id", "row", "factors", "seed", "status", "config"}


def make_camvid(root):
    """A data set of two 32x32 pairs per split."""
    for split in ("train", "val", "test"):
        for name, shape in (("images", (32, 32, 3)), ("labels", (32, 32))):
            (root / split / name).mkdir(parents=True)
            for index in range(2):
                Image.fromarray(np.full(shape, index, dtype=np.uint8)).save(root / split / name / f"{index}.png")
    return root


CAMVID_ROWS = """\
method: ablation
recipe: small
fixed:
  data.name: camvid
  data.root: data
  data.absent_classes: allow
rows: {a: {}, b: {optim.lr: 0.1}}
"""


def test_a_relative_root_becomes_absolute_and_does_not_name_the_trial(folder):
    make_camvid(folder / "data")
    shutil.copytree(folder / "data", folder / "moved")

    here, there = plan(CAMVID_ROWS), plan(CAMVID_ROWS, settings=["data.root=./moved"])

    assert here.trials[0].config.data.root == str(folder / "data")
    assert there.trials[0].config.data.root == str(folder / "moved")
    assert [trial.trial_id for trial in here.trials] == [trial.trial_id for trial in there.trials]


def test_missing_data_is_reported_at_the_line_that_named_it(folder):
    remedy = "no such folder; set `data.root` to the folder of 'camvid'"

    assert messages(CAMVID_ROWS) == [f"s.yaml:5: data.root: {folder / 'data'}: {remedy}"]
    assert messages(CAMVID_ROWS, settings=["data.root=../x"]) == [
        f"--set data.root=../x: data.root: {folder.parent / 'x'}: {remedy}"
    ]


def test_an_image_without_label_is_reported_before_anything_runs(folder):
    root = make_camvid(folder / "data")
    (root / "val" / "labels" / "1.png").unlink()

    (message,) = messages(CAMVID_ROWS)

    assert message.startswith(f"s.yaml:5: data.root: {root / 'val' / 'images' / '1.png'}: no label; ")


def test_an_unknown_split_is_reported_at_its_own_line(folder):
    make_camvid(folder / "data")
    text = CAMVID_ROWS.replace("fixed:\n", "fixed:\n  data.test_split: tset\n")

    (message,) = messages(text)

    assert message.startswith("s.yaml:4: data.test_split: ")
    assert "tset" in message


def test_an_illegal_label_is_reported_while_planning(folder):
    root = make_camvid(folder / "data")
    label = root / "train" / "labels" / "0.png"
    Image.fromarray(np.full((32, 32), 11, dtype=np.uint8)).save(label)

    (message,) = messages(CAMVID_ROWS)

    assert message.startswith(f"s.yaml:5: data.root: {label}: label id 11 (1024 pixels); ")


def test_class_weights_are_counted_while_planning(folder):
    text = "method: ablation\nrecipe: small\nrows:\n  a:\n  b: {loss.class_weights: [1, 2]}\n"

    assert messages(text) == ["s.yaml:5: loss.class_weights: 2 weights for 11 classes; give one for each"]
    assert messages(
        "method: ablation\nrecipe: small\nrows: {a: , b: }\n", settings=["loss.class_weights=[1, 2, 3]"]
    ) == ["--set loss.class_weights=[1, 2, 3]: loss.class_weights: 3 weights for 11 classes; give one for each"]


def test_rows_that_differ_in_the_cap_of_the_bank_share_a_trial(folder):
    rows = "rows:\n  a:\n  b: {contrast.memory.max_gigabytes: 0.5}\n"

    assert len(plan(f"method: ablation\nrecipe: small\n{rows}").trials) == 1
    (message,) = messages(f"method: ablation\nrecipe: small\n{rows.replace('0.5', '0.0001')}")
    assert message.startswith("s.yaml:5: contrast.memory: 11 classes x ")


def test_weights_are_a_word_or_a_file(folder):
    text = "method: ablation\nrecipe: small\nrows:\n  a: {model.weights: mine.pth}\n  b: {model.weights: none}\n"
    choices = "choose none, imagenet or the path of a .safetensors or .pth file"

    assert messages(text) == [f"s.yaml:4: model.weights: no such file '{folder / 'mine.pth'}'; {choices}"]
    (folder / "mine.pth").write_bytes(b"weights")
    assert [trial.config.model.weights for trial in plan(text).trials] == [str(folder / "mine.pth"), "none"]


def test_a_mistake_of_the_recipe_is_reported_once_and_at_its_line(folder):
    (folder / "recipes" / "small.yaml").write_text("# mine\nschedule:\n  steps: 0\noptim:\n  lr: -1\n")

    assert messages(MEMORY) == [
        "recipes/small.yaml:5: optim.lr: must be positive; got -1.0",
        "recipes/small.yaml:3: schedule.steps: must be at least 1; got 0",
    ]


def count_calls(monkeypatch, module, name):
    """A list that grows by one with each call of `module.name`."""
    real, calls = getattr(module, name), []

    def counted(*given, **named):
        calls.append(None)
        return real(*given, **named)

    monkeypatch.setattr(module, name, counted)
    return calls


def test_ten_thousand_trials_cost_little_more_than_their_hashes(folder, monkeypatch):
    """Work is counted, not timed. Measured beside it: 0.40 s of one core of a 2-core machine."""
    parameters = "".join(
        f"  {key}: {{values: [{', '.join(str(value) for value in range(1, 11))}]}}\n"
        for key in ("contrast.temperature", "contrast.memory.pixels_per_class", "optim.lr")
    )
    opened = count_calls(monkeypatch, trainer.workload.datasets, "open_source")
    blocks = count_calls(monkeypatch, orchestrator.planning.build_config, "build_block")
    spelled_out = count_calls(monkeypatch, orchestrator.planning.plan, "canonical_of_row")
    written = count_calls(monkeypatch, orchestrator.planning.identity, "json_text")
    normalised = count_calls(monkeypatch, TrainConfig, "normalised")

    found = plan(f"method: grid\nrecipe: small\nseeds: 10\nparameters:\n{parameters}")

    assert len(found.trials) == len(found.record.cells) == 10_000
    assert len(spelled_out) == len(written) == len(normalised) == 1000  # a row's seeds differ in one number
    assert len(blocks) < 1000  # rows share blocks: 100 with contrast (of four), 10 with a rate, the others once
    assert len(opened) == 1


def test_equal_trials_of_a_large_plan_are_one(folder):
    steps, temperatures = (", ".join(map(str, range(1, count))) for count in (11, 101))
    text = (
        "method: grid\nrecipe: small\nseeds: 10\nfixed: {contrast.source: none}\nparameters:\n"
        f"  schedule.steps: {{values: [{steps}]}}\n  contrast.temperature: {{values: [{temperatures}]}}\n"
    )

    found = plan(text)

    assert len(found.record.cells) == 10_000
    assert len(found.trials) == 100  # without contrast the temperature does not count


def test_planning_imports_nothing_heavy(folder):
    Path("s.yaml").write_text(MEMORY)
    code = """
import sys
from pathlib import Path
from orchestrator.planning.plan import plan_sweep
from orchestrator.spec.sweep_spec import read_spec
assert plan_sweep(read_spec(Path("s.yaml")), run_dir=Path("runs")).trials
heavy = {"torch", "torchvision", "timm", "ray", "mlflow", "pandas", "scipy"}
print(sorted(heavy & sys.modules.keys()))
"""
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)

    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "[]\n", "")


def test_there_are_shipped_files():
    assert len(SHIPPED) >= 6
    assert {path.stem for path in RECIPES} >= {"synthetic", "camvid_lite0"}


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_every_shipped_search_space_is_planned(path, tmp_path):
    spec = read_spec(path)
    found = plan_sweep(spec, run_dir=tmp_path)

    assert found.record.name == path.stem
    assert found.record.question.endswith("?")
    assert len(found.record.cells) == len(found.record.rows) * len(found.record.seeds)
    assert len(found.trials) == len(found.record.cells), "two rows of a shipped search space compute the same"
    assert len(found.record.seeds) == (1 if spec.search else 5)


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_every_shipped_search_space_runs_on_camvid(path, tmp_path):
    if not CAMVID.is_dir():
        pytest.skip("camvid_small is not on this machine")

    found = plan_sweep(read_spec(path, recipe="camvid_lite0", settings=[f"data.root={CAMVID}"]), run_dir=tmp_path)

    assert found.record.name == f"{path.stem}@camvid_lite0"
    assert found.record.protocol.startswith("CamVid, test split (32 images, trained on 96), ")
    assert found.record.rows or found.record.method == "tpe"  # a search without a baseline draws all of its rows


def test_a_recipe_without_its_data_is_one_clear_message(tmp_path):
    with pytest.raises(SpecError) as caught:
        plan_sweep(read_spec(SPACES / "ablation_memory.yaml", recipe="camvid_lite0"), run_dir=tmp_path)

    recipe = SPACES / "recipes" / "camvid_lite0.yaml"
    lines = recipe.read_text(encoding="utf-8").splitlines()
    line = next(number for number, text in enumerate(lines, start=1) if text.startswith("  name: camvid"))
    assert str(caught.value) == (
        f"{recipe}:{line}: data.root: the data set 'camvid' needs its folder; "
        "add `data.root: PATH` or `--set data.root=PATH`"
    )


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_recipes_hold_no_path_and_explain_their_keys(path):
    text = path.read_text(encoding="utf-8")

    assert "root:" not in text
    explained = [line for line in text.splitlines() if "#" in line]
    assert len(explained) > 20


(SHARED,) = re.findall(r"^```yaml shared.yaml\n((?:.*\n)*?)```$", README, flags=re.MULTILINE)
"""The file that examples extend."""


def examples(language):
    """The code blocks of the README in one language."""
    blocks = re.findall(r"^```(.*)\n((?:.*\n)*?)```$", README, flags=re.MULTILINE)
    return [text for name, text in blocks if name == language]


@pytest.mark.parametrize("text", examples("yaml"))
def test_every_search_space_of_the_readme_is_planned(text, tmp_path):
    spec = tmp_path / "example.yaml"
    spec.write_text(text)
    shutil.copytree(SPACES / "recipes", tmp_path / "recipes")

    (tmp_path / "shared.yaml").write_text(SHARED)
    read = read_spec(spec)

    assert plan_sweep(read, run_dir=tmp_path / "runs").trials or read.search


def test_the_rows_that_the_readme_names(tmp_path):
    shutil.copytree(SPACES / "recipes", tmp_path / "recipes")
    expected_labels = {
        "one_at_a_time": ["baseline", "temperature=0.05", "temperature=0.2", "kind=none", "kind=pixel"],
        "leave_one_out": ["full", "w/o memory", "w/o strong contrast"],
    }
    for key, labels in expected_labels.items():
        (text,) = [text for text in examples("yaml") if f"\n{key}:" in text]
        (tmp_path / "example.yaml").write_text(text)
        assert [row.label for row in read_spec(tmp_path / "example.yaml").rows] == labels
        assert all(f"`{label}`" in README for label in labels)


def test_the_readme_has_examples_of_each_kind():
    assert len(examples("yaml")) >= 10
    assert len(examples("yaml recipe")) == 2


@pytest.mark.parametrize("text", examples("yaml recipe"))
def test_every_recipe_of_the_readme_is_planned(text, folder):
    (folder / "recipes" / "small.yaml").write_text(text)

    assert plan(MEMORY).trials[0].config.schedule.steps == 20


def test_the_messages_of_the_readme_are_the_real_ones(folder):
    (block,) = [text for text in examples("") if "unknown key" in text]
    mistakes = "  a: {contrast.memory.pixels_per_clas: 1}\n  b: {contrast.temperature: warm}\n"
    padding = "\n" * 10
    Path("ablation_memory.yaml").write_text(f"method: ablation{padding}\nrecipe: small\nrows:\n{mistakes}")

    with pytest.raises(SpecError) as caught:
        read_spec(Path("ablation_memory.yaml"))

    assert str(caught.value) == block.strip()


def test_the_readme_lists_every_shipped_file():
    names = [path.relative_to(SPACES).as_posix() for path in (*SHIPPED, *RECIPES)]

    assert [name for name in names if f"`{name}`" not in README] == []


def test_the_record_says_how_the_figures_of_the_rows_are_measured(folder):
    head = "method: ablation\nrecipe: small\nseeds: 1\n"
    rows = (
        "rows:\n  a:\n  b: {optim.lr: 0.1}\n  c: {evaluation.preset: multi_scale_flip, data.base_size.long: 160}\n"
        "  d: {evaluation: {scales: [1.0], flip: true, window: [64, 64]}}\n"
    )
    found = plan(head + rows).record.protocols
    assert [(item.evaluation, item.base_size, item.window) for item in found] == [
        ("single_scale", BaseSizeRecord(), None),
        ("multi_scale_flip", BaseSizeRecord(long=160), None),
        ("flip", BaseSizeRecord(), (64, 64)),
    ]
    assert found[1].scales == (0.5, 0.75, 1.0, 1.25, 1.5, 1.75, 2.0)
    assert {(item.data, item.train_split, item.split) for item in found} == {("synthetic", "train", "test")}
    (val, _) = plan(f"{head}table: {{split: val}}\n{rows}").record.protocols
    assert (val.split, val.evaluation, val.window) == ("val", "single_scale", None), "as the learning curve"
