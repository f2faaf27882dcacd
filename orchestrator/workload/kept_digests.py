"""Digests of Python source, kept between processes: reducing a whole trainer to its syntax trees takes 0.2 s."""

from __future__ import annotations

import hashlib
import json
import sys
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from orchestrator.machine.atomic_file import replace_file
from orchestrator.machine.own_folder import claim, named_for_user, open_file, open_folder
from orchestrator.workload import source_digest

__all__ = ["digests_of", "folder_of_digests"]

FILE = "source_digests.json"
MOST = 2000
"""Digests that are kept; those of the last call stay longest."""


def digests_of(texts: Mapping[str, str]) -> dict[str, str]:
    """The `source_digest` of each text, by the same names.

    They are kept in a folder of this user that stays, by SHA-256 of the text and of the code that makes them: a kept
    one is that of the very same text. A file that is damaged, or another user's, is not read.
    """
    makers = maker()
    keys = {
        name: hashlib.sha256(f"{makers}\n{text}".encode(errors="surrogatepass")).hexdigest()
        for name, text in texts.items()
    }
    kept = read_kept()
    found = {name: kept.get(key) or source_digest.source_digest(texts[name]) for name, key in keys.items()}
    used = {keys[name]: digest for name, digest in found.items()}
    if not used.keys() <= kept.keys():
        others = {key: digest for key, digest in kept.items() if key not in used}
        write_kept(dict(list({**others, **used}.items())[-MOST:]))
    return found


def folder_of_digests() -> Path:
    """The folder in which this user's digests are kept."""
    return named_for_user(tempfile.gettempdir(), "digests")


def maker() -> str:
    """What makes a digest: the version of Python, and the code."""
    code = Path(source_digest.__file__).read_bytes()
    return f"{sys.version_info[:2]} {hashlib.sha256(code).hexdigest()}"


def read_kept() -> dict[str, str]:
    """The digests that are kept, by key; none of a file that is missing, damaged or another's."""
    with suppress(OSError, ValueError, KeyError, TypeError), open_folder(folder_of_digests()) as folder:
        with open_file(FILE, folder) as file:
            content = json.loads(file.readall())
        body = str(content["digests"])
        if content["sha256"] == hashlib.sha256(body.encode()).hexdigest():
            kept: dict[str, str] = json.loads(body)
            return kept
    return {}


def write_kept(kept: Mapping[str, str]) -> None:
    """Keep these digests; where nothing can be written, none is kept."""
    body = json.dumps(dict(kept))
    content = {"sha256": hashlib.sha256(body.encode()).hexdigest(), "digests": body}
    with suppress(OSError):
        replace_file(
            claim(folder_of_digests(), "TMPDIR") / FILE, json.dumps(content).encode(), durable=False, private=True
        )
