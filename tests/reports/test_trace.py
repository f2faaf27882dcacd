"""How a cell was computed, in words and numbers."""

import pytest

from orchestrator.errors import StoreError
from orchestrator.machine.text_table import plain
from reports.trace import trace


def told(results, *given, **named):
    """The trace as it is piped."""
    return "\n".join(plain(trace(results, *given, **named)))


def test_the_arithmetic_is_that_of_the_table(example):
    text = told(example, "pixel memory", "final/miou", {"pixel memory#0": ("run-7", "")})
    assert "mean      (0.4399 + 0.4251 + 0.4311) / 3 = 0.432033" in text
    assert "std       sqrt(0.000110827 / (3 - 1)) = 0.00744401" in text
    assert "shown as  43.20 ± 0.74 (+2.25) %, second" in text
    assert "pairs     seed 0: +0.0294, seed 1: +0.0218, seed 2: +0.0164" in text
    assert "paired t, 0.054 after Holm over 3 comparisons" in text
    assert "power     80% for a difference of 0.037" in text
    assert "mark      mixed code or data" in text
    assert "run-7" in text
    assert "bbbbbbbbbb" in text


def test_gaps_and_shared_trials_are_named(example):
    text = told(example, "region memory", "final/miou")
    assert [line.split() for line in text.splitlines() if line.lstrip().startswith("1 ")] == [
        ["1", "failed", "region", "memory#1", "user", "error"]
    ]
    assert "n         2 of 3 planned seeds" in text
    assert "shared with" not in text
    assert "weight 0" in told(example, "w/o contrast", "final/miou")
    assert "no value: no planned run has one" in told(example, "all | of_it*", "final/miou")


@pytest.mark.parametrize(
    ("row", "metric", "message"),
    [
        ("pixel memry", "final/miou", "no row 'pixel memry'; did you mean 'pixel memory'"),
        ("pixel memory", "final/mio", "no metric 'final/mio'; did you mean 'final/miou'"),
    ],
)
def test_an_unknown_name_is_answered_with_the_closest_one(example, row, metric, message):
    with pytest.raises(StoreError, match=message):
        trace(example, row, metric)
