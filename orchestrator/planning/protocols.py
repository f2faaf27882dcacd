"""The protocols that the figures of a sweep are measured with, for its record."""

from __future__ import annotations

from collections.abc import Iterable

from orchestrator.workload.protocol_record import BaseSizeRecord, ProtocolRecord, evaluation_of
from trainer.config import EvaluationConfig, TrainConfig, setting

__all__ = ["protocols_of"]


def protocols_of(configs: Iterable[TrainConfig], split: str) -> tuple[ProtocolRecord, ...]:
    """The protocols of normalised `configs`, each once. `split`: `test`, or `val` for a table of the val split."""
    return tuple(dict.fromkeys(protocol_of(config, split) for config in configs))


def protocol_of(config: TrainConfig, split: str) -> ProtocolRecord:
    """The protocol of a config; the val split is always evaluated at one scale, with whole images."""
    data = config.data
    evaluation = EvaluationConfig() if split == "val" else config.evaluation
    scales = setting(evaluation, "scales")
    return ProtocolRecord(
        data=data.name,
        train_split=data.train_split,
        split=data.val_split if split == "val" else data.test_split,
        evaluation=evaluation_of(scales, setting(evaluation, "flip")),
        scales=scales,
        window=evaluation.window,
        base_size=BaseSizeRecord(short=data.base_size.short, long=data.base_size.long),
    )
