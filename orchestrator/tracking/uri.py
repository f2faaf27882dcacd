"""Secrets out of what is printed or kept: passwords in addresses, and those the environment holds for MLflow."""

from __future__ import annotations

import os
import re

__all__ = ["SECRETS", "masked", "without_password"]

SECRETS = ("MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_TOKEN")
"""Variables of the environment whose values nobody may read."""

CREDENTIALS = re.compile(r"(?<=://)[^\s/?#'\"]*@")


def without_password(uri: str) -> str:
    """The address without the credentials that some people write into it."""
    return CREDENTIALS.sub("", uri)


def masked(text: str) -> str:
    """`text` without credentials in addresses and without MLflow's password."""
    text = without_password(text)
    for name in SECRETS:
        if secret := os.environ.get(name):
            text = text.replace(secret, "***")
    return text
