"""ObjectFiles: a run directory in an object store, through fsspec. The one place that imports fsspec."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

from orchestrator.errors import StoreError
from orchestrator.store.backends.base import at_once
from orchestrator.store.backends.local import PARTIAL

__all__ = ["ObjectFiles"]

T = TypeVar("T")

REQUESTS = 32
"""At the same time, where many files are asked for."""

THERE = "there"
"""Stamp of a file whose folder is there."""

REFUSED = {"NoCredentialsError", "PartialCredentialsError", "CredentialRetrievalError", "ProfileNotFound"}
UNREACHABLE = {"EndpointConnectionError", "ConnectTimeoutError", "ReadTimeoutError", "ConnectionClosedError"}


class ObjectFiles:
    """Files of a run directory named by a URL (`Files`). An object is put whole or not."""

    remote = True

    def __init__(self, url: str) -> None:
        """Raises StoreError for a URL that fsspec does not know, or whose backend is not installed."""
        self.name = re.sub(r"//[^/@]*@", "//", url)
        scheme = url.partition("://")[0]
        import fsspec

        try:
            # a listing of another moment is worth nothing: other machines write here
            self.system, self.root = fsspec.core.url_to_fs(url, use_listings_cache=False)
        except ImportError as error:
            package = "s3fs" if scheme.startswith("s3") else f"fsspec's backend for {scheme}"
            extra = " (pip install 'contrast-sweep[s3]')" if package == "s3fs" else ""
            raise StoreError(f"{self.name}: {package} is not installed{extra}") from error
        except ValueError as error:
            raise StoreError(
                f"{self.name}: no storage is known by {scheme}://; give a folder, or a URL such as s3://bucket/runs"
            ) from error
        self.root = self.root.rstrip("/")

    def path(self, key: str) -> str:
        """Where fsspec finds `key`."""
        return f"{self.root}/{key}"

    def read(self, key: str, start: int = 0) -> bytes | None:
        """Content of an object from byte `start`; None when there is no object."""
        content: bytes | None = self.unless_missing(lambda: self.system.cat_file(self.path(key)), None)
        return content[start:] if content else content

    def read_all(self, keys: Sequence[str]) -> list[bytes | None]:
        """Content of many objects, many at a time."""
        return at_once(self.read, keys, threads=REQUESTS)

    def names(self, folder: str) -> list[str]:
        """Names directly in `folder`."""
        prefix = self.path(folder)
        found: list[str] = self.unless_missing(lambda: self.system.ls(prefix, detail=False), [])
        return [name for path in found if (name := path.rstrip("/").removeprefix(prefix).lstrip("/"))]

    def names_all(self, folders: Sequence[str]) -> list[list[str]]:
        """Names directly in many folders, many at a time."""
        return at_once(self.names, folders, threads=REQUESTS)

    def sizes(self, folder: str) -> dict[str, int]:
        """Bytes of all objects below `folder`."""
        prefix = self.path(folder)
        found: dict[str, Any] = self.unless_missing(lambda: self.system.find(prefix, detail=True), {})
        return {path.removeprefix(prefix).lstrip("/"): entry["size"] or 0 for path, entry in found.items()}

    def stamps(self, keys: Sequence[str]) -> list[str | None]:
        """Whether the folder around each object is there; the folders around those are listed once."""
        folders = [key.rpartition("/")[0].rpartition("/") for key in keys]
        parents = {parent for parent, _, _ in folders}
        there = {(parent, name) for parent in parents for name in self.names(parent)}
        return [THERE if (parent, name) in there else None for parent, _, name in folders]

    def write(self, key: str, content: bytes) -> None:
        """Put an object."""
        with self.requests():
            self.system.pipe_file(self.path(key), content)

    def create(self, key: str, content: bytes) -> bool:
        """Put an object on condition that there is none; a store that ignores conditions overwrites."""
        with self.requests():
            try:
                self.system.pipe_file(self.path(key), content, mode="create")
            except FileExistsError:
                return False
            except Exception as error:
                if code_of(error) in ("PreconditionFailed", "ConditionalRequestConflict"):
                    return False
                raise
        return True

    def delete(self, key: str) -> None:
        """Remove an object."""
        with self.requests(), suppress(FileNotFoundError):
            self.system.rm_file(self.path(key))

    def delete_folder(self, folder: str) -> None:
        """Remove all objects below `folder`."""
        with self.requests(), suppress(FileNotFoundError):
            self.system.rm(self.path(folder), recursive=True)

    def upload(self, path: Path, key: str) -> None:
        """Put a file of this machine."""
        with self.requests():
            self.system.put_file(str(path), self.path(key))

    def download(self, key: str, path: Path) -> bool:
        """Get an object as a file, whole or not at all; False when there is none."""
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f"{path.name}{PARTIAL}")

        def get() -> bool:
            self.system.get_file(self.path(key), str(partial))
            return True

        try:
            if not self.unless_missing(get, False):
                return False
            partial.replace(path)
            return True
        finally:
            partial.unlink(missing_ok=True)

    def copy(self, source: str, target: str) -> None:
        """Copy an object within the store, if it is there."""

        def copy_object() -> None:
            self.system.cp_file(self.path(source), self.path(target))

        self.unless_missing(copy_object, None)

    def unless_missing(self, action: Callable[[], T], missing: T) -> T:
        """What `action` returns; `missing` when it finds no such object (a missing bucket is an error)."""
        with self.requests():
            try:
                return action()
            except FileNotFoundError as error:
                if code_of(error) == "NoSuchBucket":
                    raise
                return missing

    @contextmanager
    def requests(self) -> Iterator[None]:
        """Turn whatever a backend raises into one line that names no secret: its own words may hold one."""
        try:
            yield
        except Exception as error:
            raise StoreError(f"{self.name}: {explain(error)}") from error


def causes(error: BaseException | None) -> Iterator[BaseException]:
    """An exception and those it came from."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def code_of(error: BaseException) -> str:
    """The server's own code for what went wrong, as botocore keeps it; empty where there is none."""
    for cause in causes(error):
        response = getattr(cause, "response", None)
        if isinstance(response, dict):
            return str(response.get("Error", {}).get("Code", ""))
    return ""


def explain(error: BaseException) -> str:
    """What went wrong and what to do."""
    code, kinds = code_of(error), {type(cause).__name__ for cause in causes(error)}
    if code == "NoSuchBucket":
        return "there is no such bucket; create it, or correct --run-dir"
    if isinstance(error, PermissionError) or kinds & REFUSED:
        return (
            f"access refused ({code or type(error).__name__}); give credentials that may read and write there, "
            "for s3 in AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY or a profile"
        )
    if isinstance(error, ConnectionError | TimeoutError) or kinds & UNREACHABLE:
        return "cannot be reached; check the network, and for s3 the endpoint (AWS_ENDPOINT_URL)"
    return f"cannot be read or written ({code or type(error).__name__})"
