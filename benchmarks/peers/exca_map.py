"""exca: a method whose results are cached on disk, computed by a pool of processes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import exca
import pydantic

from benchmarks.peers.work import SLOTS, TRIALS, train


class Experiment(pydantic.BaseModel):
    """All trials; those with a cached result do not run again."""

    infra: exca.MapInfra = exca.MapInfra(folder="cache", cluster="processpool", max_jobs=SLOTS)

    @infra.apply(item_uid=str)
    def scores(self, trials: Sequence[int]) -> Iterator[float]:
        """The score of each of `trials`."""
        for trial in trials:
            yield train(trial, lambda step, score: None)


if __name__ == "__main__":
    print(max(Experiment().scores(range(TRIALS))))
