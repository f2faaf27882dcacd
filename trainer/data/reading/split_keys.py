"""The key `splits` of a description: folders, lists or shares."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping

from trainer.data.reading.membership import Folders, Lists, Shares, Splits
from trainer.data.reading.path_pattern import PathPattern
from trainer.data.reading.yaml_file import Block, Node, shown

__all__ = ["read_splits"]

SPLIT_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")
LIST_ENDINGS = (".txt", ".lst")


def read_splits(nodes: Mapping[str, Node], images: PathPattern) -> Splits:
    """`splits` of a description with these keys. Raises DataError."""
    node = nodes.get("splits")
    if node is None:
        if not images.has("split"):
            raise nodes["images"].error(
                "images: has no {split}, and there are no splits; add for example "
                "`splits: {train: 0.8, val: 0.1, test: 0.1, seed: 0}`",
            )
        return Folders({})
    if isinstance(node.value, tuple):
        return of_folders(node, images, {split_name(item): str(item.value) for item in node.value})
    if not isinstance(node.value, Block) or not node.value.entries:
        raise node.error(f"splits: {shown(node)} is no list and no block; write for example [train, val]")
    entries = {split_name(key): item for key, item in node.value if key.value != "seed"}
    seeds = [item for key, item in node.value if key.value == "seed"]
    kinds = {kind_of_split(item) for item in entries.values()}
    if len(kinds) != 1 or "" in kinds:
        raise node.error(
            "splits: must be all folders, all lists (files.txt or [stems]) or all shares; write for example "
            "{train: 0.8, val: 0.2}"
        )
    (kind,) = kinds
    if seeds and kind != "share":
        raise seeds[0].error("splits: seed is for shares only; remove it")
    if kind == "folder":
        return of_folders(node, images, {split: str(item.value) for split, item in entries.items()})
    if images.has("split"):
        raise node.error(f"splits: {kind}s choose among all images, but images has {{split}}; write * there")
    if kind == "list":
        return Lists({split: stems(item) for split, item in entries.items()})
    return of_shares(node, entries, seeds)


def of_folders(node: Node, images: PathPattern, names: Mapping[str, str]) -> Folders:
    """Splits that are folders."""
    if not images.has("split"):
        raise node.error("splits: folders, but images has no {split}; write {split} where the folder stands")
    if not names or any("/" in folder for folder in names.values()):
        raise node.error("splits: a folder is one name, without slashes; write the rest into images")
    return Folders(dict(names))


def of_shares(node: Node, entries: Mapping[str, Node], seeds: list[Node]) -> Shares:
    """Splits that are shares."""
    shares = {split: float(item.value) for split, item in entries.items()}  # type: ignore[arg-type]
    if any(not 0 < share <= 1 for share in shares.values()) or not math.isclose(sum(shares.values()), 1, abs_tol=1e-6):
        raise node.error(f"splits: shares must be above 0 and add up to 1, not {sum(shares.values()):g}; correct them")
    seed = seeds[0].value if seeds else 0
    if not isinstance(seed, int) or isinstance(seed, bool) or seed < 0:
        raise seeds[0].error(f"splits: seed {shown(seeds[0])} is not a whole number from 0; write for example 0")
    return Shares(shares, seed)


def split_name(node: Node) -> str:
    """The name of a split."""
    if not isinstance(node.value, str) or not SPLIT_NAME.fullmatch(node.value):
        raise node.error(f"splits: {shown(node)} is not the name of a split; use letters, digits, _ - and .")
    if node.value == "trainval":
        raise node.error("splits: trainval is made of train and val by itself; remove it")
    return node.value


def stems(node: Node) -> str | tuple[str, ...]:
    """A list file, or the stems."""
    if isinstance(node.value, str):
        return node.value
    items = node.items("splits", "[a, b]")
    if any(
        not isinstance(item.value, str | int) or isinstance(item.value, bool) or not str(item.value).strip()
        for item in items
    ):
        raise node.error(f"splits: {shown(node)} is no list of stems; write for example [a, b]")
    return tuple(str(item.value) for item in items)


def kind_of_split(node: Node) -> str:
    """`folder`, `list` or `share`; empty for anything else."""
    if isinstance(node.value, tuple):
        return "list"
    if isinstance(node.value, int | float) and not isinstance(node.value, bool):
        return "share"
    if isinstance(node.value, str) and node.value:
        return "list" if node.value.endswith(LIST_ENDINGS) else "folder"
    return ""
