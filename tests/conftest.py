"""What all tests share: nothing of theirs is left in the user's cache of decoded images."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from trainer.data.cache import CACHE_FOLDER


@pytest.fixture(scope="session", autouse=True)
def private_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A cache of decoded images for this run alone; processes that tests start inherit it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(os.environ, CACHE_FOLDER, str(tmp_path_factory.mktemp("decoded")))
        yield
