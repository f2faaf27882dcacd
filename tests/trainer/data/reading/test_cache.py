"""The cache of decoded pixels: equal pixels, one decode, no partial entries, and a limited size."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import textwrap
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from orchestrator.machine.own_folder import MARK
from trainer.data.files.folder import Folder
from trainer.data.reading import cache as module
from trainer.data.reading.cache import CACHE_FOLDER, CACHE_GIGABYTES, DamagedEntryError, DecodedCache, DecodedSplit
from trainer.testing.look_alikes import LOOK_ALIKES

SIZES = ((12, 8), (5, 9), (1, 1))


def make_pairs():
    for number, (width, height) in enumerate(SIZES):
        rng = np.random.default_rng(number)
        yield rng.integers(0, 256, (height, width, 3), np.uint8), rng.integers(0, 256, (height, width), np.uint8)


def get(cache, facts=("a",), pairs=make_pairs):
    return cache.get(facts, sizes=lambda: SIZES, pairs=pairs)


def fail():
    pytest.fail("decoded again")


def kinds(folder: Path) -> set[str]:
    """What lies in the folder beside its mark: `entry`, `lock`, `part`, `gone`."""
    names = {path.name.partition("-")[0] for path in folder.iterdir() if path.name != MARK}
    return {"lock" if name.endswith(".lock") else "entry" if len(name) == 32 else name for name in names}


@pytest.fixture
def cache(tmp_path):
    return DecodedCache(tmp_path / "cache", 10**6)


def assert_right(found) -> None:
    for index, pair in enumerate(make_pairs()):
        for shown, wanted in zip(found.read(index), pair, strict=True):
            np.testing.assert_array_equal(shown, wanted)
            assert not shown.flags.writeable


def test_images_of_any_size_come_back_as_they_were(cache):
    assert_right(get(cache))


def test_built_once(cache):
    get(cache)
    assert_right(get(cache, pairs=fail))
    assert kinds(cache.folder) == {"entry", "lock"}


def test_other_facts_are_another_entry(cache):
    get(cache)
    calls = []
    get(cache, ("b",), lambda: calls.append(1) or make_pairs())
    assert calls == [1]


def test_an_error_of_the_data_leaves_nothing_and_is_raised(cache):
    def broken():
        yield from list(make_pairs())[:1]
        raise LookupError("the second is broken")

    with pytest.raises(LookupError):
        get(cache, pairs=broken)
    assert kinds(cache.folder) == {"lock"}
    assert_right(get(cache))


BUILDER = """
    import sys, time
    from pathlib import Path
    from tests.trainer.data.reading.test_cache import SIZES, make_pairs
    from trainer.data.reading.cache import DecodedCache

    def slowly():
        for pair in make_pairs():
            yield pair
            print("wrote", flush=True)
            time.sleep(float(sys.argv[2]))

    found = DecodedCache(Path(sys.argv[1]), 10**6).get(("a",), sizes=lambda: SIZES, pairs=slowly)
    print("done", int(found.read(0)[0].sum()), flush=True)
"""


def start_builder(folder: Path, seconds: float) -> subprocess.Popen:
    code = textwrap.dedent(BUILDER)
    command = [sys.executable, "-c", code, str(folder), str(seconds)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).resolve().parents[4])


def test_a_killed_builder_leaves_nothing_to_read(cache):
    """SIGKILL between two pairs: its half-written file is there, is not read, and the next build starts anew."""
    with start_builder(cache.folder, 60) as builder:
        assert builder.stdout.readline() == "wrote\n"
        os.kill(builder.pid, signal.SIGKILL)
    assert builder.returncode == -signal.SIGKILL
    assert "part" in kinds(cache.folder)
    assert_right(get(cache))
    assert kinds(cache.folder) == {"entry", "lock"}


def test_what_a_killed_builder_of_other_data_left_is_swept_up(cache):
    with start_builder(cache.folder, 60) as builder:
        builder.stdout.readline()
        os.kill(builder.pid, signal.SIGKILL)
    get(cache, ("changed since",))
    assert kinds(cache.folder) == {"entry", "lock"}


def test_of_several_builders_one_builds_and_all_read_the_same(cache):
    builders = [start_builder(cache.folder, 0.2) for _ in range(3)]
    said = [builder.communicate()[0].splitlines() for builder in builders]
    total = int(next(iter(make_pairs()))[0].sum())
    assert [lines[-1] for lines in said] == [f"done {total}"] * 3
    assert sorted(lines.count("wrote") for lines in said) == [0, 0, 3]


def test_a_build_under_way_is_left_alone_by_others(cache):
    with start_builder(cache.folder, 60) as builder:
        builder.stdout.readline()
        get(cache, ("b",))
        assert "part" in kinds(cache.folder)
        os.kill(builder.pid, signal.SIGKILL)


def test_an_entry_cut_short_by_a_broken_disk_is_built_anew(cache):
    get(cache)
    (pixels,) = cache.folder.glob("*/pixels")
    pixels.write_bytes(pixels.read_bytes()[:-1])
    assert_right(get(cache))


def damage(path: Path, change) -> None:
    """Change a file in place, as a disk does: without a new size, time or inode."""
    times, content = path.stat(), bytearray(path.read_bytes())
    change(content)
    with path.open("r+b") as file:
        file.write(content)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


def zeros(content: bytearray) -> None:
    content[100:200] = bytes(100)


@pytest.mark.parametrize("file", ["pixels", "index"])
def test_no_flipped_bit_is_read(cache, file):
    get(cache)
    (path,) = cache.folder.glob(f"*/{file}")
    whole = path.read_bytes()
    rng = random.Random(0)
    for bit in rng.sample(range(8 * len(whole)), 200):

        def flip(content: bytearray, bit: int = bit) -> None:
            content[bit // 8] ^= 1 << bit % 8

        damage(path, flip)
        with suppress(ValueError):
            found = DecodedSplit(path.parent)
            for index, pair in enumerate(make_pairs()):
                with suppress(DamagedEntryError):
                    shown = found.read(index)
                    assert all(np.array_equal(a, b) for a, b in zip(shown, pair, strict=True)), f"bit {bit}"
        damage(path, lambda content: content.__setitem__(slice(None), whole))
    assert_right(get(cache, pairs=fail))


def test_a_damaged_entry_is_built_again_also_while_it_is_used(tmp_path):
    tree = LOOK_ALIKES["folder"](tmp_path / "set")
    cache = DecodedCache(tmp_path / "cache", 10**9)
    plain = Folder(tree.root, cache=DecodedCache(None, 0))
    reader, other = Folder(tree.root, cache=cache), Folder(tree.root, cache=cache)
    for source in (reader, other):
        source.read("train", 0)
    (path,) = cache.folder.glob("*/pixels")
    damage(path, zeros)
    with pytest.warns(UserWarning, match="pair 0 does not match its checksum; the data set is decoded again"):
        found = reader.read("train", 0)
    (rebuilt,) = [path.stat().st_ino for path in cache.folder.glob("*/pixels")]
    with pytest.warns(UserWarning, match="decoded again"):
        others = other.read("train", 0)
    for pair in (found, others):
        assert all(np.array_equal(a, b) for a, b in zip(pair, plain.read("train", 0), strict=True))
    assert [path.stat().st_ino for path in cache.folder.glob("*/pixels")] == [rebuilt], "built once"


def test_the_least_recently_used_make_room(tmp_path):
    size = sum(4 * width * height for width, height in SIZES)
    cache = DecodedCache(tmp_path / "cache", 3 * size)  # an index takes room too
    old = get(cache, ("old",))
    time.sleep(0.02)
    get(cache, ("new",))
    time.sleep(0.02)
    get(cache, ("old",), pairs=fail)  # used again
    time.sleep(0.02)
    get(cache, ("third",))
    get(cache, ("old",), pairs=fail) if len(list(cache.folder.glob("*/pixels"))) == 2 else None
    assert sum(path.stat().st_size for path in cache.folder.glob("*/*")) <= 3 * size + 1000
    assert_right(old)  # who has an entry mapped keeps it


def test_the_size_of_what_is_not_the_caches_does_not_count(tmp_path):
    """An entry with a foreign file in it neither counts nor goes; one of ours beside it does."""
    entry = 4 * sum(width * height for width, height in SIZES)
    small = DecodedCache(tmp_path / "cache", entry + 400)
    get(small, ("a",))
    (first,) = small.entries()
    (first / "thesis.txt").write_text("mine")
    for facts in (("b",), ("c",)):  # each makes room for itself
        assert_right(get(small, facts))
    assert len(small.entries()) == 1
    assert first not in small.entries()
    assert (first / "thesis.txt").read_text() == "mine"
    assert_right(get(small, ("a",), pairs=fail))


def test_entries_of_earlier_versions_are_left_alone(tmp_path, monkeypatch):
    """They had no mark, and lay in the named folder itself."""
    monkeypatch.setenv(CACHE_FOLDER, str(tmp_path))
    key = "0123456789abcdef" * 2
    for name in (key, f"{key}.part", f"{key}.gone-7"):
        (tmp_path / name).mkdir(parents=True)
        for file in ("index", "pixels"):
            (tmp_path / name / file).write_bytes(b"old")
    get(replace(DecodedCache.default(), max_bytes=1000))
    assert len(list(tmp_path.glob("*/pixels"))) == 3
    assert len(DecodedCache.default().entries()) == 1


def test_leftovers_of_the_cache_are_removed(cache):
    get(cache)
    (entry,) = cache.entries()
    entry.rename(cache.folder / f"gone-{entry.name}-7")
    assert_right(get(cache))
    assert kinds(cache.folder) == {"entry", "lock"}


@pytest.mark.parametrize("file", ["index", "pixels"])
def test_an_entry_that_lost_a_file_is_built_again(cache, file):
    """As a cleaner of old temporary files leaves it."""
    get(cache)
    (entry,) = cache.entries()
    (entry / file).unlink()
    assert_right(get(cache))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file to another user")
@pytest.mark.parametrize("file", ["index", "pixels", MARK, "."])
def test_an_entry_of_another_user_is_not_read(cache, file, monkeypatch):
    get(cache)
    (entry,) = cache.entries()
    os.chown(entry / file, 65534, 65534)
    monkeypatch.setattr(module.np, "memmap", lambda *_, **__: pytest.fail("read"))
    with pytest.warns(UserWarning, match="not cached, so each read decodes"):
        assert get(cache) is None
    assert sorted(path.name for path in entry.iterdir()) == [MARK, "index", "pixels"]


def test_no_room_is_a_warning_and_no_cache(tmp_path, monkeypatch):
    cache = DecodedCache(tmp_path / "cache", 100)
    with pytest.warns(UserWarning, match=rf"no room for .* GB.*{CACHE_FOLDER}.*{CACHE_GIGABYTES}"):
        assert get(cache, pairs=fail) is None
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(module.shutil, "disk_usage", lambda path: usage._replace(free=500))
    with pytest.warns(UserWarning, match="no room"):
        assert get(DecodedCache(tmp_path / "cache", 10**9), pairs=fail) is None


def test_a_folder_that_cannot_be_made_is_a_warning(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.warns(UserWarning, match="not cached, so each read decodes"):
        assert get(DecodedCache(tmp_path / "file" / "cache", 10**6)) is None


def test_folder_from_the_environment(tmp_path, monkeypatch):
    monkeypatch.setenv(CACHE_FOLDER, str(tmp_path))
    monkeypatch.setenv(CACHE_GIGABYTES, "2.5")
    name = f"contrast-sweep-cache-{os.geteuid()}"
    assert DecodedCache.default() == DecodedCache(tmp_path / name, 2_500_000_000)
    monkeypatch.setenv(CACHE_FOLDER, "off")
    assert get(DecodedCache.default()) is None
    monkeypatch.delenv(CACHE_FOLDER)
    monkeypatch.setenv("XDG_CACHE_HOME", "/home/me/.cache")
    assert DecodedCache.default().folder == Path("/home/me/.cache") / name
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert DecodedCache.default().folder == Path(tempfile.gettempdir()) / name
    monkeypatch.setenv(CACHE_GIGABYTES, "plenty")
    with pytest.warns(UserWarning, match="not a number of gigabytes"):
        assert DecodedCache.default().folder is None


def test_cached_and_decoded_pixels_are_identical_and_changed_files_are_seen(tmp_path):
    tree = LOOK_ALIKES["folder"](tmp_path / "set")
    cached = Folder(tree.root, cache=DecodedCache(tmp_path / "cache", 10**9))
    plain = Folder(tree.root, cache=DecodedCache(None, 0))
    for split in cached.split_parts:
        for index in range(cached.size(split)):
            for left, right in zip(cached.read(split, index), plain.read(split, index), strict=True):
                np.testing.assert_array_equal(left, right)
    tree.label.write_bytes((tree.root / "labels/night/a.png").read_bytes())
    os.utime(tree.label, ns=(7, 7))
    calls = []
    changed = Folder(tree.root, cache=cached.cache)
    changed.decode = lambda pair: calls.append(pair.stem) or Folder.decode(changed, pair)
    changed.read("train", 0)
    changed.read("val", 0)
    assert calls == ["a", "b"]  # train alone is built again
