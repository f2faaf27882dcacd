"""The renderers for a GPU give the samples of the CPU's, up to rounding; on a CPU they run the same operators."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import trainer.data.loading.upload
from trainer.config import DataConfig, Runtime, SyntheticConfig
from trainer.data import open_source
from trainer.data.loading.batches import TrainBatches, evaluation_batches
from trainer.data.loading.device import PixelBatch
from trainer.data.loading.draws import draw_sample
from trainer.data.loading.loader import Loader
from trainer.data.loading.resident import ResidentSplit
from trainer.data.loading.transforms import PAD_GREY, FloatBatch
from trainer.data.loading.upload import copy_stream, upload
from trainer.data.source import IGNORE_INDEX

CPU, CUDA = torch.device("cpu"), torch.device("cuda")
NEEDS_GPU = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")


class Pictures:
    """Smooth pictures with noise, of unequal sizes, some smaller than a crop; labels in blocks."""

    class_names = tuple("abcdefghijk")
    unlabelled = frozenset()

    def __init__(self, sizes=((60, 80), (37, 141), (90, 120), (30, 30), (200, 64))):
        rng = np.random.default_rng(0)
        ids = np.array([*range(11), IGNORE_INDEX], dtype=np.uint8)
        self.pairs = []
        for size in sizes:
            bright_HW3 = rng.normal(30, 20, (*size, 3)) + np.linspace(0, 220, size[1])[None, :, None]
            self.pairs.append((bright_HW3.clip(0, 255).astype(np.uint8), rng.choice(ids, size)))

    def size(self, split):
        return len(self.pairs)

    def sizes(self, split):
        return iter([(label_HW.shape[1], label_HW.shape[0]) for _, label_HW in self.pairs])

    def read(self, split, index):
        return self.pairs[index]


SOURCE = Pictures()
CONFIG = DataConfig(crop=(64, 96), scale=(0.5, 2.0), color_jitter=0.3)


@pytest.fixture(autouse=True)
def _one_core():
    """Batches are so small that more threads only wait for each other."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def filled(batch, samples, config):
    """The batch with the samples (image, seed)."""
    for turn, (image, seed) in enumerate(samples):
        pair = SOURCE.read("train", image)
        batch.fill(turn, pair, draw_sample(*pair[1].shape, config, seed))
    return batch.finish()


def on_cpu(samples, config=CONFIG):
    return filled(FloatBatch(len(samples), config.crop), samples, config)


def by_pixels(samples, config=CONFIG, device=CPU):
    return filled(PixelBatch(len(samples), config.crop, device), samples, config)


def by_resident(samples, config=CONFIG, device=CPU):
    draws = [draw_sample(*SOURCE.read("train", image)[1].shape, config, seed) for image, seed in samples]
    return ResidentSplit(SOURCE, "train", device).batch([image for image, _ in samples], draws, config.crop)


@pytest.mark.parametrize("flip", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("strength", [0.0, 0.3, 1.0])
def test_pixels_finished_in_a_batch_are_those_of_the_cpu(flip, strength):
    config = replace(CONFIG, flip_probability=flip, color_jitter=strength)
    for seed in range(0, 60, 5):
        samples = [(image, seed + image) for image in range(5)]
        expected, found = on_cpu(samples, config), by_pixels(samples, config)
        assert (found.image_B3HW.dtype, found.label_BHW.dtype) == (torch.float32, torch.int64)
        assert torch.equal(found.label_BHW, expected.label_BHW)
        torch.testing.assert_close(found.image_B3HW, expected.image_B3HW, rtol=0, atol=1e-6)


@pytest.mark.parametrize("flip", [0.0, 0.5, 1.0])
def test_a_resident_split_gives_the_samples_of_the_cpu(flip):
    """Resized in float32 instead of 8 bits: a pixel differs by less than 1/255; jitter could enlarge that."""
    config = replace(CONFIG, flip_probability=flip, color_jitter=0.0)
    for seed in range(0, 60, 5):
        samples = [(image, seed + image) for image in (4, 0, 3, 1, 2)]
        expected, found = on_cpu(samples, config), by_resident(samples, config)
        assert (found.image_B3HW.dtype, found.label_BHW.dtype) == (torch.float32, torch.int64)
        assert torch.equal(found.label_BHW, expected.label_BHW)
        torch.testing.assert_close(found.image_B3HW, expected.image_B3HW, rtol=0, atol=1 / 255 + 1e-6)


def test_the_colours_of_a_resident_split_change_by_the_same_factors():
    samples = [(image, image) for image in range(5)]
    torch.testing.assert_close(by_resident(samples).image_B3HW, on_cpu(samples).image_B3HW, rtol=0, atol=2 / 255)


def test_a_resident_split_at_scale_one_is_exact_and_its_padding_too():
    config = replace(CONFIG, scale=(1.0, 1.0), color_jitter=0.0, crop=(96, 128))
    samples = [(image, 7 * image) for image in range(5)]
    expected, found = on_cpu(samples, config), by_resident(samples, config)
    assert torch.equal(found.image_B3HW, expected.image_B3HW)
    void_B1HW = (found.label_BHW == IGNORE_INDEX)[:, None].expand_as(found.image_B3HW)
    assert (found.image_B3HW[void_B1HW] == PAD_GREY).any()


@given(
    seed=st.integers(0, 2**40),
    low=st.floats(0.2, 1.0),
    high=st.floats(1.0, 3.0),
    crop=st.sampled_from([33, 64, 97]),
)
@settings(max_examples=25, deadline=None)
def test_all_renderers_agree_on_labels_and_padding(seed, low, high, crop):
    config = replace(CONFIG, crop=(crop, 64), scale=(low, high))
    samples = [(image, seed + image) for image in range(5)]
    expected, pixels, resident = on_cpu(samples, config), by_pixels(samples, config), by_resident(samples, config)
    assert torch.equal(pixels.label_BHW, expected.label_BHW)
    assert torch.equal(resident.label_BHW, expected.label_BHW)
    for turn, (image, own_seed) in enumerate(samples):
        padding_hw = torch.ones(config.crop, dtype=torch.bool)
        padding_hw[draw_sample(*SOURCE.read("train", image)[1].shape, config, own_seed).place] = False
        for found in (expected, pixels, resident):
            assert (found.image_B3HW[turn][:, padding_hw] == PAD_GREY).all()
            assert (found.label_BHW[turn][padding_hw] == IGNORE_INDEX).all()


def test_what_the_memory_held_before_changes_nothing(monkeypatch):
    """Pinned memory is used again, with the pixels of an earlier batch in the padding."""
    samples = [(3, 1), (1, 2)]
    before = by_pixels(samples)
    held = trainer.data.loading.device.host_memory
    monkeypatch.setattr(
        trainer.data.loading.device, "host_memory", lambda size, dtype, device: held(size, dtype, device).fill_(200)
    )
    after = by_pixels(samples)
    assert torch.equal(before.image_B3HW, after.image_B3HW)
    assert torch.equal(before.label_BHW, after.label_BHW)


@pytest.mark.parametrize("threads", [0, 2])
def test_a_trial_gets_its_batches_from_the_resident_split(threads):
    config = DataConfig(crop=(32, 48), color_jitter=0.0, synthetic=SyntheticConfig(train_images=5, height=48, width=64))
    source = open_source(config)
    place = {"batch_size": 4, "seed": 3, "rank": 1, "ranks": 2}
    loader = Loader(threads=threads, resident_bytes=5 * 48 * 64 * 4)
    usual = TrainBatches(source, config, **place).iterate(2, 3)
    resident = TrainBatches(source, config, **place, loader=loader).iterate(2, 3)
    for expected, found in zip(usual, resident, strict=True):
        assert torch.equal(found.label_BHW, expected.label_BHW)
        torch.testing.assert_close(found.image_B3HW, expected.image_B3HW, rtol=0, atol=1 / 255 + 1e-6)


class Sized(Pictures):
    """100 images of 320x520; with labels, 66.56 MB."""

    def __init__(self):
        self.pairs = []

    def sizes(self, split):
        return iter([(520, 320)] * 100)


@pytest.mark.parametrize(
    ("device", "runtime", "expected"),
    [
        (CPU, Runtime(), "training thread"),
        (CPU, Runtime(threads=4), "training thread"),
        (CPU, Runtime(threads=4, loader_threads=2), "2 threads"),
        (CUDA, Runtime(), "1 thread, training split on the device (0.07 GB)"),
        (CUDA, Runtime(threads=4, resident_gigabytes=0), "4 threads"),
        (CUDA, Runtime(threads=16, resident_gigabytes=0.065), "8 threads"),
        (CUDA, Runtime(threads=16, resident_gigabytes=0.067), "8 threads, training split on the device (0.07 GB)"),
        (CUDA, Runtime(threads=16, loader_threads=0, resident_gigabytes=0), "training thread"),
    ],
)
def test_the_loader_depends_on_runtime_device_and_size(device, runtime, expected):
    loader = Loader.of(runtime, device, Sized(), "train")
    assert str(loader) == expected


def test_a_large_split_is_not_measured_to_its_end():
    """Reading the headers of 118,000 files takes longer than a trial's first step."""
    asked = []

    class Large(Pictures):
        def sizes(self, split):
            for number in range(118_000):
                asked.append(number)
                yield 640, 480

    assert not Loader.of(Runtime(), CUDA, Large(sizes=()), "train").resident
    assert len(asked) == 2_000_000_000 // (640 * 480 * 4) + 1


class Recorded:
    """Stands for torch.cuda: writes down what is asked of streams and tensors."""

    def __init__(self, monkeypatch):
        self.calls, self.streams = [], ["current"]
        monkeypatch.setattr(torch.cuda, "Stream", lambda device: self.named("copying"))
        monkeypatch.setattr(torch.cuda, "current_stream", lambda device: self.named(self.streams[-1]))
        monkeypatch.setattr(torch.cuda, "stream", self.stream)

        def used(tensor, stream):
            self.calls.append(("used by", stream.name))

        def copied(tensor, device, non_blocking=False):
            self.calls.append(("copied on", self.streams[-1], non_blocking))
            return tensor

        monkeypatch.setattr(torch.Tensor, "to", copied)
        monkeypatch.setattr(torch.Tensor, "record_stream", used)

    def named(self, name):
        calls = self.calls

        class Stream:
            def __init__(self):
                self.name = name

            def wait_stream(self, other):
                calls.append((self.name, "waits for", other.name))

        return Stream()

    @contextmanager
    def stream(self, stream):
        self.streams.append(stream.name)
        yield
        self.streams.pop()


def test_an_upload_waits_for_no_work_and_its_memory_is_kept_until_it_was_used(monkeypatch):
    recorded = Recorded(monkeypatch)
    copy_stream.cache_clear()
    try:
        upload(CUDA, torch.zeros(1), torch.ones(1))
    finally:
        copy_stream.cache_clear()
    assert recorded.calls == [
        ("copied on", "copying", True),
        ("copied on", "copying", True),
        ("current", "waits for", "copying"),
        ("used by", "current"),
        ("used by", "current"),
    ]


@pytest.mark.gpu
@NEEDS_GPU
@pytest.mark.parametrize("made", [by_pixels, by_resident])
def test_a_gpu_gives_the_samples_of_the_cpu(made):
    config = replace(CONFIG, color_jitter=0.3 if made is by_pixels else 0.0)
    tolerance = 1e-5 if made is by_pixels else 1 / 255 + 1e-5
    for seed in range(0, 60, 5):
        samples = [(image, seed + image) for image in range(5)]
        expected, found = on_cpu(samples, config), made(samples, config, CUDA)
        assert found.image_B3HW.device.type == found.label_BHW.device.type == "cuda"
        assert torch.equal(found.label_BHW.cpu(), expected.label_BHW)
        torch.testing.assert_close(found.image_B3HW.cpu(), expected.image_B3HW, rtol=0, atol=tolerance)


@pytest.mark.gpu
@NEEDS_GPU
@pytest.mark.parametrize("resident", [0, 1])
def test_the_gpus_batches_stay_right_while_the_gpu_is_busy(resident):
    """Memory that is used again too early would show the pixels of another batch: the host is far ahead of the GPU."""
    config = replace(CONFIG, color_jitter=0.0)
    place = {"batch_size": 5, "seed": 3}
    expected = list(TrainBatches(SOURCE, config, **place).iterate(0, 30))
    loader = Loader(threads=3, resident_bytes=resident)
    busy, found = torch.rand(4096, 4096, device=CUDA), []
    for batch in TrainBatches(SOURCE, config, **place, device=CUDA, loader=loader).iterate(0, 30):
        for _ in range(4):
            busy = busy @ busy / 4096
        found.append((batch.image_B3HW.clone(), batch.label_BHW.clone()))
        del batch
    for (image_B3HW, label_BHW), batch in zip(found, expected, strict=True):
        assert torch.equal(label_BHW.cpu(), batch.label_BHW)
        torch.testing.assert_close(image_B3HW.cpu(), batch.image_B3HW, rtol=0, atol=1 / 255 + 1e-5)


@pytest.mark.gpu
@NEEDS_GPU
def test_nothing_waits_for_the_gpu_between_two_batches():
    """Each batch is asked for while the GPU is busy; a synchronisation would raise."""
    for loader in (Loader(threads=2), Loader(resident_bytes=1)):
        batches = TrainBatches(SOURCE, CONFIG, batch_size=5, seed=3, device=CUDA, loader=loader).iterate(0, 6)
        next(batches)
        torch.cuda.set_sync_debug_mode("error")
        try:
            for _ in batches:
                pass
        finally:
            torch.cuda.set_sync_debug_mode("default")


@pytest.mark.gpu
@NEEDS_GPU
def test_evaluation_images_on_a_gpu_are_those_of_the_cpu():
    expected = list(evaluation_batches(SOURCE, "val", 2))
    found = list(evaluation_batches(SOURCE, "val", 2, device=CUDA, loader=Loader(threads=2)))
    for left, right in zip(expected, found, strict=True):
        assert (left.first, torch.equal(left.label_BHW, right.label_BHW.cpu())) == (right.first, True)
        torch.testing.assert_close(right.image_B3HW.cpu(), left.image_B3HW, rtol=0, atol=1e-7)
