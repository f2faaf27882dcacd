"""A folder in which the commands of the pages can be typed: search spaces of the same names, and a finished sweep."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestrator.__main__ import main as orchestrator_main
from orchestrator.sweep import main as sweep_main
from tests.docs.fences import PAGES, PROJECT, fences
from tests.end_to_end.conftest import TINY_RECIPE
from tests.orchestrator.conftest import log_and_draw_nothing
from trainer.testing import look_alikes

SPACE = """
question: Which memory helps?
recipe: ./tiny.yaml
method: ablation
seeds: {seeds}
baseline: w/o contrast
rows:
  w/o contrast: {{contrast.source: none}}
  pixel memory: {{contrast.memory.kind: pixel}}
"""


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory, migrated: Path) -> Iterator[Path]:
    """The folder. `ablation_memory` has had two plans and is finished; CamVid and Cityscapes are small look-alikes."""
    folder = tmp_path_factory.mktemp("typed")
    spaces = folder / "search_spaces"
    spaces.mkdir()
    published = "reports/results/camvid_memory/camvid_memory.zip"
    (folder / published).parent.mkdir(parents=True)
    shutil.copy(PROJECT / published, folder / published)
    shutil.copy(migrated, folder / "mlflow.db")
    (spaces / "tiny.yaml").write_text(TINY_RECIPE, encoding="utf-8")
    (spaces / "recipes").mkdir()
    for name in ("camvid", "cityscapes"):
        getattr(look_alikes, name)(folder / name)
    lite0 = TINY_RECIPE.replace("name: synthetic", "name: camvid\n  absent_classes: allow").replace(
        "  synthetic: {", "  # {"
    )
    (spaces / "recipes" / "camvid_lite0.yaml").write_text(lite0, encoding="utf-8")
    for info, text in (fence for page in PAGES for fence in fences(page)):
        if info.startswith("yaml ") and info.endswith(".yaml"):
            (folder / info.split()[1]).write_text(text, encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        log_and_draw_nothing(patch)  # `sync` below does its work
        for name in [name for name in os.environ if name.startswith("MLFLOW")]:
            patch.delenv(name)
        for name, seeds in (("ablation_memory", 1), ("ablation_memory", 2), ("ablation_sampler", 2)):
            (spaces / f"{name}.yaml").write_text(SPACE.format(seeds=seeds), encoding="utf-8")
            assert sweep_main([f"search_spaces/{name}.yaml", "--executor", "serial"]) == 0
        assert orchestrator_main(["sync"]) == 0
        assert orchestrator_main(["export", "search_spaces/ablation_memory.yaml", "ablation_memory.zip"]) == 0
        yield folder
