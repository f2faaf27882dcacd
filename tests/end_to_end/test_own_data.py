"""docs/own_data.md, followed literally on a data set of masks; and every key of a description is on the page."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys

from tests.end_to_end.conftest import PROJECT, environment
from tests.trainer.data.layouts import LAYOUTS
from trainer.data.reading.description import KEYS, read_description

PAGE = (PROJECT / "docs/own_data.md").read_text(encoding="utf-8")


def test_the_page_followed_literally(tmp_path):
    LAYOUTS["binary_masks"](tmp_path / "street")
    for name, text in re.findall(r"```yaml (\S+)\n(.*?)```", PAGE, re.DOTALL):
        (tmp_path / name).write_text(text)
    (commands,) = re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)
    before = sorted((path, path.stat().st_mtime_ns) for path in (tmp_path / "street").rglob("*"))
    for line in commands.splitlines():
        done = subprocess.run(
            [sys.executable, *shlex.split(line)[1:]], cwd=tmp_path, env=environment(), capture_output=True, text=True
        )
        assert done.returncode == 0, (line, done.stdout, done.stderr)
    assert sorted((path, path.stat().st_mtime_ns) for path in (tmp_path / "street").rglob("*")) == before
    (table,) = (tmp_path / "reports").rglob("table.md")
    assert "street, test split (1 images, trained on 8)" in table.read_text(encoding="utf-8")


def test_the_page_has_every_key():
    rows = re.findall(r"^\| `(\w+)` \|", PAGE, re.MULTILINE)
    assert tuple(rows) == KEYS


def test_the_descriptions_on_the_page_are_read(tmp_path):
    examples = re.findall(r"```yaml\n(names?:.*?)```", PAGE, re.DOTALL)
    assert len(examples) == 2
    for text in examples:
        (tmp_path / "classes.yaml").write_text(text)
        assert len(read_description(tmp_path / "classes.yaml").class_names) > 1
    (splits,) = re.findall(r"```yaml\n(splits:.*?)```", PAGE, re.DOTALL)
    for line in splits.splitlines():
        files = "" if "train: training" in line or "[train, val]" in line else "images: a/*.png\nlabels: b/{stem}.png\n"
        (tmp_path / "classes.yaml").write_text(f"names: [a, b]\n{files}{line}\n")
        read_description(tmp_path / "classes.yaml")
