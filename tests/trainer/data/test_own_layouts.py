"""Own data in the layouts of public data sets, against the contract of all data sets."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.trainer.data.layouts import LAYOUTS
from trainer.config import DataConfig
from trainer.data import Source, open_source
from trainer.testing.dataset import PairsContract
from trainer.testing.look_alikes import LookAlike


class TestOwnLayouts(PairsContract):
    @pytest.fixture(params=sorted(LAYOUTS))
    def tree(self, request, tmp_path) -> LookAlike:
        layout = LAYOUTS[request.param](tmp_path / "set")
        layout.file.write_text(layout.description)
        return layout.tree

    @staticmethod
    def opened(tree: LookAlike, root: Path | None = None) -> Source:
        file = tree.root.with_name("classes.yaml")
        return open_source(DataConfig(name="folder", root=str(root or tree.root), classes=str(file)))
