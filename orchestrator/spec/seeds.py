"""Seeds of a sweep: those of its file or of `--seeds`, and how many runs they make."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from orchestrator.errors import SpecError, shortened
from orchestrator.spec.blocks import Until
from orchestrator.spec.rows import MethodRows
from orchestrator.spec.schema import SearchSpace
from orchestrator.spec.settings import quoted
from orchestrator.spec.validators import seed_list

__all__ = ["SeedChoice", "read_seeds", "seeds_of", "size_mistakes"]

MAX_RUNS = 1_000_000
"""More rows times seeds than this are a typo."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SeedChoice:
    """The seeds that count, and where they are given."""

    values: tuple[int, ...]
    """The first ones, where they grow until decided."""
    until: Until | None
    """None: they do not grow."""
    origin: str
    """`s.yaml:7`, or the option."""

    @classmethod
    def of(cls, space: SearchSpace, given: tuple[int, ...] | None, option: str | int | None) -> SeedChoice:
        """`given` are those of the option `--seeds`; None: it is not given, or is wrong."""
        until = space.seeds if isinstance(space.seeds, Until) else None
        values = tuple(range(space.seeds.first)) if isinstance(space.seeds, Until) else space.seeds
        return cls(
            values=values if given is None else given,
            until=until if option is None else None,
            origin=space.origin("seeds") if option is None else f"--seeds {shortened(str(option))}",
        )

    def mistakes(self, space: SearchSpace, baseline: str | None) -> Iterator[str]:
        """Seeds that grow until rows differ from a baseline that is not there."""
        if self.until is not None and baseline is None and space.is_complete("baseline"):
            yield f"{self.origin}: seeds: until: decided needs a baseline to compare with; add `baseline: LABEL`"


def seeds_of(space: SearchSpace) -> tuple[int, ...] | None:
    """The seeds of the file; None where they grow until decided."""
    return None if isinstance(space.seeds, Until) else space.seeds


def read_seeds(seeds: str | int) -> tuple[int, ...]:
    """The seeds of `--seeds`: a number of repetitions, or a comma-separated list. Raises SpecError."""
    parts = str(seeds).split(",")
    try:
        if not all(part.strip().lstrip("-").isdecimal() for part in parts):
            raise ValueError(
                f"must be a number or comma-separated whole numbers, not {quoted(seeds)}; write for example 3"
            )
        numbers = [int(part) for part in parts]
        return seed_list(numbers[0] if len(numbers) == 1 else numbers)
    except ValueError as error:
        raise SpecError(f"--seeds {shortened(str(seeds))}: seeds: {error}") from error


def size_mistakes(where: str, found: MethodRows, seeds: Sequence[int], runs: int) -> Iterator[str]:
    """More than one seed in a search, and far too many trials; each message begins with `where`.

    `runs` are those of a seed: rows x data sets.
    """
    if found.distributions and len(seeds) > 1:
        text = f"a search trains each trial with one seed, not {len(seeds)}; write `seeds: 1`"
        yield f"{where}: {text}, and repeat the best rows in an ablation"
    if runs * len(seeds) > MAX_RUNS:
        on_data = "" if runs == len(found.rows) else f" x {runs // len(found.rows)} data sets"
        yield f"{where}: {len(found.rows)} rows{on_data} x {len(seeds)} seeds are more than {MAX_RUNS}; use fewer"
