"""Opening data sets by name, without torch."""

from __future__ import annotations

import subprocess
import sys

import pytest

from trainer.config import DataConfig, SyntheticConfig
from trainer.data import DATASETS, IGNORE_INDEX, open_source
from trainer.errors import DataError


def test_importing_and_reading_data_leaves_torch_alone():
    code = (
        "import sys, trainer.data as data; from trainer.config import DataConfig;"
        "data.open_source(DataConfig()).read('train', 0);"
        "print(sorted(m for m in ('torch', 'torchvision') if m in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("name", sorted(DATASETS))
def test_every_data_set_opens(name, tmp_path):
    (tmp_path / "classes.yaml").write_text("names: [road, sky]\n")  # for `folder`
    source = open_source(DataConfig(name=name, root=str(tmp_path)))
    assert len(source.class_names) == len(source.palette) == len(set(source.class_names)) == len(set(source.palette))
    assert len(source.class_names) <= IGNORE_INDEX
    assert all(0 <= value <= 255 for colour in source.palette for value in colour)


def test_synthetic_follows_its_config():
    assert open_source(DataConfig(synthetic=SyntheticConfig(train_images=5))).size("train") == 5


def test_missing_folder_names_it_and_the_remedy(tmp_path):
    with pytest.raises(DataError) as caught:
        open_source(DataConfig(name="camvid", root=str(tmp_path / "nowhere")))
    assert str(caught.value) == f"{tmp_path}/nowhere: no such folder; set `data.root` to the folder of 'camvid'"


def test_no_folder_and_unknown_name():
    with pytest.raises(DataError, match=r"data\.root: 'camvid' needs its folder"):
        open_source(DataConfig(name="camvid"))
    with pytest.raises(DataError, match="unknown data set 'kitti'; choose ade20k, camvid, cityscapes, "):
        open_source(DataConfig(name="kitti"))
