"""Why Ray has ended a process: a short line of ours for what is known, and the original in the log."""

from __future__ import annotations

import logging

import pytest

from orchestrator.running.executors.losses import MOST_CHARACTERS, cause_of_end

GCS = "Ray's GCS server died or cannot be reached"
RAYLET = "Ray's raylet died or cannot be reached"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            (
                "Failed to connect to GCS within 60 s. GCS may have been killed. It's either GCS is terminated by "
                "`ray stop` or is killed unexpectedly. If it is killed unexpectedly, see the log file gcs_server.out."
            ),
            GCS,
        ),
        ("(raylet) Lost connection to the GCS server at 127.0.0.1:6379", GCS),
        ("gcs_rpc_client.h:152: Check failed: absl::ToInt64Seconds(...)", GCS),
        ("Check failed: status.ok() IOError: Failed to register worker to Raylet: End of file", RAYLET),
        ("The raylet exited before this process", RAYLET),
    ],
)
def test_what_ray_says_when_a_process_is_gone_is_a_short_line_and_stays_in_the_log(
    text: str, expected: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        assert cause_of_end(text) == expected
    assert text in caplog.text


def test_anything_else_is_shown_as_it_is(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        assert cause_of_end("Fatal Python error: Segmentation fault") == "Fatal Python error: Segmentation fault"
        assert len(cause_of_end("x" * 1000)) == MOST_CHARACTERS + len(" ...")
    assert caplog.messages == []
