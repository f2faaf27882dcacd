"""What a trainer reports becomes Python's own numbers and texts, or is refused with the metric's name."""

from typing import Any

import numpy as np
import pytest
import torch

from orchestrator.running.plain_values import plain_numbers, plain_texts


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        (3, 3),
        (0.5, 0.5),
        (True, 1),
        (np.float32(0.5), 0.5),
        (np.int64(3), 3),
        (np.array(0.5), 0.5),
        (torch.tensor(3), 3),
        (torch.tensor(0.5, requires_grad=True), 0.5),
    ],
)
def test_numbers_of_any_library_become_pythons_own(value: Any, plain: float) -> None:
    (found,) = plain_numbers({"final/accuracy": value}).values()
    assert found == plain
    assert type(found) is type(plain)


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("0.5", "is of type str"),
        (None, "is of type NoneType"),
        ([0.5], "is of type list"),
        (torch.tensor([0.5, 0.5]), "is of type Tensor"),
        (np.array([0.5, 0.5]), "is of type ndarray"),
    ],
)
def test_what_is_no_number_is_refused_by_name(value: Any, reason: str) -> None:
    with pytest.raises(TypeError, match=f"metric final/accuracy {reason}.*; report a number"):
        plain_numbers({"final/accuracy": value})


def test_facts_become_texts() -> None:
    facts = plain_texts({"torch": torch.__version__, "cudnn": 90100})
    assert {type(text) for text in facts.values()} == {str}
    assert facts["cudnn"] == "90100"
