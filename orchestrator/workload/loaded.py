"""LoadedWorkload: a workload with its name, and what stands for the parts that it does not have."""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestrator.workload.extras import Code, Extras
from orchestrator.workload.inputs import Inputs
from orchestrator.workload.metric import Metric, metric_named, validation_name, watched_metric
from orchestrator.workload.source_digest import code_digest

if TYPE_CHECKING:
    from orchestrator.workload.loading import WorkloadSource
    from orchestrator.workload.protocol import Workload

__all__ = ["LoadedWorkload"]


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class LoadedWorkload:
    """A workload, as all packages of the orchestrator use it."""

    name: str
    workload: Workload
    source: WorkloadSource
    is_built_in: bool
    module_file: Path
    """Where its module is, or was when its text was read."""
    own_files: Callable[[], Mapping[str, str]] = field(repr=False)
    """The digest of its source by file, for a workload that does not say more about its code."""

    @property
    def config_type(self) -> Any:
        """Of its configs."""
        return self.workload.config_type

    @property
    def extras(self) -> Extras:
        """Its optional parts."""
        return getattr(self.workload, "extras", Extras())

    def texts(self) -> tuple[str, ...]:
        """Its source code, and that of the files beside it which it imports. Raises OSError."""
        if self.source.path:
            return (self.source.text, *(text for _, text in self.source.files))
        return (self.module_file.read_text(encoding="utf-8"),)

    @property
    def identity(self) -> dict[str, Any]:
        """What the id of a trial holds of the workload; ids of the built-in one do not name it."""
        version = {"result_version": self.workload.result_version}
        return version if self.is_built_in else {**version, "workload": self.name}

    @property
    def code(self) -> Code:
        """Its code; by default the file that it is written in."""
        return self.extras.code or Code(files=self.own_files, digests=lambda: (code_digest(self.own_files()),))

    @property
    def metrics(self) -> Sequence[Metric]:
        """All metrics, the main one first."""
        return self.workload.metrics

    @property
    def main_metric(self) -> Metric:
        """What ranks tables."""
        return self.metrics[0]

    @property
    def watched_metric(self) -> Metric:
        """What is shown of running trials."""
        return watched_metric(self.metrics) or self.main_metric

    @property
    def default_columns(self) -> tuple[str, ...]:
        """The metrics that a table shows where nothing else is said."""
        return tuple(item.name for item in self.metrics if item is self.main_metric or item.is_column)

    def metric(self, name: str) -> Metric:
        """The metric `name`, declared or not."""
        return metric_named(name, self.metrics)

    def normalised(self, config: Any) -> Any:
        """The same computation with every field that has no effect at its default."""
        method = getattr(config, "normalised", None)
        return config if method is None else method()

    def inputs_key(self, config: Any) -> Hashable:
        """What of a config decides its inputs."""
        return replace(config, seed=0) if self.extras.inputs_key is None else self.extras.inputs_key(config)

    def reported(self, config: Any, inputs: Inputs) -> Collection[str]:
        """Names of the metrics that a trial reports; families by their start."""
        if self.extras.reported is not None:
            return self.extras.reported(config, inputs)
        names = {metric.name for metric in self.metrics}
        return names | {validation_name(name) for name in names}

    def titles(self, factors: Mapping[str, Any], config: Any) -> Mapping[str, str]:
        """What tables call the values of `factors`, by key; those that are shown as they are typed are left out."""
        return {} if self.extras.titles is None else self.extras.titles(factors, config)

    def steps(self, config: Any) -> int | None:
        """Number of steps of a trial; None where the workload does not say."""
        if not self.extras.steps_key:
            return None
        value = config
        for name in self.extras.steps_key.split("."):
            value = getattr(value, name)
        return int(value)
