"""docs/own_method.md, followed literally, and its example: run, edited and run again without Ray."""

import re
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.end_to_end.conftest import PROJECT, TINY_RECIPE, Command, attempts

PAGE = (PROJECT / "docs/own_method.md").read_text(encoding="utf-8")
EXAMPLE = PROJECT / "examples/own_method"


@pytest.fixture
def example(folder: Path) -> Path:
    """The folder of the test with the files of the example, and a recipe whose trials take a second."""
    for path in EXAMPLE.glob("*.*"):
        shutil.copy(path, folder)
    (folder / "tiny.yaml").write_text(TINY_RECIPE, encoding="utf-8")
    return folder


def states(folder: Path) -> dict[str, list[str]]:
    """The states of the attempts of each trial."""
    return {trial: [record["state"] for record in records] for trial, records in attempts(folder).items()}


@pytest.mark.usefixtures("without_figures", "without_mlflow")
def test_an_edited_sampler_runs_again_and_nothing_else(example: Path, command_here: Command) -> None:
    line = ("orchestrator.sweep", "boundary.yaml", "--recipe", "tiny.yaml", "--executor", "serial")
    first = command_here(*line, "--seeds", "1")
    assert first.returncode == 0, first.stdout + first.stderr
    assert "Code from plugins: boundary (my_sampler.py, " in first.stdout
    before = states(example)
    assert list(before.values()) == [["done"]] * 3
    (table,) = (example / "reports/out").glob("*/table.txt")
    assert "boundary, width 3\t" in table.read_text(encoding="utf-8"), (
        "the sweep writes the table style of the example, too"
    )

    sampler = example / "my_sampler.py"
    sampler.write_text(sampler.read_text().replace("(context.per_class + 1) // 2", "context.per_class // 2"))
    edited = command_here(*line, "--seeds", "1")
    assert "3 trials, 1 done already, 2 to run" in edited.stdout
    assert edited.returncode == 0
    after = states(example)
    assert list(after.values()) == [["done"]] * 5

    sampler.write_text(sampler.read_text().replace("first = sample", "first = 1 / 0 and sample"))
    broken = command_here(*line, "--seeds", "1")
    number = sampler.read_text().partition("1 / 0")[0].count("\n") + 1
    assert broken.returncode == 1
    assert f"ZeroDivisionError: {sampler}:{number}: division by zero" in broken.stdout


def commands() -> Iterator[list[str]]:
    """The commands of the page."""
    for block in re.findall(r"```bash\n(.*?)```", PAGE, flags=re.DOTALL):
        for line in block.splitlines():
            if line.strip():
                yield shlex.split(line, comments=True)


@pytest.mark.slow
def test_the_page_is_followed_literally(example: Path, command: Command, command_here: Command) -> None:
    """Its commands run, its search space is legal, and its code is that of the example."""
    found = list(commands())
    assert len(found) >= 4
    for line in found:
        assert line[:2] == ["python", "-m"]
        module, *arguments = line[2:]
        run = command if module == "trainer.plugins" else command_here  # which runs pytest
        done = run(module, *arguments)
        assert done.returncode == 0, f"{line}: {done.stdout}{done.stderr}"
    (space,) = re.findall(r"```yaml\n(.*?)```", PAGE, flags=re.DOTALL)
    (example / "page.yaml").write_text(f"method: ablation\nrecipe: ./tiny.yaml\n{space}", encoding="utf-8")
    done = command_here("orchestrator.sweep", "page.yaml", "--dry-run")
    assert done.returncode == 0, done.stderr
    blocks = re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)
    for name, code in zip(("my_sampler.py", "my_style.py"), blocks, strict=True):
        text = (example / name).read_text(encoding="utf-8")
        for statement in filter(str.strip, code.splitlines()):
            assert statement.removesuffix(" ...") in text, f"{statement} is not in {name}"
