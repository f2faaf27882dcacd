"""Shared by all tests: one thread a process, a separate cache of decoded images, a cuBLAS that can be deterministic."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from trainer.data.reading.cache import CACHE_FOLDER

# Threads that wait for each other take ten times as long when other processes use the cores. torch reads it when it is
# imported, and processes that tests start inherit it.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# torch reads it once per process, before the first product on a CUDA device, so a test cannot set it later.
os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")


@pytest.fixture(scope="session", autouse=True)
def private_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A cache of decoded images for this test run, which processes that tests start inherit."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(os.environ, CACHE_FOLDER, str(tmp_path_factory.mktemp("decoded")))
        yield
