"""A sweep in a shell full of secrets: afterwards, and while it runs, none of them stands anywhere.

All bytes are searched of Ray's folder, the run directory, MLflow's database and artifacts, the tables, the temporary
and home folders, standard output and error, and the command lines of all processes.
"""

import base64
import gzip
import io
import os
import secrets
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import pyarrow.parquet
import pytest

from tests.end_to_end.conftest import PROJECT, TINY_RECIPE, attempts, environment

pytestmark = pytest.mark.slow  # starts a Ray cluster

VARIABLES = (
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_SECURITY_TOKEN",
    "MLFLOW_TRACKING_USERNAME",
    "MLFLOW_TRACKING_PASSWORD",
    "MLFLOW_TRACKING_TOKEN",
    "HF_TOKEN",
    "WANDB_API_KEY",
    "GITHUB_TOKEN",
    "GOOGLE_API_KEY",
    "RAY_AUTH_TOKEN",
    "RAY_REDIS_PASSWORD",
    "OTHER_SECRET",
)
"""Variables whose value is a secret; those below have one in an address."""

SPACE = """
name: leaky
recipe: ./tiny_recipe.yaml
method: ablation
seeds: 1
rows:
  fails: {contrast.source: none, schedule.steps: 5}
  waits: {contrast.source: none, schedule.steps: 6}
"""

HOOK = """
import os, sys, time
from pathlib import Path
from tests.end_to_end import mishaps

def wrap(module):
    train = module.train
    def told(config, runtime, workdir, progress):
        if config.schedule.steps == 5:
            known = [f"{name}={os.environ.get(name)}" for name in os.environ["TOLD"].split(",")]
            raise ConnectionError("cannot connect: " + " ".join(known))
        while not Path(os.environ["RELEASE"]).exists():
            time.sleep(0.05)
        return train(config, runtime, workdir, progress)
    module.train = told

mishaps.watch_imports({"trainer.run": wrap})
"""
"""The sitecustomize.py of driver and workers: one trial fails with all secrets in its message, the other one waits."""


@dataclass(frozen=True, kw_only=True)
class Leaks:
    """Where secrets were found."""

    running: tuple[str, ...]
    """While a trial ran."""
    after: tuple[str, ...]
    readable: tuple[str, ...]
    """What other users could reach while a trial ran."""
    folder: Path
    output: str
    returncode: int
    hidden: Mapping[str, str]


def unmistakable() -> str:
    """A random text with characters that addresses and JSON write differently."""
    return f"{secrets.token_hex(12)}+/{secrets.token_hex(4)}="


def forms(secret: str) -> Iterator[bytes]:
    """A secret as it could be written: plain, in an address, in base64 at any offset, in UTF-16."""
    yield secret.encode()
    yield quote(secret, safe="").encode()
    yield quote(secret).encode()
    yield secret.encode("utf-16-le")
    for offset in range(3):
        coded = base64.b64encode(b"\0" * offset + secret.encode())
        yield coded[4 if offset else 0 : -4]


def contents(path: Path) -> Iterator[bytes]:
    """The bytes of a file, and what is compressed in it."""
    content = path.read_bytes()
    yield content
    if content[:2] == b"\x1f\x8b":
        yield gzip.decompress(content)
    if zipfile.is_zipfile(io.BytesIO(content)):
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            yield from map(archive.read, archive.namelist())
    if path.suffix == ".parquet":
        yield repr(pyarrow.parquet.read_table(path).to_pylist()).encode()


def found_in(content: bytes, hidden: Mapping[str, str]) -> Iterator[str]:
    """The names of the secrets in some bytes."""
    yield from (name for name, secret in hidden.items() if any(form in content for form in forms(secret)))


def search(folder: Path, hidden: Mapping[str, str], given: Path) -> Iterator[str]:
    """Files below `folder` with a secret in their content or name; `given` is what the test itself has written."""
    for path in sorted(folder.rglob("*")):
        for name in found_in(os.fsencode(path), hidden):
            yield f"{name} in the name {path}"
        if not path.is_file() or path.is_symlink() or path.is_relative_to(given):
            continue
        try:
            for name in {name for content in contents(path) for name in found_in(content, hidden)}:
                yield f"{name} in {path}"
        except FileNotFoundError:  # replaced meanwhile
            continue


def processes_with(variable: str) -> Iterator[int]:
    """Ids of the processes that inherited an environment variable, given as `NAME=value`."""
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if variable.encode() in (entry / "environ").read_bytes().split(b"\0"):
                yield int(entry.name)
        except OSError:  # it has just ended, or is somebody else's
            continue


def search_command_lines(processes: Iterable[int], hidden: Mapping[str, str]) -> Iterator[str]:
    """Secrets on command lines."""
    for number in processes:
        line = Path(f"/proc/{number}/cmdline").read_bytes()
        for name in found_in(line, hidden):
            yield f"{name} in the command line {line.replace(bytes(1), b' ')[:80]!r}"


@pytest.fixture(scope="module")
def leaks() -> Iterator[Leaks]:
    """Run the sweep, and search while its second trial waits and at the end."""
    folder = Path("/tmp", secrets.token_hex(2))  # noqa: S108 - short, for Ray's sockets
    folder.mkdir(mode=0o700)
    try:
        yield sweep_and_search(folder)
    finally:
        shutil.rmtree(folder)


def sweep_and_search(folder: Path) -> Leaks:
    hidden = {name: unmistakable() for name in (*VARIABLES, "DATABASE_URL", "git remote", "--tracking-uri")}
    hook, work, temporary, home = (folder / name for name in ("hook", "work", "t", "home"))
    for place in (hook, work, temporary, home):
        place.mkdir()
    (hook / "sitecustomize.py").write_text(HOOK, encoding="utf-8")
    (work / "tiny_recipe.yaml").write_text(TINY_RECIPE, encoding="utf-8")
    (work / "leaky.yaml").write_text(SPACE, encoding="utf-8")
    addresses = {
        "DATABASE_URL": f"postgresql://anna:{quote(hidden['DATABASE_URL'], safe='')}@db.invalid:5432/runs",
        "GIT_CONFIG_VALUE_0": f"https://oauth2:{quote(hidden['git remote'], safe='')}@git.invalid/our/code.git",
    }
    values = {
        **environment(),
        **{name: hidden[name] for name in VARIABLES},
        **addresses,
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": "remote.origin.url",
        "TOLD": ",".join([*VARIABLES, *addresses]),
        "RELEASE": str(hook / "release"),
        "PYTHONPATH": os.pathsep.join([str(hook), str(PROJECT)]),
        "HOME": str(home),
        "TMPDIR": str(temporary),
    }
    mark = f"RELEASE={values['RELEASE']}"
    tracking = f"sqlite:///file:mlflow.db?token={quote(hidden['--tracking-uri'], safe='')}&uri=true"
    line = [sys.executable, "-m", "orchestrator.sweep", "leaky.yaml", "--json", "--tracking-uri", tracking]
    line += ["--forward-env", "HF_TOKEN"]
    with (folder / "output.txt").open("wb") as output:
        process = subprocess.Popen(line, cwd=work, env=values, stdout=output, stderr=output, umask=0o022)
    try:
        deadline = time.monotonic() + 240
        while not any(attempts(work).values()) and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.2)
        assert process.poll() is None, (folder / "output.txt").read_text(encoding="utf-8")
        others = [number for number in processes_with(mark) if number != process.pid]
        assert len(others) > 5, "Ray's processes and the mirror"
        running = [*search(folder, hidden, hook), *search_command_lines(others, hidden)]
        readable = [place for own in temporary.glob("contrast*") for place in reachable(own)]
        Path(values["RELEASE"]).touch()
        returncode = process.wait(timeout=240)
    finally:
        for number in processes_with(mark):
            os.kill(number, signal.SIGKILL)
        process.wait()
    return Leaks(
        running=tuple(running),
        after=tuple(search(folder, hidden, hook)),
        readable=tuple(readable),
        folder=folder,
        output=(folder / "output.txt").read_text(encoding="utf-8"),
        returncode=returncode,
        hidden=hidden,
    )


def reachable(folder: Path) -> Iterator[str]:
    """What other users may read, write or enter: `folder`, and what is below folders that they may enter."""
    mode = folder.lstat().st_mode
    if not folder.is_symlink() and mode & 0o077:
        yield f"{folder} {mode:o}"
        if folder.is_dir() and mode & 0o011:
            for path in folder.iterdir():
                yield from reachable(path)


def test_no_secret_stands_anywhere_while_a_sweep_runs(leaks: Leaks) -> None:
    assert leaks.running == ()


def test_no_secret_stands_anywhere_after_a_sweep(leaks: Leaks) -> None:
    assert leaks.after == ()


def test_the_trial_that_told_all_secrets_is_recorded_without_them(leaks: Leaks) -> None:
    assert leaks.returncode == 1, leaks.output
    states = {history[0]["state"]: history[0].get("error", {}) for history in attempts(leaks.folder / "work").values()}
    assert set(states) == {"user_error", "done"}, states
    message = states["user_error"]["message"]
    assert "AWS_SECRET_ACCESS_KEY=***" in message
    assert "DATABASE_URL=postgresql://db.invalid:5432/runs" in message
    assert "HF_TOKEN=***" in message
    assert "RAY_AUTH_TOKEN=None" in message, "a private cluster has a token of its own"


def test_other_users_reach_nothing_of_a_private_cluster(leaks: Leaks) -> None:
    assert leaks.readable == ()


def test_nothing_is_left_of_a_private_cluster(leaks: Leaks) -> None:
    temporary = leaks.folder / "t"
    assert list(temporary.rglob("session_*")) == []
    assert not (leaks.folder / "home" / ".ray").exists(), "a token for all clusters of this user was made"


def test_what_a_trial_writes_has_the_mode_that_the_user_wants(leaks: Leaks) -> None:
    checkpoints = list((leaks.folder / "work" / "runs").rglob("last.pt"))
    assert checkpoints
    assert {f"{path.stat().st_mode & 0o777:o}" for path in checkpoints} == {"644"}
