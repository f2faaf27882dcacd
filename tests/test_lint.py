"""The pre-commit hooks run what `make lint` runs, so a commit that they let through passes there."""

from __future__ import annotations

import re
from pathlib import Path

from ruamel.yaml import YAML

PROJECT = Path(__file__).resolve().parents[1]


def test_the_hooks_are_the_commands_of_make_lint() -> None:
    makefile = (PROJECT / "Makefile").read_text(encoding="utf-8")
    (recipe,) = re.findall(r"^lint:.*\n((?:\t.*\n)+)", makefile, flags=re.MULTILINE)
    commands = [line.strip().replace("$(BIN)", ".venv/bin") for line in recipe.splitlines()]
    config = YAML(typ="safe").load((PROJECT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))
    hooks = [hook for repository in config["repos"] for hook in repository["hooks"]]
    assert [hook["entry"] for hook in hooks] == commands
    # Each tool looks at the whole project, as in `make lint`, whatever files a commit touches.
    assert all(hook["always_run"] and not hook["pass_filenames"] for hook in hooks)
    assert all(hook["language"] == "system" for hook in hooks)
