"""ObjectFiles: a run directory in an object store, through fsspec; the only file that imports fsspec."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from orchestrator.errors import StoreError
from orchestrator.machine.atomic_file import partial_file
from orchestrator.redaction import has_password, without_password
from orchestrator.store.backends.base import Files
from orchestrator.store.bounded_file import most_bytes, require_size

__all__ = ["ObjectFiles"]

REFUSED = {"NoCredentialsError", "PartialCredentialsError", "CredentialRetrievalError", "ProfileNotFound"}
UNREACHABLE = {"EndpointConnectionError", "ConnectTimeoutError", "ReadTimeoutError", "ConnectionClosedError"}


class ObjectFiles(Files):
    """The `Files` of a run directory that is named by a URL. An object is always written whole."""

    remote = True

    def __init__(self, url: str) -> None:
        """Raises StoreError for a URL with a password, that fsspec does not know, or whose backend is not installed."""
        self.name = without_password(url)
        if has_password(url):  # workers get the URL, and records name it
            raise StoreError(
                f"{self.name}: the URL of a run directory must not hold a password; give credentials in the "
                "environment, for s3 in AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or in fsspec's configuration"
            )
        scheme = url.partition("://")[0]
        import fsspec

        try:
            # no cached listings: other machines write here too
            self.system, self.root = fsspec.core.url_to_fs(url, use_listings_cache=False)
        except ImportError as error:
            package = "s3fs" if scheme.startswith("s3") else f"fsspec's backend for {scheme}"
            extra = " (pip install 'contrast-sweep[s3]')" if package == "s3fs" else ""
            raise StoreError(f"{self.name}: {package} is not installed{extra}") from error
        except ValueError as error:
            raise StoreError(
                f"{self.name}: unknown kind of storage {scheme}://; give a folder, or a URL such as s3://bucket/runs"
            ) from error
        self.root = self.root.rstrip("/")

    def path(self, key: str) -> str:
        """Path of the object behind `key`, as fsspec names it."""
        return f"{self.root}/{key}"

    def read(self, key: str, start: int = 0) -> bytes | None:
        """Content of an object from byte `start`; None when there is no object. Raises DamagedError if it is too large.

        No more is fetched than an object of its kind can have.
        """
        content: bytes | None = self.unless_missing(None, self.fetch, self.path(key), end=most_bytes(key) + 1)
        if content is not None:
            require_size(f"{self.name}/{key}", len(content))
        return content[start:] if content else content

    def fetch(self, path: str, *, end: int) -> bytes:
        """Content of an object up to byte `end`."""
        try:
            content: bytes = self.system.cat_file(path, start=0, end=end)
        except Exception as error:
            if code_of(error) == "InvalidRange":  # S3's answer for an empty object
                return b""
            raise
        return content

    def names(self, folder: str) -> list[str]:
        """Names directly in `folder`."""
        prefix = self.path(folder)
        found: list[str] = self.unless_missing([], self.system.ls, prefix, detail=False)
        return [name for path in found if (name := path.rstrip("/").removeprefix(prefix).lstrip("/"))]

    def sizes(self, folder: str) -> dict[str, int]:
        """Sizes of all objects below `folder`."""
        prefix = self.path(folder)
        found: dict[str, Any] = self.unless_missing({}, self.system.find, prefix, detail=True)
        return {path.removeprefix(prefix).lstrip("/"): entry["size"] or 0 for path, entry in found.items()}

    def stamps(self, keys: Sequence[str]) -> list[str | None]:
        """Whether the folder of each object exists; the parents of the folders are listed once."""
        folders = [key.rpartition("/")[0].rpartition("/") for key in keys]
        parents = {parent for parent, _, _ in folders}
        existing = {(parent, name) for parent in parents for name in self.names(parent)}
        # `there` is part of a file format (`parquet_cache`)
        return ["there" if (parent, name) in existing else None for parent, _, name in folders]

    def write(self, key: str, content: bytes, *, private: bool = False) -> None:
        """Write an object; who may read it is the store's to say."""
        with self.requests():
            self.system.pipe_file(self.path(key), content)

    def create(self, key: str, content: bytes) -> bool:
        """Write an object on the condition that there is none; a store that ignores conditions overwrites it."""
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
        """Write a local file to an object."""
        with self.requests():
            self.system.put_file(str(path), self.path(key))

    def download(self, key: str, path: Path) -> bool:
        """Write an object to a local file, whole or not at all; False when it is missing."""
        path.parent.mkdir(parents=True, exist_ok=True)
        with partial_file(path) as partial:
            if self.unless_missing(False, self.system.get_file, self.path(key), str(partial)) is False:
                return False
            partial.replace(path)
            return True

    def copy(self, source: str, target: str) -> None:
        """Copy an object within the store, if it exists."""
        self.unless_missing(None, self.system.cp_file, self.path(source), self.path(target))

    def unless_missing(self, missing: Any, request: Callable[..., Any], *arguments: str, **options: int) -> Any:
        """What `request` returns; `missing` when there is no such object. A missing bucket is an error."""
        with self.requests():
            try:
                return request(*arguments, **options)
            except FileNotFoundError as error:
                if code_of(error) == "NoSuchBucket":
                    raise
                return missing

    @contextmanager
    def requests(self) -> Iterator[None]:
        """Turn what a backend raises into a StoreError of one line; the backend's own message may contain a secret."""
        try:
            yield
        except Exception as error:
            raise StoreError(f"{self.name}: {explain(error)}") from error


def causes(error: BaseException | None) -> Iterator[BaseException]:
    """An exception and its causes."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def code_of(error: BaseException) -> str:
    """The server's error code, as botocore keeps it; empty where there is none."""
    for cause in causes(error):
        response = getattr(cause, "response", None)
        if isinstance(response, dict):
            return str(response.get("Error", {}).get("Code", ""))
    return ""


def explain(error: BaseException) -> str:
    """What is wrong and what to do about it."""
    code, kinds = code_of(error), {type(cause).__name__ for cause in causes(error)}
    if code == "NoSuchBucket":
        return "the bucket does not exist; create it, or correct --run-dir"
    if isinstance(error, PermissionError) or kinds & REFUSED:
        return (
            f"access refused ({code or type(error).__name__}); set credentials that may read and write there, "
            "for s3 in AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY or in a profile; nodes of a cluster have their own "
            "unless --forward-env names the variables"
        )
    if isinstance(error, ConnectionError | TimeoutError) or kinds & UNREACHABLE:
        return (
            "cannot be reached; check the network, and for s3 the endpoint (AWS_ENDPOINT_URL), which workers of a "
            "cluster have only if --forward-env names it"
        )
    return f"cannot be read or written ({code or type(error).__name__})"
