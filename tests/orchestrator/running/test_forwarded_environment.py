"""Which environment variables travel, and what is said about those that cannot."""

import pytest

from orchestrator.errors import SweepError
from orchestrator.running.forwarded_environment import forwarded_environment


def test_the_named_variables_travel_with_their_values(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_abcdef")
    monkeypatch.setenv("OTHER_TOKEN", "hush-hush")
    assert forwarded_environment(["HF_TOKEN"]) == {"HF_TOKEN": "hf_abcdef"}
    assert forwarded_environment([]) == {}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("NOT_SET", "--forward-env NOT_SET: not set in this shell; `export NOT_SET`, or leave the option out"),
        ("HF TOKEN", "--forward-env HF TOKEN: not the name of an environment variable, such as HF_TOKEN"),
        (
            "HF_TOKEN=hush-hush",
            (
                "--forward-env HF_TOKEN=...: give only the name, because everybody can read a command line; "
                "`export HF_TOKEN` in this shell, then --forward-env HF_TOKEN"
            ),
        ),
    ],
)
def test_what_cannot_travel_is_one_line_without_a_value(
    given: str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NOT_SET", raising=False)
    with pytest.raises(SweepError) as caught:
        forwarded_environment([given])
    assert str(caught.value) == message
