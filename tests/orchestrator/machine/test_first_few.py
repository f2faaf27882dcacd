"""Many texts in one line: the first ones in full, the others counted."""

import pytest

from orchestrator.machine.first_few import first_few


@pytest.mark.parametrize(
    ("texts", "most", "separator", "expected"),
    [
        ([], 2, ", ", ""),
        (["a", "b"], 2, ", ", "a, b"),
        (["a", "b", "c", "d"], 2, ", ", "a, b and 2 more"),
        (["a", "b", "c"], 2, "; ", "a; b; and 1 more"),
        (["a", "b", "c"], 1, ", ", "a and 2 more"),
    ],
)
def test_the_first_are_named_and_the_others_counted(texts, most, separator, expected):
    assert first_few(texts, most, separator) == expected
