"""Extras: what a workload may offer besides its seven members; each has a default that serves."""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Literal

from orchestrator.workload.exported_model import ExportedModel
from orchestrator.workload.extension import Extension
from orchestrator.workload.inputs import Inputs
from orchestrator.workload.local_cache import LocalCache
from orchestrator.workload.plugin_part import PluginSource
from orchestrator.workload.protocol_record import ProtocolRecord
from orchestrator.workload.runtime import Runtime

__all__ = ["Code", "Extras", "PlannedRow"]


@dataclass(frozen=True, kw_only=True, slots=True)
class PlannedRow:
    """A row of a plan, as the extras see it."""

    label: str
    config: Any
    """Normalised."""
    inputs: Inputs
    given: Mapping[str, Any]
    """What recipe, search space and command line set, by dotted key."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Code:
    """The code of a workload, so that results of other code are noticed (stale trials)."""

    files: Callable[[], Mapping[str, str]]
    """A digest of each file that can change a figure, by its name."""
    digests: Callable[[], Sequence[str]]
    """The digest of the present code as a whole, then those of code that is known to give equal figures."""
    proof: str = ""
    """How a user shows that a change of the code alters no figure, for the message; `{commit}` is that of the other
    code. Empty: there is no way."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Extras:
    """The optional parts of a workload. Nothing here imports torch unless it says so.

    A callable that refuses something raises ValueError `key: message`, with one argument for each mistake.
    """

    inputs_key: Callable[[Any], Hashable] | None = None
    """What of a config decides its inputs; configs with equal keys share them. Not given: the config without seed."""
    check_inputs: Callable[[Any, Inputs], None] | None = None
    """Refuses a config that does not fit its inputs."""
    check_resources: Callable[[Any, bool, int], None] | None = None
    """Refuses a config that cannot run with or without CUDA (True, False), or with this number of ranks."""
    usual_causes: Mapping[str, str] = field(default_factory=dict)
    """For a key that nobody set: the key whose value usually causes a complaint about it."""

    add_plugin: Callable[[PluginSource, Extension | None], Extension] | None = None
    """What a plugin adds to the configuration, together with those that were loaded before it. Raises
    `orchestrator.plugins.error.PluginError`. Not given: search spaces of this workload cannot name `plugins`."""

    reported: Callable[[Any, Inputs], Collection[str]] | None = None
    """The metrics that a trial reports; not given: all that are declared."""
    titles: Callable[[Mapping[str, Any], Any], Mapping[str, str]] | None = None
    """What tables and figures call the values that a row sets by dotted key, given those and its config:
    `EfficientNet-Lite0` for `tf_efficientnet_lite0`. A value that it leaves out is shown as it is typed."""
    notes: Callable[[Sequence[PlannedRow]], Iterable[str]] | None = None
    """Sentences below the table: settings with less effect than they say."""
    forecast: Callable[[Sequence[PlannedRow]], Iterable[str]] | None = None
    """Lines of a dry run: what the rows are expected to do."""
    protocol: Callable[[Any, Literal["test", "val"]], ProtocolRecord] | None = None
    """How the figures of a trial are measured on a split, beside which published figures are shown."""

    describe_data: Callable[[Sequence[tuple[Any, Inputs]], str], str] | None = None
    """What the data set called NAME is, for the caption of a sweep over several; not given: the name."""

    steps_key: str = ""
    """Key of the number of steps of a trial. Progress, schedulers and forecasts of cost need it; empty: there is none.
    """
    warmup_fraction: Callable[[Any], float] | None = None
    """Share of its steps before which a scheduler must not stop a trial."""
    warmup_key: str = ""
    """Key of that share, for messages."""
    outside_shape: Collection[str] = ("seed",)
    """Keys that do not change how much memory or time a step takes: trials that differ in nothing else have one shape,
    and the cost of one is the forecast for the others."""

    code: Code | None = None
    """Not given: the source file of the workload counts, without comments and docstrings."""
    probe: Callable[[Any, Runtime], Mapping[str, float]] | None = None
    """Runs a few steps on the GPU and returns `probe/peak_memory_gb` and `probe/device_memory_gb`, so that trials are
    packed onto GPUs. May import torch. Not given: trials that share a GPU cannot be packed by their memory."""
    environment: Callable[[Any, Runtime], Mapping[str, str]] | None = None
    """Facts of the machine and the libraries for the record of an attempt. May import torch."""
    preload: Sequence[str] = ()
    """Installed modules that trials import and that take long: each machine imports them once, and every trial is a
    process forked from there. Importing them must start no thread and open no GPU. Not given: PyTorch, NumPy and some
    others, where the source of the workload imports them."""
    export: Callable[[Path, str], ExportedModel] | None = None
    """The model of the trial in a folder, with its `best` or `last` weights, for MLflow. Raises ValueError in one line
    if there is no such checkpoint. May import torch. Not given: search spaces cannot ask for `tracking.models`."""
    verify_checkpoint: Mapping[str, Callable[[BinaryIO], bool]] = field(default_factory=dict)
    """For each checkpoint that `verify --deep` reads, by its name in the folder of a trial: whether the content has a
    digest, which then matches. Raises ValueError for damaged content."""
    cache: LocalCache | None = None
    """What it keeps on a machine between trials: `doctor` looks at its disk, and `verify` reads it."""
    checks: Mapping[str, Callable[[Sequence[Any]], str]] = field(default_factory=dict)
    """What `doctor` checks besides, by name, for these configs; there are none without a search space. A check returns
    what it found, or raises ValueError `what is wrong; what to do`. May import torch."""
