"""Declaration: what the block `workload` of a search space says about a script."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from orchestrator.workload.metric import Metric
from orchestrator.workload.script.command import SEED, WORKDIR, files_of, placeholders, words

__all__ = ["KEYS", "Declaration", "DeclarationError"]

KEYS = ("command", "settings", "metrics", "inputs", "steps")
METRIC_KEYS = ("title", "unit", "direction", "decimals", "column")
DIRECTIONS = {"max": "up", "min": "down"}
PERCENT = ("percent", "%")
FINAL = "final/"

Mistake = tuple[tuple[str | int, ...], str]
"""Path of the wrong value inside the block, and what is wrong with it."""


class DeclarationError(Exception):
    """A block `workload` that cannot be used, with all its mistakes."""

    def __init__(self, mistakes: list[Mistake]) -> None:
        super().__init__("; ".join(f"{'.'.join(map(str, path))}: {text}" for path, text in mistakes))
        self.mistakes = mistakes


@dataclass(frozen=True, kw_only=True, slots=True)
class Declaration:
    """A script, its settings and its metrics."""

    command: str
    """`python my_train.py --lr {lr} --seed {seed} --out {workdir}`."""
    settings: Mapping[str, bool | int | float | str]
    """Defaults by key; their types are those of the keys."""
    metrics: tuple[Metric, ...]
    """The first ranks tables."""
    inputs: tuple[str, ...] = ()
    """Files and folders that the script reads, relative to `folder`."""
    steps: str = ""
    """The setting with the number of steps of a trial; empty: not known."""
    folder: str = ""
    """Absolute; the script runs in it."""

    @classmethod
    def read(cls, block: Mapping[str, Any], folder: Path) -> Declaration:
        """The declaration in a block of YAML, in the file of `folder`. Raises DeclarationError with all mistakes."""
        mistakes = list(mistakes_in(block, folder))
        if mistakes:
            raise DeclarationError(mistakes)
        return cls(
            command=block["command"],
            settings=dict(block.get("settings") or {}),
            metrics=tuple(metric(name, options or {}) for name, options in block["metrics"].items()),
            inputs=tuple(block.get("inputs") or ()),
            steps=block.get("steps") or "",
            folder=str(folder.resolve()),
        )

    def as_text(self) -> str:
        """The declaration as JSON, for another process."""
        return json.dumps(asdict(self))

    @classmethod
    def of_text(cls, text: str) -> Declaration:
        """The declaration that `as_text` has written."""
        content = json.loads(text)
        metrics = tuple(Metric(**item) for item in content.pop("metrics"))
        return cls(**{**content, "metrics": metrics, "inputs": tuple(content["inputs"])})

    @property
    def files(self) -> tuple[str, ...]:
        """The files of the command: those of its words that name a file in the folder."""
        return files_of(self.command, Path(self.folder))


def metric(name: str, options: Mapping[str, Any]) -> Metric:
    """A metric of the block; its title is by default the last part of its name."""
    percent = options.get("unit") in PERCENT
    last = name.rpartition("/")[2].replace("_", " ")
    return Metric(
        name=name,
        title=options.get("title") or (f"Val {last}" if name.startswith("val/") else last[:1].upper() + last[1:]),
        unit="%" if percent else options.get("unit") or "",
        direction=DIRECTIONS.get(options.get("direction", "")),  # type: ignore[arg-type]
        decimals=options.get("decimals", 2 if percent else 4),
        ranked=name.startswith(FINAL) and "direction" in options,
        is_column=options.get("column", name.startswith(FINAL)),
    )


def mistakes_in(block: Mapping[str, Any], folder: Path) -> Iterator[Mistake]:
    """What is wrong with a block."""
    for key in block:
        if key not in KEYS:
            yield (key,), f"unknown key; choose {', '.join(KEYS)}"
    yield from settings_mistakes(block.get("settings"))
    yield from command_mistakes(block.get("command"), block.get("settings"), folder)
    yield from metrics_mistakes(block.get("metrics"))
    yield from inputs_mistakes(block.get("inputs"), folder)
    steps, settings = block.get("steps"), block.get("settings")
    if steps is not None and isinstance(settings, Mapping) and type(settings.get(steps)) is not int:
        yield ("steps",), f"must name a setting that is a whole number, not {steps!r}"


def settings_mistakes(settings: Any) -> Iterator[Mistake]:
    """Of the defaults of the keys."""
    if settings is None:
        return
    if not isinstance(settings, Mapping):
        yield ("settings",), "must be a block of `key: default` lines; write for example {lr: 0.1, width: 64}"
        return
    for key, value in settings.items():
        if not str(key).isidentifier():
            yield ("settings", key), "must be a name of letters, digits and underscores; rename it"
        elif key in (SEED, WORKDIR):
            yield ("settings", key), f"is filled in for each trial; remove it, and write {{{key}}} in the command"
        elif not isinstance(value, bool | int | float | str) or value != value or value in (math.inf, -math.inf):
            yield (
                ("settings", key),
                "must be a number, text, true or false, which is the default; write for example 0.1",
            )


def command_mistakes(command: Any, settings: Any, folder: Path) -> Iterator[Mistake]:
    """Of the command: its placeholders are the settings, `{seed}` and `{workdir}`."""
    if not isinstance(command, str) or not command.strip():
        text = "missing" if command is None else "must be text"
        yield (
            ("command",),
            f"{text}; write for example `python my_train.py --lr {{lr}} --seed {{seed}} --out {{workdir}}`",
        )
        return
    try:
        first, names = words(command)[0], placeholders(command)
    except ValueError as error:
        yield ("command",), f"{error}; correct its quotes and braces (a brace itself is written twice)"
        return
    known = dict(settings) if isinstance(settings, Mapping) else {}
    for name in dict.fromkeys(names):
        if name not in known and name not in (SEED, WORKDIR):
            choices = ", ".join((*map(str, known), SEED, WORKDIR))
            yield ("command",), f"{{{name}}} is not a setting; add it to settings, or choose {choices}"
    if SEED not in names:
        yield ("command",), "has no {seed}, so all seeds would compute the same; add for example `--seed {seed}`"
    for key in known:
        if key not in names:
            yield (
                ("settings", key),
                f"is not in the command, so it would have no effect; add for example `--{key} {{{key}}}`",
            )
    for word in words(command)[1:]:
        if word.endswith((".py", ".sh", ".R", ".jl")) and "{" not in word and not (folder / word).is_file():
            yield ("command",), f"no such file {word!r} in {folder}; correct it"
    if "/" in first and not Path(first).is_absolute() and not (folder / first).is_file():
        yield ("command",), f"no such file {first!r} in {folder}; correct it"


def metrics_mistakes(metrics: Any) -> Iterator[Mistake]:
    """Of the metrics."""
    example = "write for example `final/accuracy: {unit: percent, direction: max}`"
    if not isinstance(metrics, Mapping) or not metrics:
        yield ("metrics",), f"{'missing' if metrics is None else 'must be a block with at least one metric'}; {example}"
        return
    first = next(iter(metrics))
    if not str(first).startswith(FINAL):
        yield ("metrics", first), f"the first metric ranks the table and must begin with {FINAL}; {example}"
    for name, options in metrics.items():
        if options is None:
            continue
        if not isinstance(options, Mapping):
            yield ("metrics", name), f"must be a block; {example}"
            continue
        for key, value in options.items():
            path = ("metrics", name, key)
            if key not in METRIC_KEYS:
                yield path, f"unknown key; choose {', '.join(METRIC_KEYS)}"
            elif key == "direction" and value not in DIRECTIONS:
                yield path, f"must be max (larger is better) or min, not {value!r}"
            elif key in ("title", "unit") and not isinstance(value, str):
                yield path, f"must be text, not {value!r}"
            elif key == "decimals" and (type(value) is not int or not 0 <= value <= 12):
                yield path, f"must be a whole number from 0 to 12, not {value!r}"
            elif key == "column" and not isinstance(value, bool):
                yield path, f"must be true or false, not {value!r}"


def inputs_mistakes(inputs: Any, folder: Path) -> Iterator[Mistake]:
    """Of the files that the script reads."""
    if inputs is None:
        return
    if not isinstance(inputs, list):
        yield ("inputs",), "must be a list of files and folders; write for example [data/digits.csv]"
        return
    for place, name in enumerate(inputs):
        if not isinstance(name, str) or not (folder / name).exists():
            yield ("inputs", place), f"no such file or folder {name!r} in {folder}; correct the path"
