"""DatasetContract: what every data set must do; PairsContract: what a data set of files must do as well.

Inherit one of them and provide the fixture `source` for `DatasetContract`, `tree` for `PairsContract`.
"""

from __future__ import annotations

import hashlib
import os
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from PIL import Image

from trainer.config import DataConfig
from trainer.data import IGNORE_INDEX, Source, open_source, overlap
from trainer.data.census import take_census
from trainer.data.reading.pairs import PairsOnDisk
from trainer.errors import DataError
from trainer.testing.look_alikes import LookAlike

__all__ = ["DatasetContract", "PairsContract", "error_of", "everything"]


def error_of(action: Callable[[], object]) -> str:
    """The one-line message of the DataError that `action` raises."""
    with pytest.raises(DataError) as caught:
        action()
    message = str(caught.value)
    assert "\n" not in message
    return message


def everything(source: Source) -> list[tuple[str, ...]]:
    """Hashes of all pixels of all splits."""
    return [
        (split, *(hashlib.sha256(pixels.tobytes()).hexdigest() for pixels in source.read(split, index)))
        for split in source.splits
        for index in range(source.size(split))
    ]


class DatasetContract:
    """Inherit and provide the fixture `source: Source`."""

    def test_classes_have_names_and_colours_of_their_own(self, source: Source) -> None:
        names, palette = source.class_names, source.palette
        assert 1 < len(names) == len(palette) == len(set(names)) == len(set(palette)) <= IGNORE_INDEX
        assert all(0 <= value <= 255 for colour in palette for value in colour)
        assert not {"void", "ignore", "unlabeled", "unlabelled"} & set(names)

    def test_every_pair_is_8_bit_and_its_ids_are_legal(self, source: Source) -> None:
        for split in source.splits:
            assert source.size(split) == len(source.stems(split)) > 0
            for index in range(source.size(split)):
                image_HW3, label_HW = source.read(split, index)
                assert image_HW3.dtype == label_HW.dtype == np.uint8
                assert image_HW3.shape == (*label_HW.shape, 3)
                assert set(np.unique(label_HW)) <= {*range(len(source.class_names)), IGNORE_INDEX}
                assert not image_HW3.flags.writeable
                assert not label_HW.flags.writeable

    def test_sizes_are_those_of_the_decoded_images(self, source: Source) -> None:
        """Up to their orientation: they say how much memory the decoded split takes."""
        for split in source.splits:
            shapes = [source.read(split, index)[1].shape for index in range(source.size(split))]
            assert [width * height for width, height in source.sizes(split)] == [h * w for h, w in shapes]

    def test_reading_twice_and_in_another_process_gives_the_same(self, source: Source) -> None:
        first = everything(source)
        assert everything(source) == first
        assert everything(pickle.loads(pickle.dumps(source))) == first  # noqa: S301  our own bytes

    def test_examining_shows_what_reading_shows(self, source: Source) -> None:
        for split in source.splits:
            found = list(source.examine(split))
            assert [stem for stem, _ in found] == list(source.stems(split))
            for index, (_, examined) in enumerate(found):
                assert not isinstance(examined, DataError)
                for shown, read in zip(examined.pair, source.read(split, index), strict=True):
                    np.testing.assert_array_equal(shown, read)

    def test_unknown_split_and_pair_are_errors(self, source: Source) -> None:
        message = error_of(lambda: source.size("training"))
        assert all(split in message for split in source.splits)
        split = source.splits[0]
        for index in (-1, source.size(split)):
            with pytest.raises(IndexError):
                source.read(split, index)

    def test_splits_consist_of_disjoint_parts(self, source: Source) -> None:
        for split in source.splits:
            others = [other for other in source.splits if other != split]
            assert source.parts(split) == (split,)
            assert overlap(source, split, split)
            assert not any(overlap(source, split, other) for other in others)
        error_of(lambda: source.parts("training"))

    def test_a_sound_data_set_passes(self, source: Source) -> None:
        source.check_layout()
        census = take_census(source)
        assert set(source.splits) - source.unlabelled <= set(census.splits)
        assert all(split.images > 0 and split.labelled > 0 for split in census.splits.values())

    def test_digest_and_signature_are_stable(self, source: Source) -> None:
        assert len(source.digest()) == 64
        assert source.digest() == source.digest()
        assert source.signature() == source.signature()


class PairsContract(DatasetContract):
    """Inherit and provide the fixture `tree: LookAlike`, fresh for each test.

    A data set that is not in `DATASETS` overrides `opened` as well.
    """

    @pytest.fixture
    def source(self, tree: LookAlike) -> Source:
        return self.opened(tree)

    @staticmethod
    def opened(tree: LookAlike, root: Path | None = None) -> Source:
        """The data set of a tree, or of a copy of it in `root`."""
        return open_source(DataConfig(name=cast(Any, tree.name), root=str(root or tree.root)))

    def test_sizes(self, tree: LookAlike, source: Source) -> None:
        assert {split: source.size(split) for split in tree.sizes} == tree.sizes

    def test_train_is_divided_for_searches(self, source: Source) -> None:
        stems = source.stems("train")
        if len({cast(PairsOnDisk, source).group(stem) for stem in stems}) == 1:
            assert "belong together" in error_of(lambda: source.size("search"))
            return
        rest, search = (set(source.stems(split)) for split in ("train_without_search", "search"))
        assert search
        assert rest
        assert rest.isdisjoint(search)
        assert rest | search == set(stems)
        for split in ("train_without_search", "search"):
            assert source.size(split) == len(source.stems(split))
            assert [stem for stem, _ in source.examine(split)] == list(source.stems(split))
            for index, stem in enumerate(source.stems(split)):
                whole = source.read("train", stems.index(stem))
                for pixels, expected in zip(source.read(split, index), whole, strict=True):
                    np.testing.assert_array_equal(pixels, expected)
            with pytest.raises(IndexError):
                source.read(split, source.size(split))
        assert not overlap(source, "train_without_search", "search")
        assert overlap(source, "train", "search")

    def test_ids_of_the_files_become_the_classes_that_they_mean(self, tree: LookAlike, source: Source) -> None:
        np.testing.assert_array_equal(source.read("train", 0)[1], tree.label_HW)

    def test_digest_does_not_depend_on_place_time_or_other_files(self, tree: LookAlike, tmp_path: Path) -> None:
        source = self.opened(tree)
        copy = shutil.copytree(tree.root, tmp_path / "elsewhere")
        (copy / "README.md").write_text("about")
        for path in copy.rglob("*.*"):
            os.utime(path, (1, 1))
        assert self.opened(tree, copy).digest() == source.digest()
        assert self.opened(tree, copy).signature() != source.signature()

    @pytest.mark.parametrize("part", ["image", "label"])
    def test_a_changed_file_changes_digest_signature_and_what_is_read(self, tree: LookAlike, part: str) -> None:
        source = self.opened(tree)
        before, digest, signature = everything(source), source.digest(), source.signature()
        changed = getattr(tree, part)
        near = (*sorted(changed.parent.iterdir()), *sorted(changed.parent.parent.rglob("*.*")))
        other = next(path for path in near if differs(path, changed))
        shutil.copy(other, changed)
        os.utime(changed, ns=(1, 1))
        source = self.opened(tree)
        assert source.digest() != digest
        assert source.signature() != signature
        if tree.name != "folder":  # its two images differ in size
            assert everything(source) != before

    @pytest.mark.parametrize(("part", "other"), [("image", "label"), ("label", "image")])
    def test_a_missing_file_is_named_with_a_remedy(self, tree: LookAlike, part: str, other: str) -> None:
        source = self.opened(tree)
        source.check_layout()
        getattr(tree, part).unlink()
        message = error_of(source.check_layout)
        assert str(getattr(tree, part)) in message or str(getattr(tree, other)) in message
        assert "add " in message
        assert [stem for stem, found in source.examine("train") if isinstance(found, DataError)] == [""]

    def test_a_missing_folder_is_named_with_the_layout(self, tree: LookAlike) -> None:
        source = self.opened(tree)
        if tree.image.parent == tree.label.parent:  # then neither is missing
            return
        shutil.rmtree(tree.image.parent)
        assert str(tree.image.parent) in error_of(source.check_layout)

    def test_an_illegal_id_is_named_with_the_legal_ones(self, tree: LookAlike) -> None:
        tree.write_illegal(tree.label)
        source = self.opened(tree)
        source.check_layout()
        for action in (lambda: take_census(source), lambda: source.read("train", 0)):
            message = error_of(action)
            assert message.startswith(f"{tree.label}: ")
            assert "label id" in message or "label colour" in message
        found = dict(source.examine("train"))
        first, *others = (isinstance(found[stem], DataError) for stem in source.stems("train"))
        assert first
        assert not any(others)

    @pytest.mark.parametrize("part", ["image", "label"])
    def test_a_damaged_file_is_named(self, tree: LookAlike, part: str) -> None:
        path = getattr(tree, part)
        path.write_bytes(path.read_bytes()[:50])
        source = self.opened(tree)
        assert error_of(lambda: source.read("train", 0)).startswith(f"{path}: cannot be decoded")
        assert isinstance(dict(source.examine("train"))[source.stems("train")[0]], DataError)

    def test_a_label_of_another_size_is_named(self, tree: LookAlike) -> None:
        with Image.open(tree.image) as image:
            image.resize((13, 9)).save(tree.image)
        assert "but " in error_of(lambda: take_census(self.opened(tree)))


def differs(path: Path, changed: Path) -> bool:
    """Whether `path` can replace `changed`: the same kind of file with other bytes."""
    ending = changed.name.rpartition("_")[2] if changed.name.count("_") > 2 else changed.suffix
    same_kind = path.name.endswith(ending) and "_labelTrainIds" not in path.name
    return same_kind and path.read_bytes() != changed.read_bytes()
