"""Each kind of mistake, written into the trainer's own source, is found by a trial on the simulated device."""

from __future__ import annotations

import inspect
import sys
import textwrap
from dataclasses import replace

import pytest
import torch

import trainer.contrast.alignment
import trainer.contrast.anchors
import trainer.contrast.groups
import trainer.contrast.loss
import trainer.contrast.memory
import trainer.contrast.mining
import trainer.contrast.pixels
import trainer.contrast.released
import trainer.data.loading.upload
import trainer.evaluate
import trainer.losses
import trainer.metrics
import trainer.views
from trainer.config import (
    AnchorConfig,
    ComputeConfig,
    ContrastConfig,
    DataConfig,
    MemoryConfig,
    MiningConfig,
    ModelConfig,
    ScheduleConfig,
    SyntheticConfig,
    TrainConfig,
)
from trainer.contrast.queue import ClassQueue
from trainer.models.segmentor import Segmentor
from trainer.plugins import Entry
from trainer.step import TrainStep
from trainer.testing.device_fault import DeviceFault
from trainer.testing.simulated_trial import simulated_trial


def config(**compute):
    synthetic = SyntheticConfig(train_images=2, val_images=1, test_images=1, height=32, width=64)
    return TrainConfig(
        data=DataConfig(crop=(32, 64), synthetic=synthetic),
        model=ModelConfig(backbone="timm/test_resnet", head="hrnet", head_channels=8),
        contrast=ContrastConfig(
            embedding_dim=8,
            warmup_fraction=0.0,
            anchors=AnchorConfig(per_class=5),
            mining=MiningConfig(positives=8, negatives=16),
            memory=MemoryConfig(pixels_per_class=20, regions_per_class=6, pixels_per_image=3),
        ),
        schedule=ScheduleConfig(steps=1, batch_size=2),
        compute=ComputeConfig(**compute),
    )


HERE = "{file}:{line}"
"""The changed file and line."""

FAULTS = {
    "item in the loss": (
        *(trainer.losses, "cross_entropy", "return total / ", "return total.item() / "),
        HERE + ": _local_scalar_dense: the result depends on values: the host waits",
    ),
    "mask as an index in the loss": (
        *(trainer.losses, "pixel_mass", "return labelled_BHW.sum()"),
        "return torch.ones_like(label_BHW[labelled_BHW]).sum()",
        HERE + ": index: a mask as an index: the host waits",
    ),
    "CPU tensor in the miner": (
        *(trainer.contrast.mining, "draw", "generator=generator, device=legal_AM.device", ""),
        "{file}:{line}: masked_fill_: tensors on several devices: one of shape (55, 19) is on the CPU",
        *(trainer.contrast.mining.draw, "return top("),
    ),
    "constant from the host in the diagnostics": (
        *(trainer.contrast.alignment, "alignment_and_uniformity"),
        *("torch.arange(classes, device=valid_N.device)", "torch.tensor(range(classes), device=valid_N.device)"),
        HERE + ": _to_copy: a copy to the device for which the host waits",
    ),
    "print in the sampler": (
        *(trainer.contrast.anchors, "hard_anchors", "reserved = ", "print(label_P); reserved = "),
        HERE + ": __repr__: its values are shown: the host waits",
    ),
    "copy to the CPU in the queue": (
        *(ClassQueue, "push", "rows.valid_CR.sum(1)", "rows.valid_CR.sum(1).cpu()"),
        HERE + ": _to_copy: a copy to the CPU: the host waits",
    ),
    "unique in the memory": (
        *(trainer.contrast.memory, "region_rows", "images, (h, w) =", "label_NHW.unique(); images, (h, w) ="),
        HERE + ": _unique2: the size of the result depends on values: the host waits",
    ),
    "index on the CPU": (
        *(trainer.contrast.pixels, "label_at", "position_N // (h * w),", "torch.arange(len(position_N)),"),
        "{file}:{line}: index: tensors on several devices: one of shape",
        *(trainer.contrast.pixels.label_at, "return label_BHW["),
    ),
    "generator on the CPU": (
        *(TrainStep, "generator", "*names, device=self.device", "*names"),
        "trainer/contrast/groups.py:{line}: randperm: a generator on cpu fills a tensor on cuda",
        *(trainer.contrast.groups.sample_groups, "randperm"),
    ),
    "condition on the loss": (
        *(TrainStep, "backward", "if is_distributed()", "if loss > 0 and is_distributed()"),
        HERE + ": _local_scalar_dense: the result depends on values: the host waits",
    ),
    "synchronisation in the update": (
        *(TrainStep, "update", "self.scaler.update()", "torch.cuda.synchronize()"),
        HERE + ": torch.cuda.synchronize: the host waits",
    ),
    "gradient on the CPU": (
        *(trainer.contrast.loss._BlockwiseInfoNCE, "backward", "return grad_loss * grad_AD"),
        "return torch.zeros(grad_AD.shape)",
        "trainer/step.py:{line}: backward: a gradient on cpu for a tensor on cuda:0",
        *(TrainStep.backward, ".backward()"),
    ),
    "batch for which the host waits": (
        *(trainer.data.loading.upload, "upload", "non_blocking=True", "non_blocking=False"),
        HERE + ": _to_copy: a copy to the device for which the host waits",
    ),
    "bincount in the scores": (
        *(trainer.metrics, "confusion", "return total.index_add_(0, place_P, one_P)"),
        "return torch.bincount(place_P, minlength=len(total))",
        HERE + ": bincount: the size of the result depends on values: the host waits",
    ),
    "new tensor on the CPU in the views": (
        *(trainer.views, "average_logits", "total = total + resize", "total = torch.zeros(1) + resize"),
        HERE + ": add: tensors on several devices",
    ),
}
"""Owner, function, its source, the source with a mistake, how the message begins, and, if it is found on another line
than that of the mistake, function and words of that line."""


def with_fault(owner, name, old, new):
    """The function or method `name` of `owner`, with a change of its source on the same lines; file and line of it."""
    original = inspect.getattr_static(owner, name)
    function = inspect.unwrap(original.__func__ if isinstance(original, staticmethod) else original)
    source, first = inspect.getsourcelines(function)
    text = textwrap.dedent("".join(source))
    assert text.count(old) >= 1, f"{name} has changed: {old!r} is gone"
    code = compile("\n" * (first - 1) + text.replace(old, new, 1), inspect.getsourcefile(function), "exec", 1 << 24)
    namespace = dict(vars(inspect.getmodule(function)))
    exec(code, namespace)  # noqa: S102
    line = first + text[: text.index(old)].count("\n")
    return original, namespace[name], f"trainer/{inspect.getsourcefile(function).partition('trainer/')[2]}", line


def replace_everywhere(monkeypatch, owner, name, original, changed):
    """Replace a function wherever the trainer has imported it or lists it."""
    monkeypatch.setattr(owner, name, changed)
    modules = [module for key, module in sys.modules.items() if key.startswith("trainer.")]
    tables = [value for module in modules for value in vars(module).values() if isinstance(value, dict)]
    for places in [*map(vars, modules), *tables]:
        for key, value in list(places.items()):
            if value is original:
                monkeypatch.setitem(places, key, changed)
            elif isinstance(value, Entry) and value.code is original:
                monkeypatch.setitem(places, key, replace(value, code=changed))


@pytest.mark.parametrize("fault", FAULTS)
def test_a_mistake_is_found_where_it_is(monkeypatch, fault):
    owner, name, old, new, message, *elsewhere = FAULTS[fault]
    found_at = first_line_with(*elsewhere) if elsewhere else None
    original, changed, file, line = with_fault(owner, name, old, new)
    replace_everywhere(monkeypatch, owner, name, original, changed)
    with pytest.raises(DeviceFault) as caught:
        simulated_trial(config())
    assert str(caught.value).startswith(message.format(file=file, line=found_at or line))


def first_line_with(function, words):
    """The number of the first line of a function with these words."""
    source, first = inspect.getsourcelines(function)
    return first + next(number for number, line in enumerate(source) if words in line)


def test_without_a_mistake_nothing_is_found():
    assert simulated_trial(config()).operators > 1000


PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


def wrong_precision(seen, network):
    """The files whose products or losses have another type than the network's in training, and float32 elsewhere."""
    wrong = []
    for file, dtypes in seen.product_dtypes.items():
        if file == "trainer/models/segmentor.py" or file == "trainer/step.py":  # the projection, and the backward pass
            expected = {network}
        elif file.startswith("trainer/models"):  # evaluation is float32
            expected = {network, torch.float32}
        else:
            expected = {torch.float32}
        wrong += [file] if dtypes != expected else []
    return wrong + [file for file in ("trainer/losses.py",) if seen.other_dtypes[file] != {torch.float32}]


@pytest.mark.parametrize("precision", PRECISIONS)
def test_the_network_trains_at_the_precision_asked_for_and_all_else_is_float32(precision):
    seen = simulated_trial(config(precision=precision))
    assert {"trainer/models/backbones.py", "trainer/models/segmentor.py", "trainer/step.py"} <= set(seen.product_dtypes)
    assert {"trainer/contrast/similarity.py", "trainer/contrast/memory.py"} <= set(seen.product_dtypes)
    assert wrong_precision(seen, PRECISIONS[precision]) == []
    overflows = [wait for wait in seen.waits if wait.startswith("trainer/step.py") and "_local_scalar" in wait]
    assert len(overflows) == (precision == "float16")  # GradScaler asks once per step


@pytest.mark.parametrize(
    ("owner", "name", "old", "new", "found"),
    [
        (TrainStep, "accumulate", "enabled=self.dtype is not None", "enabled=False", "trainer/step.py"),
        (trainer.losses, "pixel_losses", "logits_BCHW.float()", "logits_BCHW.bfloat16()", "trainer/losses.py"),
        (Segmentor, "forward", "output: HeadOutput =", "image_B3HW = image_B3HW.double(); output: HeadOutput =", ""),
    ],
)
def test_a_wrong_precision_is_found(monkeypatch, owner, name, old, new, found):
    original, changed, *_ = with_fault(owner, name, old, new)
    replace_everywhere(monkeypatch, owner, name, original, changed)
    if found:
        assert found in wrong_precision(simulated_trial(config(precision="bfloat16")), torch.bfloat16)
    else:
        with pytest.raises(RuntimeError, match="type"):
            simulated_trial(config())
