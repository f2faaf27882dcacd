"""The note about published figures: their source, and how they were measured differently from ours."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from orchestrator.store.sweep_record import SweepRecord
from orchestrator.workload.protocol_record import BaseSizeRecord, ProtocolRecord
from reports.sources.published import Published

__all__ = ["published_note"]

EVALUATIONS = {
    "single_scale": "single scale",
    "flip": "single scale and flip",
    "multi_scale": "multi-scale",
    "multi_scale_flip": "multi-scale and flip",
    "unknown": "unknown evaluation",
}


def published_note(published: Published, sweep: SweepRecord) -> str:
    """Source and setting, what differs from the protocol of the sweep's own rows, and that others trained them."""
    settings = (f"{row.label}: {row.setting}" for row in published.rows if row.setting)  # as `OCR: Cityscapes test`
    parts = [f"{published.title}: {published.setting}", *settings]
    text = f"{'; '.join(parts)}. Source: {published.source} ({published.checked})."
    ours = " ".join(sweep.protocol.split()).rstrip(".")
    closing = f"Not our training{f' ({ours})' if ours else ''}: compare trends, not values."
    return " ".join((text, *protocol_sentences(published, sweep.protocols), closing))


def protocol_sentences(published: Published, ours: Sequence[ProtocolRecord]) -> Iterator[str]:
    """A sentence for each protocol among the published rows: how it differs from `ours`, or that it is the same.

    None for a plan of before, which does not say how its rows are measured.
    """
    groups: dict[ProtocolRecord, list[str]] = {}
    for row in published.rows:
        groups.setdefault(published.protocol_of(row), []).append(row.label)
    for theirs, labels in groups.items() if ours else ():
        whose = f" ({'; '.join(labels)})" if len(groups) > 1 else ""
        different = list(differences(theirs, ours))
        if different:
            left, right = (", ".join(texts) for texts in zip(*different, strict=True))
            yield f"Published figures{whose}: {left}; ours: {right}."
        else:
            yield f"Published figures{whose}: same data, splits, image size and evaluation as ours."


def differences(theirs: ProtocolRecord, ours: Sequence[ProtocolRecord]) -> Iterator[tuple[str, str]]:
    """Each thing that is not the same in `theirs` and all of `ours`, in words: theirs and ours."""
    everyone = (theirs, *ours)
    same_kind = len({item.evaluation for item in everyone}) == 1 and all(item.scales for item in everyone)
    for texts in (
        [f"{item.data} data" for item in everyone],
        [f"{item.train_split} as training split" for item in everyone],
        [f"{item.split} split" for item in everyone],
        [size_text(item.base_size) for item in everyone],
        [evaluation_text(item, with_scales=same_kind) for item in everyone],
        ["whole images" if item.window is None else f"{item.window[0]}x{item.window[1]} windows" for item in everyone],
    ):
        if len(set(texts)) > 1 or texts[0].startswith("unknown"):
            yield texts[0], " or ".join(dict.fromkeys(texts[1:]))


def size_text(size: BaseSizeRecord | None) -> str:
    """`short side 520`."""
    if size is None:
        return "unknown image size"
    sides = [f"{name} side {side}" for name, side in (("short", size.short), ("long", size.long)) if side is not None]
    return sides[0] if sides else "images at their own size"


def evaluation_text(protocol: ProtocolRecord, *, with_scales: bool) -> str:
    """`multi-scale and flip`; with scales `multi-scale (0.5, 1) and flip`."""
    text = EVALUATIONS[protocol.evaluation]
    if not with_scales or protocol.scales is None or not text.startswith("multi-scale"):
        return text
    return text.replace("multi-scale", f"multi-scale ({', '.join(f'{scale:g}' for scale in protocol.scales)})")
