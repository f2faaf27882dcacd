"""exca: a method whose results are cached on disk, computed by a pool of processes."""

from collections.abc import Iterator, Sequence

import exca
import pydantic

from benchmarks.peers.work import SLOTS, TRIALS, train, unread


class Experiment(pydantic.BaseModel):
    """All trials; those with a cached result do not run again."""

    infra: exca.MapInfra = exca.MapInfra(
        folder="cache", cluster="processpool", max_jobs=SLOTS, min_samples_per_job=TRIALS // SLOTS
    )

    @infra.apply(item_uid=str)
    def scores(self, trials: Sequence[int]) -> Iterator[float]:
        """The score of each of `trials`."""
        for trial in trials:
            yield train(trial, unread)


if __name__ == "__main__":
    from benchmarks.peers import exca_map  # its processes find the class there

    print(max(exca_map.Experiment().scores(range(TRIALS))))
