"""TrialBuilder: the trial that a set of suggested parameter values stands for."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from orchestrator.errors import SpecError, SpecErrorCollector
from orchestrator.planning.build_config import ConfigBuilder
from orchestrator.planning.datasets import DataFacts, DataKey, data_facts, data_key
from orchestrator.planning.plan import CACHE, Trial, json_value, seeded_trials
from orchestrator.planning.resolve import check_class_count, check_weights, resolve_suggestion
from orchestrator.spec.distributions import Search
from orchestrator.spec.settings import config_leaves
from orchestrator.spec.sweep_spec import SweepSpec
from orchestrator.store.records import Row

__all__ = ["TrialBuilder"]


class TrialBuilder:
    """Builds the trials of a search. Each data set is read once, so a further trial is cheap."""

    def __init__(self, spec: SweepSpec, search: Search, *, run_dir: Path) -> None:
        self.spec = spec
        self.search = search
        self.cache_dir = run_dir / CACHE
        self.configs = ConfigBuilder()
        self.facts: dict[DataKey, DataFacts] = {}

    def build(self, number: int, values: Mapping[str, Any]) -> tuple[Row, Trial]:
        """Trial `number` of the search with `values` by dotted key; inactive parameters are ignored.

        Raises SpecError, with the lines of the parameters, for values or combinations that the trainer refuses.
        """
        suggested: dict[str, Any] = {}
        for item in self.search.active(suggested):
            try:
                suggested[item.key] = config_leaves()[item.key].check(values[item.key])
            except ValueError as error:
                raise SpecError(f"{item.origin}: {item.key}: {error}") from error
        row = resolve_suggestion(self.search, self.spec.base, self.configs, suggested)
        key = data_key(row.config.data)
        if key not in self.facts:
            self.facts[key] = data_facts(row, self.cache_dir)
        errors = SpecErrorCollector()
        with errors:
            check_weights(row)
        with errors:
            check_class_count(row, self.facts[key])
        errors.raise_any()
        factors = {key: json_value(value) for key, value in suggested.items()}
        (trial,) = seeded_trials(row.config, self.spec.seeds, self.facts[key].digest)
        return Row(label=f"trial {number}", factors=factors), trial
