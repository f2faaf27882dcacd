"""A trial's name depends on what it computes, on all of it, and on nothing else."""

import hashlib
import json
import shutil
from dataclasses import fields, is_dataclass, replace
from functools import partial
from typing import Literal, get_args, get_origin, get_type_hints

import numpy as np
import pytest
from PIL import Image

from orchestrator.planning import identity
from orchestrator.planning.digests import read_cache, recall
from orchestrator.planning.identity import canonical, content_id, study_id
from orchestrator.workload.fields import fields_below, is_outside_identity
from orchestrator.workload.inputs import forget
from orchestrator.workload.loading import built_in
from trainer.checkpoint import fingerprint
from trainer.config import (
    RESULT_VERSION,
    AnchorConfig,
    ContrastConfig,
    DataConfig,
    MemoryConfig,
    MiningConfig,
    ModelConfig,
    PluginPart,
    PluginSource,
    Runtime,
    SyntheticConfig,
    TrainConfig,
)
from trainer.data import open_source
from trainer.data.files.camvid import CamVid
from trainer.errors import DataError
from trainer.workload import ContrastiveSegmentation
from trainer.workload.datasets import data_digest

DATA = "0" * 64


def trial_id(config: TrainConfig, data_digest: str) -> str:
    return content_id(canonical(config), data_digest)


def leaves(config_type=TrainConfig, prefix=""):
    """Dotted key and type of every leaf."""
    types = get_type_hints(config_type)
    for item in fields(config_type):
        if is_dataclass(types[item.name]):
            yield from leaves(types[item.name], f"{prefix}{item.name}.")
        else:
            yield f"{prefix}{item.name}", types[item.name]


def value_of(config, key):
    for name in key.split("."):
        config = getattr(config, name)
    return config


def with_value(config, key, value):
    name, _, rest = key.partition(".")
    return replace(config, **{name: with_value(getattr(config, name), rest, value) if rest else value})


PLUGIN = PluginPart(source=PluginSource(digest="a" * 12, path="/mine.py"), table="MINERS", name="mine")
UNSET = {
    "model.stem": "deep",
    "model.fusion_kernel": 3,
    "model.aux_channels": 64,
    "model.aux_kernel": 1,
    "model.classifier_relu": False,
    "model.classifier_bias": False,
    "model.align_corners": True,
    "loss.kind": "lovasz",
    "loss.class_weights": (1, 2.5),
    "loss.ohem_threshold": 0.5,
    "loss.ohem_min_kept": 7,
    "loss.lovasz_weight": 0.5,
    "optim.decay_norms_and_biases": False,
    "optim.clip_norm": 5.0,
    "optim.ema_decay": 0.99,
    "schedule.policy": "cosine",
    "schedule.rate_warmup_steps": 10,
    "schedule.accumulation_steps": 2,
    "data.base_size.short": 64,
    "data.base_size.long": 80,
    "evaluation.preset": "multi_scale_flip",
    "evaluation.window": (64, 64),
    "evaluation.stride": (32, 32),
    "evaluation.scales": (0.75, 1.0),
    "evaluation.flip": True,
    "compute.precision": "bfloat16",
    "compute.compile": True,
    "compute.deterministic": True,
    "compute.tf32": False,
    "compute.channels_last": False,
    "compute.cuda_graphs": True,
    "optim.fused": True,
    "contrast.projection_channels": 7,
    "contrast.keys_per_class": 7,
    "contrast.as_released": True,
    "contrast.labels": "shuffled",
    "contrast.memory.dtype": "float16",
    "contrast.anchors.plugin": PLUGIN,
    "contrast.mining.plugin": PLUGIN,
    "loss.plugin": PLUGIN,
    "data.plugin": PLUGIN,
    "model.head_plugin": PLUGIN,
    "model.backbone_plugin": PLUGIN,
    "evaluation.metrics": ("mine",),
    "evaluation.metric_plugins": (PLUGIN,),
}
"""A value for each knob that is unset by default."""

SETTING = {
    "model.stem": {"model.backbone": "resnet50"},
    "loss.ohem_threshold": {"loss.kind": "ohem"},
    "loss.ohem_min_kept": {"loss.kind": "ohem"},
    "loss.lovasz_weight": {"loss.kind": "ce_lovasz"},
    "evaluation.stride": {"evaluation.window": (64, 64)},
    "evaluation.metrics": {"evaluation.metric_plugins": (PLUGIN,)},
}
"""What else must be set for a knob to have an effect."""


def other(annotation, value):
    """Another legal value."""
    if get_origin(annotation) is Literal:
        return next(choice for choice in get_args(annotation) if choice not in (value, "none"))
    if isinstance(value, tuple):
        return (value[0], value[1] * 2)
    if isinstance(value, int):
        return value + 1
    if isinstance(value, float):
        return value / 2
    return {"resnet18": "resnet50", "none": "imagenet"}.get(value, "other")


LEAVES = dict(leaves())
OUTSIDE = {prefix + item.name for prefix, item in fields_below(TrainConfig) if is_outside_identity(item)}


def test_the_name_of_the_default_config_is_known():
    assert trial_id(TrainConfig(), DATA) == "7654e4e93e83", "all trials are renamed: is that meant?"


RENAMED = replace(TrainConfig(), schedule=replace(TrainConfig().schedule, accumulation_steps=2))


def test_a_renamed_field_keeps_its_canonical_name():
    """Trial id and checkpoint of a config with `schedule.portions: 2`, under the name that the field had first."""
    assert canonical(RENAMED)["schedule.portions"] == 2
    assert trial_id(RENAMED, DATA) == "7807ac20792c"
    assert (
        hashlib.sha256(fingerprint(RENAMED).encode()).hexdigest()
        == "967a0dae10464d73c947672ac8f70ec888f2051542039ba7aab2a1e17496a34d"
    )


@pytest.mark.parametrize("key", [key for key in LEAVES if key not in OUTSIDE])
def test_every_leaf_that_counts_renames_the_trial(key):
    plain = TrainConfig()
    for condition, value in SETTING.get(key, {}).items():
        plain = with_value(plain, condition, value)
    if key == "data.name":
        changed = replace(plain, data=replace(plain.data, name="camvid", root="somewhere"))
    else:
        value = value_of(plain, key)
        changed = with_value(plain, key, UNSET[key] if value is None else other(LEAVES[key], value))

    assert value_of(changed, key) != value_of(plain, key)
    assert trial_id(changed, DATA) != trial_id(plain, DATA)


def test_exactly_the_leaves_that_are_neither_location_nor_limit_count():
    unset = {key for key in LEAVES if value_of(TrainConfig(), key) is None}
    assert "contrast.projection_channels" in unset, "a knob that is not set does not count"
    assert set(canonical(TrainConfig())) == set(LEAVES) - OUTSIDE - unset


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("model.stem", "plain"),
        ("model.stem", "deep"),
        ("model.fusion_kernel", 1),
        ("model.aux_channels", 256),
        ("model.aux_kernel", 3),
        ("model.classifier_relu", True),
        ("model.classifier_bias", True),
        ("model.align_corners", False),
        ("loss.kind", "ce"),
        ("loss.class_weights", (1.0, 1, 1.0)),
        ("loss.ohem_threshold", 0.5),
        ("loss.lovasz_weight", 2.0),
        ("optim.decay_norms_and_biases", True),
        ("schedule.policy", "poly"),
        ("schedule.rate_warmup_steps", 0),
        ("schedule.accumulation_steps", 1),
        ("evaluation.preset", "single_scale"),
        ("evaluation.stride", (8, 8)),
        ("evaluation.scales", (1,)),
        ("evaluation.flip", False),
        ("contrast.labels", "ground_truth"),
        ("compute.precision", "float32"),
        ("compute.compile", False),
        ("compute.deterministic", False),
        ("compute.channels_last", True),
        ("compute.cuda_graphs", False),
        ("optim.fused", False),
    ],
)
def test_saying_what_is_implied_or_has_no_effect_renames_nothing(key, value):
    assert trial_id(with_value(TrainConfig(), key, value), DATA) == trial_id(TrainConfig(), DATA)


def test_a_preset_has_the_name_of_the_keys_that_it_stands_for():
    scales = (0.5, 0.75, 1.0, 1.25, 1.5, 1.75, 2.0)
    spelt_out = with_value(with_value(TrainConfig(), "evaluation.scales", scales), "evaluation.flip", True)
    preset = with_value(TrainConfig(), "evaluation.preset", "multi_scale_flip")
    assert canonical(preset) == canonical(spelt_out)
    assert canonical(preset)["evaluation.flip"] is True
    assert "evaluation.preset" not in canonical(preset)
    assert fingerprint(preset) == fingerprint(spelt_out)


def test_a_base_size_that_is_not_set_is_in_no_checkpoint():
    assert "base_size" not in fingerprint(TrainConfig())
    assert '"base_size": {"short": 64}' in fingerprint(with_value(TrainConfig(), "data.base_size.short", 64))


def test_a_study_counts_what_differs_from_the_defaults():
    """So a key that is added to the trainer with a default, or a recipe that states one, starts no other study."""
    search = {"parameters": [{"key": "optim.lr"}], "sampler": "tpe"}

    def study(**settings):
        return study_id(search, {key.replace("__", "."): value for key, value in settings.items()}, [0], [DATA])

    default = TrainConfig()
    stated = {
        "data__crop": list(default.data.crop),
        "evaluation__flip": False,
        "optim__momentum": default.optim.momentum,
    }
    assert study(**stated) == study() == study(optim__lr=0.3), "a drawn key has no value of its own"
    assert len({study(), study(data__crop=[64, 64]), study(data__base_size__short=64)}) == 3


def test_a_cap_on_the_bank_does_not_count_yet_holds():
    """A bank above it is refused; below it the cap changes nothing."""
    capped = with_value(TrainConfig(), "contrast.memory.max_gigabytes", 0.5)
    assert trial_id(capped, DATA) == trial_id(TrainConfig(), DATA)
    assert capped.normalised().contrast.memory.max_gigabytes == 0.5


def test_the_power_does_not_count_with_a_cosine():
    cosine = with_value(TrainConfig(), "schedule.policy", "cosine")
    assert trial_id(with_value(cosine, "optim.poly_power", 2.0), DATA) == trial_id(cosine, DATA)


def test_runtime_is_no_part_of_it():
    names = {item.name for item in fields(Runtime)}

    assert not names & {key.rpartition(".")[2] for key in canonical(TrainConfig())}


def test_data_and_result_version_count(monkeypatch):
    name = trial_id(TrainConfig(), DATA)

    assert trial_id(TrainConfig(), "1" * 64) != name
    monkeypatch.setattr(ContrastiveSegmentation, "result_version", RESULT_VERSION + 1)
    assert trial_id(TrainConfig(), DATA) != name


def test_a_path_does_not_count():
    names = {trial_id(TrainConfig(data=DataConfig(name="camvid", root=root)), DATA) for root in ("/a", "b", "../c")}

    assert len(names) == 1


@pytest.mark.parametrize(
    ("one", "two"),
    [
        (ContrastConfig(source="none"), ContrastConfig(source="none", temperature=0.3)),
        (ContrastConfig(source="none"), ContrastConfig(source="none", anchors=AnchorConfig(per_class=3))),
        (ContrastConfig(source="none"), ContrastConfig(weight=0)),
        (ContrastConfig(source="none"), ContrastConfig(source="none", labels="shuffled")),
        (ContrastConfig(source="intra_image"), ContrastConfig(source="intra_image", memory=MemoryConfig(kind="pixel"))),
        (
            ContrastConfig(memory=MemoryConfig(kind="pixel")),
            ContrastConfig(memory=MemoryConfig(kind="pixel", regions_per_class=3)),
        ),
        (
            ContrastConfig(mining=MiningConfig(kind="random")),
            ContrastConfig(mining=MiningConfig(kind="random", hard_fraction=0.5)),
        ),
    ],
)
def test_a_knob_without_effect_does_not_count(one, two):
    assert trial_id(TrainConfig(contrast=one), DATA) == trial_id(TrainConfig(contrast=two), DATA)


@pytest.mark.parametrize(
    ("head", "names"),
    [("hrnet", ("aux_channels", "aux_kernel")), ("ocr", ("fusion_kernel",)), ("deeplabv3", ())],
)
def test_a_option_of_another_head_does_not_count(head, names):
    plain = TrainConfig(model=ModelConfig(head=head))
    for name in ("fusion_kernel", "aux_channels", "aux_kernel"):
        changed = with_value(
            plain, f"model.{name}", UNSET[f"model.{name}"] if (name, head) != ("aux_kernel", "ocr") else 3
        )
        assert (trial_id(changed, DATA) == trial_id(plain, DATA)) == (name in names), name


def test_numbers_have_one_spelling():
    whole = TrainConfig(contrast=ContrastConfig(weight=1), data=DataConfig(scale=(1, 2), color_jitter=-0.0))
    same = TrainConfig(contrast=ContrastConfig(weight=1.0), data=DataConfig(scale=(1.0, 2.0), color_jitter=0.0))

    assert json.dumps(canonical(whole)) == json.dumps(canonical(same))
    assert trial_id(whole, DATA) == trial_id(same, DATA)
    assert canonical(whole)["contrast.weight"] == 1.0
    assert canonical(TrainConfig(contrast=ContrastConfig(temperature=1e-5)))["contrast.temperature"] == 1e-5


@pytest.mark.parametrize(
    "further",
    [
        {},
        {"a": identity.SEED},
        {"z": identity.SEED},
        {"a": {"seed": identity.SEED}},
        {"z": f'"seed":"{identity.SEED}"'},
        {"seed.of": 3, "ä": "ö"},
    ],
)
def test_the_ids_of_a_row_are_those_of_its_trials(further):
    config, seeds = {**canonical(TrainConfig()), **further}, (0, 1, 10, 2**40)

    found = identity.seeded_ids(config, seeds, DATA, built_in())

    assert list(found) == [content_id({**config, "seed": seed}, DATA) for seed in seeds]


def test_weights_count_by_content(tmp_path):
    one, copy, two = (tmp_path / name for name in ("one.pth", "copy.pth", "two.pth"))
    one.write_bytes(b"weights")
    copy.write_bytes(b"weights")
    two.write_bytes(b"WEIGHTS")
    name_one, name_copy, name_two = (
        trial_id(TrainConfig(model=ModelConfig(weights=str(path))), DATA) for path in (one, copy, two)
    )

    assert name_one == name_copy != name_two
    digest = "9a129038d9a00aed0cf6a7ea059ca50a813449061ab87848cf1a13eafdf33b2c"
    assert canonical(TrainConfig(model=ModelConfig(weights=str(one))))["model.weights"] == f"sha256:{digest}"
    one.write_bytes(b"other weights")
    assert trial_id(TrainConfig(model=ModelConfig(weights=str(one))), DATA) != name_one


def make_camvid(root, grey=100):
    """A data set of two 32x32 pairs per split."""
    for split in ("train", "val", "test"):
        for folder in ("images", "labels"):
            (root / split / folder).mkdir(parents=True)
        for index in range(2):
            image = np.full((32, 32, 3), grey + index, dtype=np.uint8)
            Image.fromarray(image).save(root / split / "images" / f"{index}.png")
            Image.fromarray(np.full((32, 32), index, dtype=np.uint8)).save(root / split / "labels" / f"{index}.png")
    return root


def digest_of(config, cache_dir=None):
    return data_digest(open_source(config), config, partial(recall, cache_dir) if cache_dir else forget)


def test_a_copied_data_set_has_the_same_digest(tmp_path):
    first = make_camvid(tmp_path / "first")
    shutil.copytree(first, tmp_path / "second")
    make_camvid(tmp_path / "third", grey=101)
    digests = {
        name: digest_of(DataConfig(name="camvid", root=str(tmp_path / name)), tmp_path / "cache")
        for name in ("first", "second", "third")
    }

    assert digests["first"] == digests["second"] != digests["third"]


def test_a_digest_is_computed_once_until_a_file_changes(tmp_path, monkeypatch):
    root = make_camvid(tmp_path / "data")
    config = DataConfig(name="camvid", root=str(root))
    calls = []
    compute = CamVid.digest
    monkeypatch.setattr(CamVid, "digest", lambda source: calls.append(1) or compute(source))

    first = digest_of(config, tmp_path / "cache")
    assert digest_of(config, tmp_path / "cache") == first
    assert len(calls) == 1
    assert list((tmp_path / "cache").iterdir()) == [tmp_path / "cache" / "digests.json"]

    Image.fromarray(np.zeros((32, 32), dtype=np.uint8)).save(root / "val" / "labels" / "1.png")
    assert digest_of(config, tmp_path / "cache") != first
    assert len(calls) == 2


@pytest.mark.parametrize("damage", ["", "{", "[]"])
def test_a_damaged_cache_is_computed_again(tmp_path, damage):
    (tmp_path / "digests.json").write_text(damage)

    assert digest_of(DataConfig(), tmp_path) == digest_of(DataConfig())
    assert len(read_cache(tmp_path / "digests.json")) == 1


def test_a_cache_that_cannot_be_written_is_no_error(tmp_path):
    (tmp_path / "file").write_text("")

    assert digest_of(DataConfig(), tmp_path / "file" / "cache") == digest_of(DataConfig())


def test_other_scenes_have_another_digest():
    assert digest_of(DataConfig(synthetic=SyntheticConfig(seed=1))) != digest_of(DataConfig())


def test_missing_data_is_reported(tmp_path):
    with pytest.raises(DataError, match="no such folder"):
        digest_of(DataConfig(name="camvid", root=str(tmp_path / "nowhere")))
