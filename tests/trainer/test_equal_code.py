"""The trainer's code is in the list of equal code, or RESULT_VERSION has been raised."""

from __future__ import annotations

from trainer.code_digest import present_code
from trainer.config import RESULT_VERSION
from trainer.equal_code import EQUAL_CODE, EQUAL_RESULT_VERSION


def test_the_list_is_that_of_this_result_version() -> None:
    assert EQUAL_RESULT_VERSION == RESULT_VERSION, "start its list: python -m trainer.golden --new-version"


def test_the_present_code_is_listed_as_equal_to_the_first_of_this_version() -> None:
    assert EQUAL_CODE, "the list is empty: python -m trainer.golden --new-version"
    assert present_code() in EQUAL_CODE[0], (
        "the code has changed: show that no figure has (python -m trainer.golden HEAD), or raise RESULT_VERSION"
    )
