"""Each test of data sets has a cache of its own."""

from __future__ import annotations

import pytest

from trainer.data.reading.cache import CACHE_FOLDER


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty one: before an entry is written, all others are looked at, of which these tests write a thousand."""
    monkeypatch.setenv(CACHE_FOLDER, str(tmp_path_factory.mktemp("decoded")))
