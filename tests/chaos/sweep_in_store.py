"""SweepInStore: a disturbed sweep whose run directory is in an object store, a server in this process."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tests.chaos.command import Command
from tests.chaos.disturbed_sweep import NAME, DisturbedSweep, sweep_line
from tests.chaos.verifier import Remains

__all__ = ["SweepInStore"]

BUCKET = "chaos"


class SweepInStore(DisturbedSweep):
    """Two drivers can meet here as if on two machines: each has local folders of its own."""

    def __init__(self, folder: Path, mark: str, *, values: Mapping[str, str], seeds: int, more_seeds: int) -> None:
        """Raises ImportError where boto3 or moto is not installed."""
        import boto3
        from moto.server import ThreadedMotoServer

        super().__init__(folder, mark, values=values, seeds=seeds, more_seeds=more_seeds)
        logging.getLogger("werkzeug").setLevel(logging.ERROR)
        self.server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
        self.server.start()
        host, port = self.server.get_host_and_port()
        self.endpoint = f"http://{host}:{port}"
        self.client: Any = boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            region_name="us-east-1",
            aws_access_key_id="somebody",
            aws_secret_access_key="verysecret",  # noqa: S106 - of a server in this process
        )
        self.client.create_bucket(Bucket=BUCKET)
        self.machine = 0

    @property
    def arguments(self) -> tuple[str, ...]:
        return ("--run-dir", f"s3://{BUCKET}/runs", "--out", "out", "--tracking-uri", "sqlite:///mlflow.db")

    def environment(self) -> dict[str, str]:
        scratch = self.folder / f"machine{self.machine}"
        return super().environment() | {
            "AWS_ACCESS_KEY_ID": "somebody",
            "AWS_SECRET_ACCESS_KEY": "verysecret",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_ENDPOINT_URL": self.endpoint,
            "CONTRAST_SWEEP_SCRATCH": str(scratch),
        }

    def second_driver(self) -> Command:
        """The same command on another machine, while the first is still there."""
        self.machine += 1
        line = sweep_line(self.seeds, *self.arguments)
        return Command(line, self.folder, self.environment(), self.folder / f"output{self.machine}.txt")

    def objects(self) -> Iterator[dict[str, Any]]:
        """What the bucket holds."""
        for page in self.client.get_paginator("list_objects_v2").paginate(Bucket=BUCKET):
            yield from page.get("Contents", ())

    def written(self) -> int:
        names = ("points", "attempt_")
        return sum(item["Size"] for item in self.objects() if Path(item["Key"]).name.startswith(names))

    def remains(self) -> Remains:
        copy = self.folder / "copy"
        shutil.rmtree(copy, ignore_errors=True)
        for item in self.objects():
            path = copy / item["Key"]
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(self.client.get_object(Bucket=BUCKET, Key=item["Key"])["Body"].read())
        return Remains(run_dir=copy / "runs", database=self.folder / "mlflow.db", out=self.folder / "out", name=NAME)

    def close(self) -> None:
        """End the server."""
        self.server.stop()
