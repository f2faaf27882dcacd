"""Determinism and TensorFloat-32: what holds during a trial, what holds after it, and what its record says."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from trainer.arithmetic import arithmetic, describe_arithmetic
from trainer.config import ComputeConfig, OptimConfig, TrainConfig

CPU, CUDA = torch.device("cpu"), torch.device("cuda")


def state():
    """All of torch's switches of TensorFloat-32, newer and older; reading an older one raises if they contradict."""
    cuda, cudnn = torch.backends.cuda, torch.backends.cudnn
    newer = (cuda.matmul.fp32_precision, cudnn.conv.fp32_precision, cudnn.rnn.fp32_precision)
    return (*newer, cuda.matmul.allow_tf32, cudnn.allow_tf32, torch.get_float32_matmul_precision())


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (True, ("tf32", "tf32", "tf32", True, True, "high")),
        (False, ("ieee", "ieee", "ieee", False, False, "highest")),
    ],
)
def test_all_switches_agree_during_a_trial_and_are_as_before_after_it(wanted, expected):
    before = state()
    with arithmetic(ComputeConfig(tf32=wanted)):
        assert state() == expected
    assert state() == before
    with pytest.raises(KeyError), arithmetic(ComputeConfig(tf32=wanted)):
        raise KeyError
    assert state() == before


def test_one_trial_inside_another_restores_what_the_outer_one_set():
    with arithmetic(ComputeConfig(tf32=True)):
        outer = state()
        with arithmetic(ComputeConfig(tf32=False)):
            assert state() != outer
        assert state() == outer


def test_without_a_setting_nothing_is_touched():
    before = state(), torch.are_deterministic_algorithms_enabled()
    with arithmetic(ComputeConfig()):
        assert (state(), torch.are_deterministic_algorithms_enabled()) == before


def test_determinism_and_tf32_together():
    with arithmetic(ComputeConfig(deterministic=True, tf32=True)):
        assert torch.are_deterministic_algorithms_enabled()
        assert torch.backends.cuda.matmul.fp32_precision == "tf32"
    assert not torch.are_deterministic_algorithms_enabled()


@pytest.mark.parametrize(
    ("compute", "device", "expected"),
    [
        (ComputeConfig(), CPU, "float32, channels_last, foreach SGD"),
        (ComputeConfig(tf32=True), CPU, "float32, channels_last, foreach SGD"),
        (ComputeConfig(), CUDA, "float32, TF32 convolutions, channels_last, foreach SGD"),
        (ComputeConfig(tf32=True), CUDA, "float32, TF32 matrix products and convolutions, channels_last, foreach SGD"),
        (
            ComputeConfig(precision="bfloat16", tf32=False, channels_last=False),
            CUDA,
            "bfloat16, no TF32, contiguous, foreach SGD",
        ),
        (
            ComputeConfig(cuda_graphs=True, deterministic=True),
            CUDA,
            "float32, TF32 convolutions, channels_last, foreach SGD, cuda_graphs, deterministic",
        ),
    ],
)
def test_the_record_says_what_is_in_force(compute, device, expected):
    assert describe_arithmetic(TrainConfig(compute=compute), device) == expected


def test_the_record_follows_torchs_own_default():
    """Somebody who allows TF32 for all products of a process finds it in the records of its trials."""
    fused = replace(TrainConfig(), optim=OptimConfig(fused=True))
    with arithmetic(ComputeConfig(tf32=True)):
        found = describe_arithmetic(fused, CUDA)
    assert found == "float32, TF32 matrix products and convolutions, channels_last, fused SGD"
