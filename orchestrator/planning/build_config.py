"""Build `TrainConfig`s from settings, and lead what the configs refuse back to the line that caused it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from functools import cache
from typing import Any, get_type_hints

from orchestrator.spec.settings import Setting, as_yaml
from trainer.config import TrainConfig

__all__ = ["ConfigBuilder", "origin_of"]

CAUSES = {"data.root": "data.name", "data.crop": "model.backbone"}
"""Where to look for the cause of a complaint about a key that nobody set."""


def origin_of(key: str, settings: Mapping[str, Setting], otherwise: str) -> str:
    """File and line behind a complaint about `key`."""
    cause = settings.get(key) or settings.get(CAUSES.get(key, ""))
    return cause.origin if cause else otherwise


class ConfigBuilder:
    """Remembers the blocks it built: the rows of a sweep differ in few of them."""

    def __init__(self) -> None:
        self._blocks: dict[tuple[str, tuple[tuple[str, Any], ...]], Any] = {}

    def build(self, settings: Mapping[str, Setting], row_origin: str, problems: list[str]) -> TrainConfig | None:
        """The config with `settings`, everything else at its default.

        None when the configs refuse a value or a combination; `problems` then has the lines.
        """
        values: dict[str, dict[str, Any]] = {name: {} for name in block_types(TrainConfig)}
        for key, setting in settings.items():
            values[key.partition(".")[0]][key] = setting.resolved()
        refusals: list[ValueError] = []
        blocks: dict[str, Any] = {}
        for name, block_type in block_types(TrainConfig).items():
            memo = (name, tuple(values[name].items()))
            if memo not in self._blocks:
                block = build_block(block_type, f"{name}.", values[name], refusals)
                if block is None:
                    continue
                self._blocks[memo] = block
            blocks[name] = self._blocks[memo]
        if not refusals:
            try:
                return TrainConfig(**blocks)
            except ValueError as error:
                refusals.append(error)
        problems.extend(explain(str(error), settings, row_origin) for error in refusals)
        return None


def build_block(block_type: type, prefix: str, values: Mapping[str, Any], refusals: list[ValueError]) -> Any:
    """A block with the blocks in it; None when one of them refuses, noted in `refusals`."""
    nested = block_types(block_type)
    blocks = {
        name: build_block(nested_type, f"{prefix}{name}.", values, refusals) for name, nested_type in nested.items()
    }
    own = {
        item.name: values[prefix + item.name]
        for item in fields(block_type)
        if item.name not in nested and prefix + item.name in values
    }
    if None in blocks.values():
        return None
    try:
        return block_type(**own, **blocks)
    except ValueError as error:
        refusals.append(error)
        return None


@cache
def block_types(config_type: Any) -> Mapping[str, type]:
    """Fields of a config class that are config classes themselves."""
    types = get_type_hints(config_type)
    return {item.name: types[item.name] for item in fields(config_type) if is_dataclass(types[item.name])}


def explain(refusal: str, settings: Mapping[str, Setting], row_origin: str) -> str:
    """The trainer's `key: message` with file and line, and with the value where the message lacks it."""
    key, _, message = refusal.partition(": ")
    setting = settings.get(key)
    if setting is not None and ";" not in message and f"not {as_yaml(setting.value)}" not in message:
        message = f"{message}; got {as_yaml(setting.value)}"
    return f"{origin_of(key, settings, row_origin)}: {key}: {message}"
