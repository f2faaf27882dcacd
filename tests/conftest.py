"""What all tests share: a cache of decoded images of their own, and a cuBLAS that may be deterministic."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from trainer.data.reading.cache import CACHE_FOLDER

# torch looks at it once in a process, before the first product on a CUDA device: later a test cannot ask for it.
os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")


@pytest.fixture(scope="session", autouse=True)
def private_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A cache of decoded images for this run alone; processes that tests start inherit it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(os.environ, CACHE_FOLDER, str(tmp_path_factory.mktemp("decoded")))
        yield
