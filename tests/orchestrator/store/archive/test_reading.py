"""An archive that is anything else than what was written is refused in one line, which names the member."""

from __future__ import annotations

import json
import os
import random
import stat
from collections.abc import Callable, Mapping
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

import numpy as np
import pytest

from orchestrator.__main__ import main
from orchestrator.errors import DamagedError, StoreError, SweepError
from orchestrator.machine.sealed_json import seal, unseal
from orchestrator.store.archive import contents as contents_module
from orchestrator.store.archive import members
from orchestrator.store.archive.contents import read_contents
from orchestrator.store.archive.manifest import FORMAT, Manifest, Member
from orchestrator.store.archive.members import MANIFEST
from orchestrator.store.archive.reading import opened
from orchestrator.store.archive.writing import add
from orchestrator.store.image_counts import read_image_counts
from reports.__main__ import main as report
from tests.orchestrator.store.archive.conftest import contents_of

FLIPS = int(os.environ.get("BIT_FLIPS", "150"))
Files = dict[str, bytes]
Forge = Callable[..., Path]


def read(path: Path) -> Mapping[str, bytes]:
    """All that a reader believes of an archive."""
    with opened(path) as archive:
        found = read_contents(archive)
        return {name: found.directory.files.read(name) or b"" for name in archive.manifest.members}


def refused(path: Path, message: str) -> None:
    """Import and reports both refuse it, in one line, and write nothing."""
    before = sorted(Path().rglob("*"))
    with pytest.raises(SweepError) as found:
        read(path)
    assert str(found.value).startswith(message), str(found.value)
    assert "\n" not in str(found.value)
    assert main(["import", str(path), "--run-dir", "elsewhere"]) == 2
    assert report([str(path), "--out", "elsewhere"]) == 2
    assert sorted(Path().rglob("*")) == before


def key_of(contents: Files, name: str) -> str:
    """The first member with this file name."""
    return min(key for key in contents if key.endswith(f"/{name}"))


def rebuilt(path: Path, change: Callable[[ZipInfo, bytes], tuple[ZipInfo, bytes] | None]) -> Path:
    """A copy of the archive at `path` with other entries: None leaves one out."""
    with ZipFile(path) as source, ZipFile("rebuilt.zip", "w") as target:
        for entry in source.infolist():
            if (changed := change(entry, source.read(entry))) is not None:
                target.writestr(*changed)
    return Path("rebuilt.zip")


def test_what_was_written_is_read(place: Path, contents: Files) -> None:
    assert read(place / "tiny.zip") == contents
    with opened(Path("tiny.zip")) as archive:
        files = read_contents(archive).directory.files
        for key in ("trials", "sweeps/tiny", "sweeps/tiny/plans", "trials/nowhere"):
            present = {path.name for path in Path("runs", key).glob("*")} - {"records.parquet"}
            assert set(files.names(key)) == present
        trial = f"trials/{files.names('trials')[0]}"
        sizes = {name: len(content) for name, content in contents.items() if name.startswith(f"{trial}/")}
        assert {f"{trial}/{name}": size for name, size in files.sizes(trial).items()} == sizes
        assert files.read(key_of(contents, "trial.json"), 5) == contents[key_of(contents, "trial.json")][5:]
        assert files.stamps(["trials/x/y"]) == [None]
        for change in (files.delete, files.delete_folder):
            with pytest.raises(StoreError, match=r"^tiny\.zip: an archive is not changed; import it"):
                change(trial)


@pytest.mark.parametrize("name", ["sweep.json", "001.json", "trial.json", "attempt_001.json", "points.jsonl"])
def test_a_changed_file_is_named(place: Path, contents: Files, forge: Forge, name: str) -> None:
    key = key_of(contents, name)
    changed = {**contents, key: contents[key].replace(b"0", b"1", 1)}
    assert changed[key] != contents[key]
    refused(forge(changed, listed=contents), f"forged.zip: {key}: its content does not match its digest; get the file")


def test_a_flipped_bit_of_a_file_is_found_by_its_checksum(place: Path, contents: Files) -> None:
    key = key_of(contents, "attempt_001.json")
    whole = bytearray(Path("tiny.zip").read_bytes())
    whole[whole.index(contents[key]) + 30] ^= 1
    Path("flipped.zip").write_bytes(whole)
    refused(Path("flipped.zip"), f"flipped.zip: {key}: its content does not match its digest; get the file again")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("/etc/passwd", "/etc/passwd: an absolute path"),
        ("C:/windows", "C:/windows: an absolute path"),
        ("\\\\server\\share", "\\\\\\\\server\\\\share: an absolute path"),
        ("../../.bashrc", "../../.bashrc: leads out of the archive"),
        ("trials/../../x", "trials/../../x: leads out of the archive"),
        ("trials\\..\\..\\x", "trials\\\\..\\\\..\\\\x: leads out of the archive"),
        ("trials/0123456789ab/", "trials/0123456789ab/: is not a file"),
        ("trials/0123456789ab/model.pkl", "trials/0123456789ab/model.pkl: is no file of a sweep"),
        ("trials/0123456789ab/work/x.pt", "trials/0123456789ab/work/x.pt: is no file of a sweep"),
        ("trials/short/trial.json", "trials/short/trial.json: is no file of a sweep"),
        ("sweeps/\x1b[2J/sweep.json", "sweeps/\\x1b[2J/sweep.json: is no file of a sweep"),
        ("code/a1b2c3d4e5f6.patch", "code/a1b2c3d4e5f6.patch: is no file of a sweep"),
        ("driver.lock", "driver.lock: is no file of a sweep"),
        ("code/a1b2c3d4e5f6.json", "code/a1b2c3d4e5f6.json: is not in its manifest.json"),
    ],
)
def test_a_member_that_does_not_belong_there_is_named(
    place: Path, contents: Files, forge: Forge, name: str, message: str
) -> None:
    refused(forge({name: b"{}", **contents}, listed=contents), f"forged.zip: {message}; get the file again")
    if "manifest" not in message:  # also if the manifest lists it
        refused(forge({**contents, name: b"{}"}), f"forged.zip: {message}; get the file again")


def test_a_missing_member_is_named(place: Path, contents: Files, forge: Forge) -> None:
    key = key_of(contents, "points.jsonl")
    left = {name: content for name, content in contents.items() if name != key}
    refused(forge(left, listed=contents), f"forged.zip: {key}: is missing; get the file again")


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_two_files_of_one_name_are_refused(place: Path, contents: Files) -> None:
    for key in (key_of(contents, "trial.json"), MANIFEST):
        with ZipFile("twice.zip", "w") as archive:
            for name, content in [(key, b"{}"), *contents.items()]:
                add(archive, name, content)
            listed = {name: Member.of(content) for name, content in contents.items()}
            add(archive, MANIFEST, Manifest(sweep="tiny", members=listed).to_bytes())
        refused(Path("twice.zip"), f"twice.zip: {key}: is in it twice; get the file again")


@pytest.mark.parametrize(
    ("mode", "message"),
    [
        (stat.S_IFLNK | 0o777, "is a link"),
        (stat.S_IFIFO | 0o644, "is not a file"),
        (stat.S_IFDIR | 0o755, "is not a file"),
    ],
)
def test_links_and_pipes_are_refused(place: Path, contents: Files, mode: int, message: str) -> None:
    key = key_of(contents, "points.jsonl")

    def change(entry: ZipInfo, content: bytes) -> tuple[ZipInfo, bytes]:
        if entry.filename == key:
            entry.external_attr = mode << 16
        return entry, content

    refused(rebuilt(place / "tiny.zip", change), f"rebuilt.zip: {key}: {message}; get the file again")


def test_a_compressed_file_is_refused_however_small_it_is(place: Path, contents: Files) -> None:
    """So no archive unpacks to more than itself."""
    key = key_of(contents, "points.jsonl")

    def change(entry: ZipInfo, content: bytes) -> tuple[ZipInfo, bytes]:
        if entry.filename == key:
            entry.compress_type, content = ZIP_DEFLATED, bytes(10**7)
        return entry, content

    path = rebuilt(place / "tiny.zip", change)
    assert path.stat().st_size < 10**6
    refused(path, f"rebuilt.zip: {key}: is compressed, which this program does not do; get the file again")


def test_a_file_that_is_too_large_for_its_kind_is_refused(
    place: Path, contents: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = key_of(contents, "images_001.npz")
    monkeypatch.setattr(members, "MOST_PICTURE_BYTES", len(contents[key]) - 1)
    refused(Path("tiny.zip"), f"tiny.zip: {key}: has 0 MB, more than a file of its kind can have; get the file again")


def test_files_that_share_their_bytes_are_refused(place: Path, contents: Files, forge: Forge) -> None:
    """Two entries of the directory that name one file: the sum of the sizes tells."""
    first, second = "code/aaaaaaaaaaaa.json", "code/bbbbbbbbbbbb.json"
    large = seal({"files": {"x": "y" * 10**6}})
    path = forge({first: large, second: b"{}"}, listed={first: large, second: large})
    whole = bytearray(path.read_bytes())
    with ZipFile(path) as archive:
        source = archive.getinfo(first)
    place_of = whole.rindex(second.encode()) - 46  # its entry in the directory
    whole[place_of + 16 : place_of + 28] = source.CRC.to_bytes(4, "little") + 2 * len(large).to_bytes(4, "little")
    whole[place_of + 42 : place_of + 46] = source.header_offset.to_bytes(4, "little")
    path.write_bytes(whole)
    refused(path, "forged.zip: ")


def test_a_part_of_an_archive_is_refused(place: Path) -> None:
    whole = Path("tiny.zip").read_bytes()
    for size in (0, 10, len(whole) // 2, len(whole) - 30, len(whole) - 1):
        Path("part.zip").write_bytes(whole[:size])
        refused(Path("part.zip"), "part.zip: not a whole archive (its end is missing); get the file again")


def test_the_file_of_a_later_version_is_refused_with_the_remedy(place: Path, contents: Files) -> None:
    with ZipFile("later.zip", "w") as archive:
        add(archive, "new/kind.of", b"file")
        listed = {"new/kind.of": Member.of(b"file")}
        add(archive, MANIFEST, replace(Manifest(sweep="tiny", members=listed), format=FORMAT + 1).to_bytes())
    message = f"later.zip: its format is {FORMAT + 1}, and this version reads up to {FORMAT}; update contrast-sweep"
    refused(Path("later.zip"), message)


@pytest.mark.parametrize(
    ("manifest", "message"),
    [
        (None, "theirs.zip: has no manifest.json, so this program did not make it and does not read it; name a file"),
        (b"[]", "theirs.zip: manifest.json: list instead of an object; get the file again"),
        (b"not json", "theirs.zip: manifest.json: not JSON: "),
        (seal({"made_by": "somebody", "format": 1}), "theirs.zip: manifest.json: it lacks the mark or the digest"),
        (
            json.dumps({"made_by": "contrast-sweep", "format": 1, "sweep": "tiny", "members": {}}).encode(),
            "theirs.zip: manifest.json: it lacks the mark or the digest of this program; get the file again",
        ),
        (seal({"made_by": "contrast-sweep", "format": 1}), "theirs.zip: manifest.json: sweep: missing; get the file"),
        (
            seal({"made_by": "contrast-sweep", "format": "1", "sweep": "x"}),
            "theirs.zip: manifest.json: format: text '1'",
        ),
        (
            seal({"made_by": "contrast-sweep", "format": 1, "sweep": "x", "members": {"a": {"size": -1}}}),
            "theirs.zip: manifest.json: members: a: sha256: missing; get the file again",
        ),
        (Manifest(sweep="tiny").to_bytes(), "theirs.zip: no sweep 'tiny'; it holds no sweep yet"),
    ],
)
def test_nothing_without_our_mark_is_believed(place: Path, manifest: bytes | None, message: str) -> None:
    with ZipFile("theirs.zip", "w") as archive:
        if manifest is None:
            add(archive, "model.pkl", b"cos\nsystem\n(S'true'\ntR.")
        else:
            add(archive, MANIFEST, manifest)
    refused(Path("theirs.zip"), message)


@pytest.mark.parametrize("kind", ["folder", "pipe", "missing"])
def test_what_is_no_file_is_refused_without_waiting(place: Path, kind: str) -> None:
    if kind == "folder":
        Path("odd.zip").mkdir()
    elif kind == "pipe":
        os.mkfifo("odd.zip")
    refused(Path("odd.zip"), "odd.zip: cannot be read (")


def test_an_id_must_be_that_of_its_configuration(place: Path, contents: Files, forge: Forge) -> None:
    """All digests are right, also those inside: the trial is not the one that its id names."""
    key = key_of(contents, "trial.json")
    trial_id = key.split("/")[1]
    facts = unseal(contents[key]).values
    facts["config"]["optim.lr"] = 7.0
    refused(forge({**contents, key: seal(facts)}), f"forged.zip: {key}: its configuration is that of trial ")
    facts = unseal(contents[key]).values
    del facts["data"]
    message = f"forged.zip: {key}: does not say what the id of the trial is a function of; get the file again"
    refused(forge({**contents, key: seal(facts)}), message)
    left = {name: content for name, content in contents.items() if name != key}
    refused(forge(left), f"forged.zip: trials/{trial_id}/trial.json: empty")


def test_a_trial_must_be_planned_and_have_the_seed_of_its_plan(place: Path, contents: Files, forge: Forge) -> None:
    key = "sweeps/tiny/sweep.json"
    plan = unseal(contents[key]).values
    kept = {name: content for name, content in contents.items() if "/plans/" not in name}
    trial_id = plan["cells"][0]["trial_id"]
    one_less = {**plan, "cells": plan["cells"][1:]}
    message = f"forged.zip: trials/{trial_id}: no plan in the archive refers to it; get the file again"
    refused(forge({**kept, key: seal(one_less)}), message)
    plan["cells"][0]["seed"] = 9
    message = f"forged.zip: trials/{trial_id}/trial.json: its seed is 0, and that of its plan 9; get the file again"
    refused(forge({**kept, key: seal(plan)}), message)


def test_the_files_of_a_trial_must_belong_together(place: Path, contents: Files, forge: Forge) -> None:
    records = sorted(name for name in contents if name.endswith("attempt_001.json"))
    swapped = {**contents, records[0]: contents[records[1]]}
    refused(forge(swapped), f"forged.zip: {records[0]}: damaged record (it is the record of trial ")
    pictures = key_of(contents, "images_001.npz")
    other = next(name for name in contents if name.endswith("images_001.npz") and name != pictures)
    message = f"forged.zip: {pictures}: its content does not match the digest in its record; get the file again"
    refused(forge({**contents, pictures: contents[other]}), message)
    unnamed = pictures.replace("images_001", "images_007")
    refused(forge({**contents, unnamed: b"PK"}), f"forged.zip: {unnamed}: no record refers to it; get the file again")
    trial = pictures.rpartition("/")[0]
    left = {name: content for name, content in contents.items() if not name.startswith(f"{trial}/attempt")}
    refused(forge(left), f"forged.zip: {trial}: it has no ended attempt; get the file again")
    facts = {**unseal(contents[records[0]]).values}
    facts["environment"] = {**facts["environment"], "data": "of another data set"}
    message = f"forged.zip: {records[0]}: its data are not those of its trial; get the file again"
    refused(forge({**contents, records[0]: seal(facts)}), message)


def test_another_sweep_or_other_weights_are_no_part_of_it(place: Path, contents: Files, forge: Forge) -> None:
    more = {**contents, "sweeps/other/sweep.json": contents["sweeps/tiny/sweep.json"]}
    refused(forge(more), "forged.zip: sweeps/other/sweep.json: is of another sweep; get the file again")
    weights = key_of(contents, "trial.json").replace("trial.json", "last.pt")
    refused(forge({**contents, weights: b"cos\nsystem\n"}), f"forged.zip: {weights}: cut short; get the file again")


def with_pictures(contents: Files, pictures: bytes) -> Files:
    """The same with other pictures of a trial, and the digest of these in its record."""
    key = key_of(contents, "images_001.npz")
    record = key.replace("images_001.npz", "attempt_001.json")
    values = unseal(contents[record]).values
    values["files"] = {"images_001.npz": Member.of(pictures).sha256}
    return {**contents, key: pictures, record: seal(values)}


def test_pictures_that_unpack_to_too_much_are_refused(
    place: Path, contents: Files, forge: Forge, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(contents_module, "MOST_UNPACKED_BYTES", 10**6)
    bomb = BytesIO()
    with ZipFile(bomb, "w", ZIP_DEFLATED) as inside:
        inside.writestr("counts.npy", bytes(2 * 10**6))
    key = key_of(contents, "images_001.npz")
    refused(forge(with_pictures(contents, bomb.getvalue())), f"forged.zip: {key}: unpacks to 2 MB, more than ")
    refused(forge(with_pictures(contents, b"no zip")), f"forged.zip: {key}: is no file of counts and pictures; get")


def test_no_pickle_is_loaded(place: Path, contents: Files, forge: Forge, capsys: pytest.CaptureFixture[str]) -> None:
    """Counts may be a pickle in a file of NumPy: they are not used, and the table says so."""

    class Evil:
        def __reduce__(self) -> tuple[Callable[[str], object], tuple[str]]:
            return os.mkdir, ("evil",)

    content = BytesIO()
    np.savez(content, counts=np.array([Evil()], dtype=object), classes=np.array(["a"]))
    path = forge(with_pictures(contents, content.getvalue()))
    trial_id = key_of(contents, "images_001.npz").split("/")[1]
    with opened(path) as archive:
        found = read_contents(archive)
        record = found.attempts[trial_id][0].record
        with pytest.raises(DamagedError, match=r"not what this program writes \(Object arrays cannot be loaded"):
            read_image_counts(found.directory, record)
    assert report([str(path), "--out", "out"]) == 0
    assert "Without the counts per test images of " in capsys.readouterr().out
    assert not Path("evil").exists()


def test_whatever_bit_is_flipped_it_is_refused_or_changes_nothing(place: Path, contents: Files) -> None:
    whole, draw = Path("tiny.zip").read_bytes(), random.Random(0)
    directory = whole.rindex(b"PK\x01\x02")
    places = [draw.randrange(len(whole)) for _ in range(FLIPS)]
    places += [draw.randrange(len(whole) - 4000, len(whole)) for _ in range(FLIPS)]
    unchanged = 0
    assert directory > len(whole) - 4000, "the second half are flips in the directory"
    for position in places:
        changed = bytearray(whole)
        changed[position] ^= 1 << draw.randrange(8)
        Path("flipped.zip").write_bytes(changed)
        found, message = None, ""
        try:
            found = read(Path("flipped.zip"))
        except SweepError as error:
            message = str(error)
        assert found == contents or message.startswith("flipped.zip: "), position
        assert "\n" not in message
        unchanged += found is not None
    assert unchanged < FLIPS, "times and attributes of the directory, which nobody reads"


def test_contents_are_those_of_a_plain_zip_file(place: Path, contents: Files) -> None:
    assert contents_of(place / "tiny.zip") == contents
