"""JSON text that is wrong in any way is a ValueError, whatever depth the interpreter can bear."""

import json

import pytest

from orchestrator.machine.json_text import MAX_DEPTH, parse_json
from orchestrator.machine.sealed_json import canonical_json, unseal
from orchestrator.store.lock_owner import Owner
from orchestrator.store.point_log import read_line

DEPTHS = [MAX_DEPTH + 1, 500, 900, 950, 980, 990, 1000, 5000, 100_000]


@pytest.mark.parametrize("depth", DEPTHS)
@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"a":', "}")])
@pytest.mark.parametrize("read", [parse_json, unseal, read_line, json.dumps])
def test_deep_values_are_refused_at_every_depth(depth, opening, closing, read):
    text = opening * depth + "1" + closing * depth
    if read is json.dumps:
        assert Owner.from_text(text) is None
        return
    with pytest.raises(ValueError, match="nested too deeply"):
        read(text.encode())


def test_what_is_accepted_can_be_hashed_by_recursion():
    text = '{"a":' * MAX_DEPTH + "1" + "}" * MAX_DEPTH
    assert canonical_json(parse_json(text)) == text.encode()


def test_wide_values_are_not_deep():
    assert len(parse_json(json.dumps([{"a": [1]}] * 1000))) == 1000
    assert parse_json('{"a": [NaN, Infinity]}')["a"][1] == float("inf")


@pytest.mark.parametrize("text", [b"", b"{", b"\xff", b"1" * 5000, b'{"a": 1e5', b"[1,]"])
def test_anything_else_is_a_value_error(text):
    with pytest.raises(ValueError, match="not JSON"):
        parse_json(text)
