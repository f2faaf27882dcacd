"""Keeps secrets out of what is printed or stored: those of addresses, and the values of environment variables."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from urllib.parse import unquote

from orchestrator.machine.one_line import in_one_line

__all__ = ["has_password", "is_secret", "one_line", "redacted", "without_password"]

HIDDEN = "***"

WORDS = {
    "APIKEY",
    "CREDENTIAL",
    "CREDENTIALS",
    "KEY",
    "PASS",
    "PASSPHRASE",
    "PASSWD",
    "PASSWORD",
    "PAT",
    "SECRET",
    "TOKEN",
}
"""A variable is secret if one of these is a word of its name: AWS_SECRET_ACCESS_KEY."""

ALSO_SECRET = {"MLFLOW_TRACKING_USERNAME"}

PLACES = {"DIR", "FILE", "PATH"}
"""Last words of variables that say where a secret is: RAY_AUTH_TOKEN_PATH."""

SHORTEST = 6
"""Shorter values, such as `1`, occur in any text and are not replaced."""

ADDRESS = re.compile(r"(?P<scheme>[a-zA-Z][a-zA-Z0-9+.-]*)://(?P<rest>[^\s'\"<>]+)")

USER_INFO = re.compile(r"[^/?#]*@")
DATABASE_USER_INFO = re.compile(r"[^:/@]*:[^@]*@|[^/?#]*@")
"""SQLAlchemy ends a password at the @ only: it may hold a slash or a question mark."""

PARAMETER = re.compile(
    r"(?<=[?&;])(?P<name>[\w.-]*(?:pass|pwd|secret|token|credential|signature|api_?key|access_?key)[\w.-]*|key|sig|auth)"
    r"=[^&;#\s'\"]*",
    re.IGNORECASE,
)
"""A secret in the query of an address: `?sslpassword=`, `&token=`, `&sig=`."""


def is_secret(name: str) -> bool:
    """Whether an environment variable of this name holds a secret."""
    words = name.upper().split("_")
    return name in ALSO_SECRET or (not WORDS.isdisjoint(words) and words[-1] not in PLACES)


def without_password(text: str) -> str:
    """`text` with all addresses in it, without user names, passwords, and secrets in their queries."""
    return PARAMETER.sub(rf"\g<name>={HIDDEN}", ADDRESS.sub(without_user_info, text))


def has_password(address: str) -> bool:
    """Whether `address` holds a password: before its host, or in its query."""
    return bool(re.match(r"[\w+.-]+://[^/?#]*:[^/?#]*@", address)) or PARAMETER.search(address) is not None


def redacted(text: str, environment: Mapping[str, str] | None = None) -> str:
    """`text` without the secrets of addresses and without those of the environment (default: of this process)."""
    for secret in sorted(set(secrets_of(os.environ if environment is None else environment)), key=len, reverse=True):
        text = text.replace(secret, HIDDEN)
    return without_password(text)


def one_line(text: object) -> str:
    """A text, or what an exception says, in one line without secrets."""
    return redacted(in_one_line(text))


def secrets_of(environment: Mapping[str, str]) -> Iterator[str]:
    """The values of secret variables, and the passwords in the addresses of all others."""
    for name, value in environment.items():
        found = [value] if is_secret(name) else list(passwords_of(value))
        yield from (secret for secret in found if len(secret) >= SHORTEST)


def passwords_of(value: str) -> Iterator[str]:
    """The passwords in the addresses of a text, as they are written and decoded."""
    for address in ADDRESS.finditer(value):
        user_info = user_info_of(address)
        _, _, password = user_info.rstrip("@").partition(":")
        queries = [found[0].partition("=")[2] for found in PARAMETER.finditer(address[0])]
        for secret in filter(None, [password, *queries]):
            yield from {secret, unquote(secret)}


def without_user_info(address: re.Match[str]) -> str:
    """An address without user name and password."""
    return f"{address['scheme']}://{address['rest'][len(user_info_of(address)) :]}"


def user_info_of(address: re.Match[str]) -> str:
    """`user:password@` of an address, or empty."""
    pattern = USER_INFO if address["scheme"].lower() in ("http", "https") else DATABASE_USER_INFO
    found = pattern.match(address["rest"])
    return found[0] if found else ""
