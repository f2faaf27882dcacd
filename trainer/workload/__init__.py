"""The contrastive segmentation trainer as a workload of the orchestrator (`orchestrator.workload`).

Imports torch only where a trial is trained, probed or exported.
"""

from __future__ import annotations

import platform
from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from orchestrator.plugins.titles import read_titles
from orchestrator.workload.caption import same_or_varied
from orchestrator.workload.exported_model import ExportedModel
from orchestrator.workload.extension import Extension
from orchestrator.workload.extras import Code, Extras, PlannedRow
from orchestrator.workload.inputs import Inputs, Overlap, Remember
from orchestrator.workload.plugin_part import PluginSource
from orchestrator.workload.protocol import Workload
from orchestrator.workload.runtime import Runtime
from orchestrator.workload.trial_result import Progress, TrialResult
from trainer.archive_digest import verify_archive
from trainer.bank_size import require_bank_fits
from trainer.code_digest import equal_codes, present_files
from trainer.config import (
    PACKAGED_WEIGHTS,
    RESULT_VERSION,
    ContrastConfig,
    DataConfig,
    TrainConfig,
    require_class_weights_fit,
    require_compute_fits,
)
from trainer.data import UNNAMED
from trainer.figure_names import figure_names
from trainer.workload.caption import caption_sentence, images_text
from trainer.workload.datasets import DataFacts, data_facts, data_key
from trainer.workload.decoded_images import DECODED_IMAGES
from trainer.workload.describe_data import data_record
from trainer.workload.idle_settings import idle_notes
from trainer.workload.key_forecast import TrainPixels, describe_keys, expected_keys
from trainer.workload.machine_checks import check_data, check_weights
from trainer.workload.metrics import METRICS
from trainer.workload.protocol import protocol_of
from trainer.workload.titles import value_titles

__all__ = ["WORKLOAD", "ContrastiveSegmentation"]

OUTSIDE_SHAPE = (
    "contrast.labels",
    "contrast.temperature",
    "contrast.warmup_fraction",
    "contrast.weight",
    "data.color_jitter",
    "data.flip_probability",
    "data.scale",
    "optim.lr",
    "optim.weight_decay",
    "schedule.eval_every_steps",
    "schedule.steps",
    "seed",
)
"""Keys that change what a trial computes, but not how much memory or time a step takes."""

USUAL_CAUSES = {
    "data.root": "data.name",
    "data.crop": "model.backbone",
    "contrast.memory": "contrast.memory.pixels_per_class",
}

CHECKPOINTS = ("last.pt", "previous.pt", "best.pt")
"""Names of the checkpoints in the folder of a trial (`trainer.checkpoint`)."""

PRELOAD = (
    "torch.utils.serialization.config",  # torch.save imports it
    "torchvision",
    "timm",
    *(f"PIL.{name}ImagePlugin" for name in ("Bmp", "Gif", "Jpeg", "Png", "Ppm")),  # PIL does, with its first image
    "trainer.workload.before_fork",
)
"""What every trial imports."""

OTHER_VALIDATION_SPLIT = (
    "set data.val_split to another split (a recipe may do so for searches: `search: {data.train_split: "
    "train_without_search, data.val_split: search}}`)"
)


class ContrastiveSegmentation(Workload):
    """Semantic segmentation with a pixel-wise contrastive loss."""

    config_type = TrainConfig
    result_version = RESULT_VERSION
    metrics = METRICS

    def check(self, config: TrainConfig) -> None:
        """Refuse a weight file that does not exist."""
        weights = config.model.weights
        if weights not in PACKAGED_WEIGHTS and not Path(weights).is_file():
            choices = ", ".join(PACKAGED_WEIGHTS)
            text = f"no such file {weights!r}; choose {choices} or the path of a .safetensors or .pth file"
            raise ValueError(f"model.weights: {text}")

    def inputs(self, config: TrainConfig, remember: Remember) -> Inputs:
        """The data set, checked and counted."""
        facts = data_facts(config.data, remember)
        record = data_record(config.data, facts)
        return Inputs(
            digest=facts.digest,
            title="" if record.title == UNNAMED else record.title,
            record=record,
            val_overlaps_test=overlap_with_test(config.data) if facts.val_overlaps_test else None,
            val_overlaps_train=overlap_with_train(config.data) if facts.val_overlaps_train else None,
            facts=facts,
        )

    def describe(self, rows: Sequence[tuple[TrainConfig, Inputs]], seeds: str, data: str = "") -> str:
        """Data set, model, crop, batch, steps, seeds and evaluation."""
        return caption_sentence([(config, inputs.facts) for config, inputs in rows], seeds, data)

    def train(self, config: TrainConfig, runtime: Runtime, workdir: Path, progress: Progress) -> TrialResult:
        """Train one trial."""
        from trainer.run import train

        result = train(config, runtime, workdir, progress)
        return TrialResult(
            metrics=result.metrics,
            facts={"code": result.code, "loader": result.loader},
            class_names=result.class_names,
            count_NCK=None if result.count_NCK is None else result.count_NCK.numpy(),
        )

    extras = Extras(
        inputs_key=lambda config: data_key(config.data),
        check_inputs=lambda config, inputs: check_classes(config, inputs.facts),
        check_resources=lambda config, cuda, ranks: require_compute_fits(config.compute, cuda=cuda, ranks=ranks),
        usual_causes=USUAL_CAUSES,
        add_plugin=lambda source, others: add_plugin(source, others),
        reported=lambda config, inputs: reported(config, inputs.facts),
        titles=value_titles,
        notes=idle_notes,
        forecast=lambda rows: forecast(rows),
        protocol=protocol_of,
        describe_data=lambda rows, name: data_caption(rows, name),
        steps_key="schedule.steps",
        warmup_fraction=lambda config: 0.0 if config.contrast.source == "none" else config.contrast.warmup_fraction,
        warmup_key="contrast.warmup_fraction",
        outside_shape=OUTSIDE_SHAPE,
        code=Code(files=present_files, digests=equal_codes, proof="`python -m trainer.golden {commit}` proves it"),
        probe=lambda config, runtime: probe(config, runtime),
        environment=lambda config, runtime: environment(config, runtime),
        preload=PRELOAD,
        export=lambda folder, kind: export(folder, kind),
        verify_checkpoint=dict.fromkeys(CHECKPOINTS, verify_archive),
        cache=DECODED_IMAGES,
        checks={"weights": check_weights, "data": check_data},
    )


WORKLOAD = ContrastiveSegmentation()


def overlap_with_test(data: DataConfig) -> Overlap:
    """The validation split shares images with the reported one."""
    return Overlap(
        text=f"is measured on {data.val_split!r} (data.val_split), and data.test_split is {data.test_split!r}",
        remedy=OTHER_VALIDATION_SPLIT,
    )


def overlap_with_train(data: DataConfig) -> Overlap:
    """The validation split shares images with the training split."""
    return Overlap(
        text=f"is measured on {data.val_split!r}",
        remedy=f"write another data.val_split or data.train_split than {data.train_split!r}",
    )


def data_caption(rows: Sequence[tuple[TrainConfig, Inputs]], name: str) -> str:
    """`CamVid, test split (233 images, trained on 367)`."""
    split = same_or_varied((config.data.test_split for config, _ in rows), "")
    return f"{name}, {split.strip()} split{images_text([(config, inputs.facts) for config, inputs in rows])}"


def check_classes(config: TrainConfig, facts: DataFacts) -> None:
    """Refuse a memory bank above its cap, and a wrong number of class weights."""
    contrast, mistakes = config.contrast, []
    try:
        require_bank_fits(contrast.memory, facts.classes, contrast.embedding_dim)
    except ValueError as error:
        mistakes.append(str(error))
    try:
        require_class_weights_fit(config.loss, facts.classes)
    except ValueError as error:
        mistakes.append(str(error))
    if mistakes:
        raise ValueError(*mistakes)


def reported(config: TrainConfig, facts: DataFacts) -> Collection[str]:
    """The metrics of a trial on a data set, those of plugins among them."""
    names = names_of(config.contrast, facts.class_names)
    if not (measured := config.evaluation.metrics):
        return names
    return names | {f"{split}/{name}" for name in measured for split in ("final", "val")}


def add_plugin(source: PluginSource, others: Extension | None) -> Extension:
    """What the plugins `others` and another one add to the configuration. Raises PluginError."""
    from trainer.plugins.options import with_plugin  # not for the sweeps that have none

    extension = with_plugin(source, others)
    read_titles(source)  # refuses wrong ones
    return extension


@lru_cache(maxsize=4096)
def names_of(contrast: ContrastConfig, class_names: tuple[str, ...]) -> frozenset[str]:
    """`figure_names`: the rows of a sweep share most of their blocks."""
    return figure_names(contrast, class_names)


def forecast(rows: Sequence[PlannedRow]) -> Iterator[str]:
    """Lines about the keys that an anchor of each row is expected to meet."""
    pixels: dict[Any, TrainPixels] = {}
    found = {}
    for row in rows:
        key = data_key(row.config.data)
        if key not in pixels:
            pixels[key] = TrainPixels.of(row.config.data, row.inputs.facts)
        found[row.label] = expected_keys(row.config, pixels[key])
    yield from describe_keys(found)


def probe(config: TrainConfig, runtime: Runtime) -> Mapping[str, float]:
    """Memory and time of a few steps."""
    from trainer.probe import probe

    return probe(config, runtime)


def environment(config: TrainConfig, runtime: Runtime) -> Mapping[str, str]:
    """Versions of the libraries that compute, the device, and how a trial's steps are computed."""
    import torch

    from trainer.arithmetic import describe_arithmetic
    from trainer.data.reading.decode import decoder_version

    on_gpu = runtime.device != "cpu" and torch.cuda.is_available()  # a trial on the CPU opens no GPU
    return {
        "device": torch.cuda.get_device_name() if on_gpu else f"{platform.machine()} CPU",
        "decoder": decoder_version(jpeg=True),
        "torch": torch.__version__,
        "cuda": torch.version.cuda or "",
        "cudnn": str(torch.backends.cudnn.version() or "") if on_gpu else "",  # type: ignore[no-untyped-call] # opens CUDA
        "arithmetic": describe_arithmetic(config, torch.device("cuda" if on_gpu else "cpu")),
    }


def export(folder: Path, kind: str) -> ExportedModel:
    """The network of a trial without parts that only training needs. Raises ValueError without such a checkpoint."""
    from trainer.errors import TrainerError
    from trainer.export import exported_model

    try:
        return exported_model(folder, best=kind == "best")
    except TrainerError as error:
        raise ValueError(str(error)) from error
