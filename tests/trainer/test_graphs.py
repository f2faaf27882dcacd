"""CUDA graphs of the network: what a step does around them, on a CPU with a stand-in for torch's recorder.

The stand-in has the properties of `torch.cuda.make_graphed_callables` on which the step depends: it refuses a network
of which an earlier pass is alive, it runs the network a few times first, its outputs and gradients stay in the same
memory at every call, and a part of the output that the loss does not use gets a gradient of zeros. Kernels on a GPU
are tested in `test_precision_gpu.py`.
"""

from __future__ import annotations

import gc
from dataclasses import replace

import pytest
import torch

from tests.trainer.test_step import CONFIG, make_step
from trainer.config import ComputeConfig, ContrastConfig, ScheduleConfig
from trainer.data.loading.batches import Batch
from trainer.errors import TrainerError
from trainer.graphs import GraphedNetwork
from trainer.step import parameters_without_gradient

GRAPHS = ComputeConfig(cuda_graphs=True)


class Recorded:
    """A module whose passes write to memory that is allocated once, as those of CUDA graphs do."""

    def __init__(self, module, sample):
        self.module = module
        self.parameters = list(module.parameters())
        assert not living_passes(module), "CUDA cannot record while AccumulateGrad nodes of the default stream live"
        self.image = sample
        for _ in range(3):
            outputs = module(self.image)
            torch.autograd.grad(outputs, self.parameters, [torch.ones_like(o) for o in outputs], allow_unused=True)
        self.outputs = [output.detach().clone() for output in outputs]
        self.gradients = [torch.full_like(parameter, torch.nan) for parameter in self.parameters]

    def __call__(self, image):
        assert (image.shape, image.dtype, image.device) == (self.image.shape, self.image.dtype, self.image.device)
        recorded = self

        class Pass(torch.autograd.Function):
            @staticmethod
            def forward(context, *inputs):
                recorded.image.copy_(inputs[0])
                with torch.enable_grad():
                    context.live = recorded.module(recorded.image)
                for kept, output in zip(recorded.outputs, context.live, strict=True):
                    kept.copy_(output.detach())
                return tuple(kept.detach() for kept in recorded.outputs)

            @staticmethod
            def backward(context, *gradients):
                assert all(gradient is not None for gradient in gradients)
                found = torch.autograd.grad(context.live, recorded.parameters, gradients, allow_unused=True)
                for kept, gradient in zip(recorded.gradients, found, strict=True):
                    kept.copy_(torch.zeros_like(kept) if gradient is None else gradient)
                return (None, *(kept.detach() for kept in recorded.gradients))

        return Pass.apply(image, *self.parameters)


def living_passes(module):
    """Tensors that keep an autograd graph alive in which a parameter of `module` is."""
    tensors = [item for item in gc.get_objects() if type(item) is torch.Tensor and item.grad_fn is not None]
    count = len(list(module.parameters()))
    return [tensor for tensor in tensors if len(parameters_without_gradient(module, tensor)) < count]


@pytest.fixture
def recorder(monkeypatch):
    """Replaces torch's recorder; holds what was recorded."""
    made = []

    def record(module, sample_args, *, allow_unused_input):
        assert allow_unused_input
        assert not torch.is_autocast_enabled("cpu")
        made.append(Recorded(module, *sample_args))
        return made[-1]

    monkeypatch.setattr(torch.cuda, "make_graphed_callables", record)
    return made


def with_crop(config, **changes):
    """`config` for the batches of `small_batch`."""
    return replace(config, data=replace(config.data, crop=(32, 32)), **changes)


def small_batch(seed):
    generator = torch.Generator().manual_seed(seed)
    label_BHW = torch.randint(0, 4, (2, 32, 32), generator=generator)
    return Batch(torch.rand(2, 3, 32, 32, generator=generator), label_BHW)


@pytest.mark.parametrize(
    ("precision", "changes"),
    [
        ("float32", {"contrast": replace(CONFIG.contrast, warmup_fraction=0.2)}),
        ("bfloat16", {"model": replace(CONFIG.model, aux_weight=0.0)}),
        ("float32", {"model": replace(CONFIG.model, head="hrnet"), "optim": replace(CONFIG.optim, clip_norm=0.5)}),
        ("float32", {"model": replace(CONFIG.model, head="ocr"), "contrast": ContrastConfig(source="none")}),
    ],
    ids=["warm-up", "bfloat16, no auxiliary loss", "hrnet, clipped", "ocr, no contrast"],
)
def test_steps_with_graphs_are_those_without(recorder, precision, changes):
    """Weights, batch-norm statistics and losses after four steps with dropout, bit for bit.

    During the warm-up the projection gets no gradient, and so no weight decay.
    """
    config = with_crop(CONFIG, **changes)
    plain, graphed = (
        make_step(replace(config, compute=ComputeConfig(precision=precision, cuda_graphs=graphs)).normalised())
        for graphs in (False, True)
    )
    assert len(recorder) == 1
    for step in range(4):
        expected, found = plain(small_batch(step), step), graphed(small_batch(step), step)
        assert {name: float(value) for name, value in found.items()} == pytest.approx(
            {name: float(value) for name, value in expected.items()}, rel=0, abs=0, nan_ok=True
        )
    ours = graphed.model.state_dict()
    for name, value in plain.model.state_dict().items():
        assert torch.equal(ours[name], value), name


def test_recording_leaves_no_trace_in_the_model(recorder):
    config = with_crop(CONFIG)
    plain, graphed = make_step(config), make_step(replace(config, compute=GRAPHS))
    for (name, value), other in zip(plain.model.state_dict().items(), graphed.model.state_dict().values(), strict=True):
        assert torch.equal(value, other), name
    assert all(parameter.grad is None for parameter in graphed.model.parameters())


def test_the_warning_about_streams_is_off_only_while_torch_records(recorder, monkeypatch):
    """`make_graphed_callables` uses two streams of its own, and a user's own mistakes still warn."""
    calls = []

    def warn(wanted):
        calls.append((wanted, len(recorder)))

    monkeypatch.setattr(torch.autograd.graph, "set_warn_on_accumulate_grad_stream_mismatch", warn)
    make_step(replace(with_crop(CONFIG), compute=GRAPHS))
    assert calls == [(False, 0), (True, 1)]


def test_evaluation_does_not_use_the_graphs(recorder):
    step = make_step(replace(with_crop(CONFIG), compute=GRAPHS))
    recorder[0].module = None
    with torch.inference_mode():
        logits_BCHW = step.model.eval()(torch.rand(1, 3, 64, 32)).logits_BCHW
    assert logits_BCHW.shape == (1, 4, 64, 32)


def test_a_network_that_cannot_be_recorded_is_one_line(monkeypatch):
    def refuse(*_, **__):
        raise RuntimeError("operation not permitted when stream is capturing\nmore lines")

    monkeypatch.setattr(torch.cuda, "make_graphed_callables", refuse)
    message = (
        r"^compute\.cuda_graphs: the network cannot be recorded \(operation not permitted when stream is capturing\); "
        "set it to false$"
    )
    with pytest.raises(TrainerError, match=message):
        make_step(replace(with_crop(CONFIG), compute=GRAPHS))


def test_too_little_memory_stays_what_it_is(monkeypatch):
    """So that the trial is repeated with a larger share of the GPU."""

    def exhaust(*_, **__):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(torch.cuda, "make_graphed_callables", exhaust)
    with pytest.raises(torch.OutOfMemoryError):
        make_step(replace(with_crop(CONFIG), compute=GRAPHS))


def test_micro_batches_are_refused():
    """The gradient of the second would overwrite that of the first."""
    with pytest.raises(ValueError, match=r"compute\.cuda_graphs: not with gradient accumulation"):
        replace(CONFIG, schedule=ScheduleConfig(batch_size=4, accumulation_steps=2), compute=GRAPHS)


def test_the_stand_in_reuses_its_memory(recorder):
    """Otherwise the tests above would not see a step that reads an output after the next call."""
    network = GraphedNetwork(make_step(with_crop(CONFIG)).model, torch.zeros(2, 3, 32, 32), None)
    first = network(torch.rand(2, 3, 32, 32)).logits_BCHW
    before = first.detach().clone()
    second = network(torch.rand(2, 3, 32, 32)).logits_BCHW
    assert first.data_ptr() == second.data_ptr()
    assert not torch.equal(first, before)
