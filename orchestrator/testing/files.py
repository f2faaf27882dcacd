"""FilesContract: what every backend of a run directory must do; a test class inherits it and provides `files`."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from orchestrator.store.backends import Files

__all__ = ["AtomicFilesContract", "FilesContract"]


class FilesContract:
    """Inherit it and provide the fixture `files: Files`, an empty run directory."""

    def test_missing_files_and_folders_read_as_empty(self, files: Files) -> None:
        assert files.read("trials/a/trial.json") is None
        assert files.read("trials/a/trial.json", 7) is None
        assert files.map(files.read, ["x", "y/z"]) == [None, None]
        assert files.names("trials") == []
        assert files.map(files.names, ["trials", "sweeps"]) == [[], []]
        assert files.sizes("trials") == {}
        assert files.stamps(["trials/a/x", "trials/b/x"]) == [None, None]
        files.delete("trials/a/x")
        files.delete_folder("trials/a")

    def test_what_is_written_is_read(self, files: Files) -> None:
        files.write("trials/a/x.json", b"one")
        files.write("trials/a/pictures/y.png", b"\0" * 5)
        files.write("trials/b/x.json", b"")
        files.write("trials/a/x.json", b"three")
        assert files.read("trials/a/x.json") == b"three"
        assert files.read("trials/a/x.json", 3) == b"ee"
        assert files.read("trials/a/x.json", 5) == files.read("trials/b/x.json", 7) == b""
        assert files.map(files.read, ["trials/b/x.json", "trials/c/x.json", "trials/a/x.json"]) == [b"", None, b"three"]
        assert sorted(files.names("trials")) == ["a", "b"]
        assert [sorted(names) for names in files.map(files.names, ["trials/a", "trials/c"])] == [
            ["pictures", "x.json"],
            [],
        ]
        assert files.sizes("trials/a") == {"x.json": 5, "pictures/y.png": 5}

    def test_only_the_first_creates(self, files: Files) -> None:
        assert files.create("lease/000001", b"first")
        assert not files.create("lease/000001", b"second")
        assert files.read("lease/000001") == b"first"
        assert files.names("lease") == ["000001"], "no partial file stays"

    def test_deleting_removes_that_and_nothing_else(self, files: Files) -> None:
        for key in ("trials/a/x", "trials/a/sub/y", "trials/ab/x", "trials/b/x"):
            files.write(key, b"1")
        files.delete("trials/b/x")
        files.delete_folder("trials/a")
        assert files.read("trials/a/sub/y") is None
        assert "ab" in files.names("trials")
        assert "a" not in files.names("trials")
        assert files.read("trials/ab/x") == b"1"

    def test_the_stamp_of_a_deleted_trial_is_none(self, files: Files) -> None:
        files.write("trials/a/x", b"1")
        files.write("trials/b/x", b"1")
        before = files.stamps(["trials/a/x", "trials/b/x"])
        assert None not in before
        files.delete_folder("trials/b")
        assert files.stamps(["trials/a/x", "trials/b/x"]) == [before[0], None]


class AtomicFilesContract(FilesContract):
    """For backends whose `create` is atomic; with others a lease checks its file again after `settle_seconds`."""

    def test_one_of_several_concurrent_calls_creates(self, files: Files) -> None:
        with ThreadPoolExecutor(8) as pool:
            created = list(pool.map(lambda index: files.create("lease/1", str(index).encode()), range(8)))
        assert sum(created) == 1
        assert files.read("lease/1") == str(created.index(True)).encode()
