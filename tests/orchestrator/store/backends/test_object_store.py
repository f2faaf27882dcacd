"""A run directory in an object store: a local S3 server, and the messages for everything that can be wrong."""

import re
import subprocess
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest

from orchestrator.errors import StoreError
from orchestrator.store.backends import Files, open_files
from orchestrator.store.backends.object_store import ObjectFiles
from orchestrator.testing.files import AtomicFilesContract, FilesContract

SECRET = "verysecret"  # noqa: S105 - that of a server in this process


class TestS3(AtomicFilesContract):
    @pytest.fixture
    def files(self, bucket: str) -> Files:
        return open_files(f"{bucket}/runs")


class TestMemory(FilesContract):
    """The same on any other backend of fsspec."""

    @pytest.fixture
    def files(self, memory: str) -> Files:
        return open_files(memory)


def test_a_file_goes_up_and_comes_down_whole(bucket: str, tmp_path: Path) -> None:
    files = open_files(f"{bucket}/runs")
    assert isinstance(files, ObjectFiles)
    (tmp_path / "last.pt").write_bytes(b"weights")
    files.upload(tmp_path / "last.pt", "trials/a/last.pt")
    files.copy("trials/a/last.pt", "trials/a/previous.pt")
    files.copy("trials/a/none.pt", "trials/a/other.pt")
    assert files.sizes("trials/a") == {"last.pt": 7, "previous.pt": 7}
    assert files.download("trials/a/previous.pt", tmp_path / "new" / "last.pt")
    assert not files.download("trials/a/best.pt", tmp_path / "new" / "best.pt")
    assert [(path.name, path.read_bytes()) for path in (tmp_path / "new").iterdir()] == [("last.pt", b"weights")]


def test_a_missing_bucket_is_one_line_for_readers_and_writers(bucket: str) -> None:
    files = open_files("s3://nosuchbucket/runs")
    for action in (
        lambda: files.read("x"),
        lambda: files.names("x"),
        lambda: files.sizes("x"),
        lambda: files.write("x", b""),
        lambda: files.create("x", b""),
    ):
        with pytest.raises(StoreError, match=r"^s3://nosuchbucket/runs: the bucket does not exist; create it, or corr"):
            action()


class Refusing(BaseHTTPRequestHandler):
    """A server that refuses every request and repeats the key in its error."""

    def refuse(self) -> None:
        body = f"<Error><Code>InvalidAccessKeyId</Code><Message>not {SECRET}</Message></Error>".encode()
        self.send_response(403)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_GET = do_HEAD = do_PUT = refuse

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name there
        pass


@pytest.fixture
def refusing(s3_settings: pytest.MonkeyPatch) -> Iterator[None]:
    with HTTPServer(("127.0.0.1", 0), Refusing) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        s3_settings.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.server_port}")
        yield
        server.shutdown()


def test_wrong_credentials_are_one_line_without_the_secret(refusing: None) -> None:
    files = open_files("s3://bucket/runs")
    for action in (lambda: files.read("x"), lambda: files.write("x", b"")):
        with pytest.raises(StoreError) as caught:
            action()
        assert re.search(r"access refused \(\w+\); set credentials that may read and write", str(caught.value))
        assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    "url", [f"s3://AKIA:{SECRET}@bucket/runs", f"ftp://anna:{SECRET}@host/runs", f"s3://bucket/runs?token={SECRET}"]
)
def test_a_password_in_the_url_is_refused_because_records_would_hold_it(url: str) -> None:
    with pytest.raises(StoreError, match=r"must not hold a password; give credentials in the environment") as caught:
        open_files(url)
    assert SECRET not in str(caught.value)


def test_missing_credentials_are_one_line(s3_settings: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        s3_settings.delenv(name)
    s3_settings.setenv("HOME", str(tmp_path))
    with pytest.raises(StoreError, match=r"access refused \(NoCredentialsError\)"):
        open_files("s3://bucket/runs").read("x")


def test_an_endpoint_without_a_server_is_one_line(s3_settings: pytest.MonkeyPatch) -> None:
    s3_settings.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    s3_settings.setenv("AWS_MAX_ATTEMPTS", "1")
    with pytest.raises(
        StoreError, match=r"^s3://bucket/runs: cannot be reached; check the network, and for s3 the end"
    ):
        open_files("s3://bucket/runs").read("x")


def test_a_password_in_the_url_is_in_no_message() -> None:
    with pytest.raises(StoreError) as caught:
        open_files(f"nowhere://user:{SECRET}@host/runs")
    assert str(caught.value).startswith("nowhere://host/runs: ")
    assert SECRET not in str(caught.value)


def test_a_missing_backend_is_one_line_with_the_remedy() -> None:
    code = (
        "import sys; sys.modules['s3fs'] = None\n"
        "from orchestrator.errors import StoreError\nfrom orchestrator.store.backends import open_files\n"
        "try: open_files('s3://bucket/runs')\nexcept StoreError as error: print(error)"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert said == "s3://bucket/runs: s3fs is not installed (pip install 'contrast-sweep[s3]')\n"
