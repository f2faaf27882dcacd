"""What keeps a Ray cluster of our own from other users, and the secrets of this process out of any cluster.

Ray opens its ports to the network, creates its folders with mode 0777, keeps its token in a file that everybody can
read, and lets Tune write AWS credentials into a log. Where Ray has no option against it, an attribute of Ray is
replaced, and `tests/orchestrator/running/executors/test_ray_isolation.py` sees the effect.
"""

from __future__ import annotations

import logging
import os
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

from ray._raylet import AuthenticationTokenLoader, Config  # type: ignore[attr-defined] # no types

from orchestrator.redaction import is_secret

__all__ = ["forward_no_secrets", "isolated", "starting"]

TOKEN_FILE = "token"  # noqa: S105 - a name

OWNER_ONLY = 0o077
"""The umask of Ray's processes."""

logger = logging.getLogger(__name__)


@contextmanager
def isolated(folder: Path) -> Iterator[None]:
    """While the cluster lives: it has a token of its own, in `folder`, whatever the user has for other clusters.

    Other users of this machine can reach the ports, and are refused.
    """
    file = os.open(folder / TOKEN_FILE, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(file, "w", encoding="ascii") as written:
        written.write(secrets.token_hex(32))
    own = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": None, "RAY_AUTH_TOKEN_PATH": str(folder / TOKEN_FILE)}
    try:
        with environment(own):
            read_authentication()
            yield
    finally:
        read_authentication()


@contextmanager
def starting() -> Iterator[int]:
    """While the cluster starts: its processes listen on the loopback interface and create files for their owner only.

    Yields the umask of before, which is that of the files of trials.
    """
    before = os.umask(OWNER_ONLY)
    try:
        with on_loopback():
            yield before
    finally:
        os.umask(before)


@contextmanager
def on_loopback() -> Iterator[None]:
    """Let Ray use 127.0.0.1 as the address of a node, which it refuses except where it has no clusters: on macOS.

    A Ray without this constant listens on all interfaces; then its token alone keeps others out, and a line says so.
    """
    constants = private("ray._private.ray_constants")
    if not hasattr(constants, "ENABLE_RAY_CLUSTER"):
        logger.warning("this version of Ray listens on all network interfaces; only its token keeps other users out")
        yield
        return
    with replaced(constants, "ENABLE_RAY_CLUSTER", False):
        yield


def forward_no_secrets() -> None:
    """Let Tune forward no secret variable of this process to workers: it would stand in `runtime_env_agent.log`.

    A Ray without this set has another way to forward variables, and a line says so if there is a secret to forward.
    """
    forwarded = getattr(private("ray.tune.execution.class_cache"), "ENV_VARS_TO_PROPAGATE", None)
    if isinstance(forwarded, set):
        forwarded.difference_update([name for name in forwarded if is_secret(name)])
    elif found := sorted(name for name in os.environ if name.startswith("AWS_") and is_secret(name)):
        logger.warning(
            "this version of Ray may write %s into its logs; unset what trials do not need", ", ".join(found)
        )


def private(module: str) -> Any:
    """A module of Ray that is not public; None where a later version has none of this name."""
    try:
        return import_module(module)
    except ImportError:
        return None


def read_authentication() -> None:
    """Let Ray read RAY_AUTH_* again, which it remembers."""
    Config.initialize("")
    AuthenticationTokenLoader.instance().reset_cache()


@contextmanager
def environment(values: Mapping[str, str | None]) -> Iterator[None]:
    """Set environment variables, or remove those that are None, and restore them."""
    before = {name: os.environ.get(name) for name in values}
    set_environment(values)
    try:
        yield
    finally:
        set_environment(before)


def set_environment(values: Mapping[str, str | None]) -> None:
    """Set environment variables, or remove those that are None."""
    for name, value in values.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


@contextmanager
def replaced(module: Any, name: str, value: Any) -> Iterator[None]:
    """Replace an attribute that exists, and restore it."""
    before = getattr(module, name)
    setattr(module, name, value)
    try:
        yield
    finally:
        setattr(module, name, before)
