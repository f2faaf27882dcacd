"""Search spaces and recipes of the project are found by name from any folder, and a user's own files win."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.errors import SpecError
from orchestrator.spec.recipes import find_recipe
from orchestrator.spec.shipped import SHIPPED_RECIPES, SHIPPED_SPACES, find_search_space
from orchestrator.spec.sweep_spec import read_spec, read_sweep_name

SPACE = "method: ablation\nrecipe: {recipe}\nbaseline: a\nrows:\n  a: {{contrast.source: none}}\n"
SPACES = sorted(path.stem for path in SHIPPED_SPACES.glob("*.yaml"))
RECIPES = sorted(
    path.relative_to(SHIPPED_RECIPES).with_suffix("").as_posix() for path in SHIPPED_RECIPES.rglob("*.yaml")
)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty current folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(file: str, text: str) -> Path:
    """A file of the user's."""
    path = Path(file)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("name", SPACES)
def test_a_search_space_of_the_project_is_found_by_name(name: str) -> None:
    for given in (name, f"{name}.yaml", f"search_spaces/{name}.yaml"):
        assert find_search_space(Path(given)) == SHIPPED_SPACES / f"{name}.yaml"
    assert read_sweep_name(Path(name)).text == name


@pytest.mark.parametrize("own", ["ablation_memory.yaml", "search_spaces/ablation_memory.yaml"])
def test_the_users_own_search_space_wins(own: str) -> None:
    write(own, SPACE.format(recipe="synthetic"))
    assert find_search_space(Path("ablation_memory")) == Path(own)
    assert len(read_spec(Path("ablation_memory")).rows) == 1


@pytest.mark.parametrize("given", ["/nowhere/ablation_memory.yaml", "mine/ablation_memory.yaml", "../ablation_memory"])
def test_a_path_into_another_folder_means_no_search_space_of_the_project(given: str) -> None:
    assert find_search_space(Path(given)) == Path(given)
    with pytest.raises(SpecError, match="no such file"):
        read_spec(Path(given))


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_of_the_project_is_found_by_name(name: str) -> None:
    shipped = SHIPPED_RECIPES / f"{name}.yaml"
    for given in (name, f"{name}.yaml", f"search_spaces/recipes/{name}.yaml"):
        assert find_recipe(given, Path("mine.yaml")) == shipped
    spec = write("mine.yaml", SPACE.format(recipe=name))
    assert read_spec(spec).recipe == name


@pytest.mark.parametrize(
    ("spec", "own"),
    [
        ("mine.yaml", "recipes/synthetic.yaml"),
        ("mine.yaml", "search_spaces/recipes/synthetic.yaml"),
        ("mine.yaml", "synthetic.yaml"),
        ("spaces/mine.yaml", "spaces/recipes/synthetic.yaml"),
        ("spaces/mine.yaml", "spaces/synthetic.yaml"),
        ("spaces/mine.yaml", "recipes/synthetic.yaml"),
        ("spaces/mine.yaml", "synthetic.yaml"),
        (str(SHIPPED_SPACES / "ablation_memory.yaml"), "recipes/synthetic.yaml"),
    ],
)
def test_the_users_own_recipe_wins(spec: str, own: str) -> None:
    write(own, "schedule.steps: 7\n")
    if not Path(spec).is_absolute():
        write(spec, SPACE.format(recipe="synthetic"))
    found = read_spec(Path(spec))
    assert found.base["schedule.steps"].value == 7
    assert found.recipe == "synthetic"


def test_a_search_space_beside_is_no_recipe() -> None:
    spec = write("synthetic.yaml", SPACE.format(recipe="synthetic"))
    assert find_recipe("synthetic", spec) == SHIPPED_RECIPES / "synthetic.yaml"


def test_own_files_extend_those_of_the_project() -> None:
    write("recipes/short.yaml", "extends: synthetic.yaml\nschedule.steps: 7\n")
    spec = write("mine.yaml", "extends: ablation_memory.yaml\nname: mine\nrecipe: short\nseeds: 1\n")
    found = read_spec(spec)
    assert found.base["schedule.steps"].value == 7
    assert found.rows[0].label == "w/o contrast"
    write("recipes/short.yaml", "extends: released/camvid_hrnet_w48.yaml\n")
    assert read_spec(spec).base["data.name"].value == "camvid"


def test_a_file_of_the_project_is_not_found_outside_its_folder() -> None:
    spec = write("mine.yaml", "extends: ../README.md\n")
    with pytest.raises(SpecError, match="no such file"):
        read_spec(spec)
