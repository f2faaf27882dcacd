"""What a search space may say; the exact words for what it may not are in test_messages."""

from pathlib import Path

import pytest

from orchestrator.errors import SpecError
from orchestrator.planning.plan import plan_sweep
from orchestrator.spec.blocks import Budget, Resources, Retries, Scheduler
from orchestrator.spec.settings import as_yaml, config_leaves, read_block
from orchestrator.spec.sweep_spec import read_spec, read_sweep_name
from orchestrator.spec.yaml_document import parse_yaml
from trainer.config import ContrastConfig, MemoryConfig, TrainConfig

HEAD = "method: ablation\nrecipe: small\n"
ONE_ROW = HEAD + "rows:\n  a: {}\n"
GRID = "method: grid\nrecipe: small\nparameters:\n"
README = "search_spaces/README.md"


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """A current folder with one recipe in it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "recipes").mkdir()
    (tmp_path / "recipes" / "small.yaml").write_text("data: {crop: [64, 64]}\nschedule.steps: 10\n")
    return tmp_path


def read(text, **options):
    Path("s.yaml").write_text(text)
    return read_spec(Path("s.yaml"), **options)


def test_a_whole_file_is_read():
    spec = read(
        "name: both\nquestion: Why?\nmethod: ablation\nrecipe: small\nmetric: {name: val/miou, mode: min}\n"
        "seeds: [7, 9]\nbaseline: b\nfixed: {optim.lr: 1e-4}\nresources: {gpus: 0.5, cpus: 2}\n"
        "table: {caption: C, label: 'tab:c', columns: [final/miou], published: p}\n"
        "rows:\n  a: {contrast: {memory.kind: pixel}, data.crop: [64, 96]}\n  b:\n"
    )

    assert (spec.name, spec.space.question, spec.space.method, spec.recipe) == ("both", "Why?", "ablation", "small")
    assert (spec.space.metric[0].name, spec.space.metric[0].goal, spec.baseline, spec.seeds) == (
        "val/miou",
        "minimize",
        "b",
        (7, 9),
    )
    assert [row.label for row in spec.rows] == ["a", "b"]
    assert spec.rows[0].factors() == {"contrast.memory.kind": "pixel", "data.crop": [64, 96]}
    assert spec.rows[1].factors() == {}
    assert spec.base["optim.lr"].value == 1e-4
    assert spec.base["optim.lr"].origin == "s.yaml:8"
    assert spec.base["schedule.steps"].origin == "recipes/small.yaml:2"
    assert spec.space.resources == Resources(cpus=2, gpus=0.5)
    assert (spec.space.table.caption, spec.space.table.label, spec.space.table.columns) == (
        "C",
        "tab:c",
        ("final/miou",),
    )
    assert spec.space.table.published == "p"
    assert spec.space.document.text.startswith("name: both")


def test_a_short_file_has_defaults():
    spec = read(ONE_ROW)

    assert (spec.name, spec.space.metric[0].name, spec.space.metric[0].goal, spec.seeds) == (
        "s",
        "final/miou",
        "maximize",
        (0,),
    )
    assert spec.baseline is None
    assert spec.space.resources == Resources(cpus=1, gpus="auto")
    assert "final/miou" in spec.space.table.record().columns


def test_resources_budget_retries_and_scheduler():
    spec = read(
        "method: random\ntrials: 3\nrecipe: small\nparameters:\n  contrast.temperature: {min: 0.1, max: 0.2}\n"
        "resources: {cpus: 2, gpus: 4}\nbudget: {gpu_hours: 20, wall_hours: 8, trial_hours: 0.5}\n"
        "retries: {lost: 0, timed_out: 2, back_off_seconds: 0.5}\nmax_consecutive_failures: 0\n"
        "scheduler: {kind: hyperband, grace_fraction: 0.5, reduction_factor: 4, startup_trials: 2}\n"
    )

    assert spec.space.resources == Resources(cpus=2, gpus=4, ranks=4)
    assert spec.space.budget == Budget(gpu_hours=20, wall_hours=8, trial_hours=0.5)
    assert spec.space.retries == Retries(lost=0, out_of_memory=3, timed_out=2, back_off_seconds=0.5)
    assert spec.space.max_consecutive_failures == 0
    assert spec.space.scheduler == Scheduler(kind="hyperband", grace_fraction=0.5, reduction_factor=4, startup_trials=2)


def test_the_defaults_of_budget_retries_and_scheduler():
    spec = read(ONE_ROW)

    assert (spec.space.budget, spec.space.retries, spec.space.scheduler, spec.search) == (
        Budget(),
        Retries(),
        None,
        None,
    )
    assert spec.space.max_consecutive_failures == 3
    assert Retries() == Retries(lost=3, out_of_memory=3, timed_out=0, back_off_seconds=5)


@pytest.mark.parametrize(
    ("given", "ranks"), [("gpus: 4", 4), ("gpus: 0.5", 1), ("gpus: 0, ranks: 2", 2), ("ranks: 3", 3), ("gpus: 1", 1)]
)
def test_a_trial_has_a_rank_per_gpu_or_as_many_as_it_says(given, ranks):
    assert read(f"{ONE_ROW}resources: {{{given}}}\n").space.resources.ranks == ranks


def test_later_settings_win():
    Path("recipes/small.yaml").write_text(
        "schedule.steps: 1\noptim.lr: 0.1\nmodel.dropout: 0.1\ndata.color_jitter: 0.1\n"
    )
    text = (
        f"{HEAD}rows:\n  a: {{data.color_jitter: 0.4}}\n  b: {{}}\n"
        "fixed: {optim.lr: 0.2, model.dropout: 0.2, data.color_jitter: 0.2}\n"
    )

    spec = read(text, settings=["model.dropout=0.3", "data.color_jitter=0.3"])
    trial = plan_sweep(spec, run_dir=Path("runs")).trials[0].config

    assert (trial.schedule.steps, trial.optim.lr, trial.model.dropout, trial.data.color_jitter) == (1, 0.2, 0.3, 0.4)


@pytest.mark.parametrize(
    ("given", "value"),
    [
        ("optim.lr=1", 1.0),
        ("data.crop=[64, 96]", (64, 96)),
        ("data.train_split=2024", "2024"),
        ("data.train_split=@a: {", "@a: {"),
        ("contrast.source=none", "none"),
    ],
)
def test_set_takes_yaml_values_and_plain_text(given, value):
    found = read(ONE_ROW, settings=[given]).base[given.partition("=")[0]].value

    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(("seeds", "expected"), [("3", (0, 1, 2)), (2, (0, 1)), ("11,13", (11, 13)), (None, (0,))])
def test_seeds_of_the_command_line(seeds, expected):
    assert read(ONE_ROW, seeds=seeds).seeds == expected


def test_the_name_shows_a_recipe_that_is_not_its_own(folder):
    (folder / "recipes" / "big.yaml").write_text("schedule.steps: 20\n")
    (folder / "elsewhere").mkdir()
    (folder / "elsewhere" / "mine.yaml").write_text("schedule.steps: 30\n")
    (folder / "recipes" / "wide").mkdir()
    (folder / "recipes" / "wide" / "big.yaml").write_text("extends: ../big.yaml\n")
    own, others = (None, "small", "recipes/small.yaml"), ("big", "recipes/big.yaml", "elsewhere/mine.yaml")
    in_folder = ("wide/big", "recipes/wide/big.yaml")
    names = {recipe: read(ONE_ROW, recipe=recipe).name for recipe in (*own, *others, *in_folder)}

    assert names == {
        None: "s",
        "small": "s",
        "recipes/small.yaml": "s",
        "big": "s@big",
        "recipes/big.yaml": "s@big",
        "elsewhere/mine.yaml": "s@mine",
        "wide/big": "s@wide-big",
        "recipes/wide/big.yaml": "s@wide-big",
    }
    assert read(ONE_ROW, recipe="wide/big").recipe == "wide/big"
    with pytest.raises(SpecError, match=r"no recipe 'wide/bg'; available: big, .*wide/big"):
        read(ONE_ROW, recipe="wide/bg")
    assert all(read_sweep_name(Path("s.yaml"), recipe=recipe).text == name for recipe, name in names.items())


def test_a_recipe_path_is_looked_up_beside_the_search_space_too(folder, monkeypatch):
    read(ONE_ROW.replace("recipe: small", "recipe: recipes/small.yaml"))
    (folder / "other").mkdir()
    monkeypatch.chdir(folder / "other")

    assert read_spec(Path("../s.yaml")).recipe == "small"


def test_grid_labels_are_short_unless_ambiguous():
    spec = read(
        f"{GRID}  contrast.anchors.kind: {{values: [hard, random]}}\n  contrast.mining.kind: {{values: [random]}}\n"
        "  data.crop: {values: [[64, 64], [96, 96]]}\n  contrast.temperature: {values: [1, 1e-3]}\n"
        "  optim.lr: {value: 0.5}\nbaseline: {contrast: {source: none}}\n"
    )

    assert [row.label for row in spec.rows[:3]] == [
        "baseline",
        "contrast.anchors.kind=hard, contrast.mining.kind=random, crop=[64, 64], temperature=1.0",
        "contrast.anchors.kind=hard, contrast.mining.kind=random, crop=[64, 64], temperature=0.001",
    ]
    assert len(spec.rows) == 9
    assert spec.baseline == "baseline"
    assert spec.base["optim.lr"].value == 0.5
    assert "optim.lr" not in spec.rows[1].factors()


def test_a_grid_may_name_one_of_its_rows_as_baseline():
    spec = read(f"{GRID}  contrast.temperature: {{values: [0.1, 0.2]}}\nbaseline: temperature=0.2\n")

    assert spec.baseline == "temperature=0.2"
    assert len(spec.rows) == 2


def test_defaults_written_as_yaml_read_back_as_the_defaults():
    lines = [f"{key}: {as_yaml(leaf.default)}" for key, leaf in config_leaves().items()]

    block = read_block(parse_yaml("\n".join(lines), "f.yaml").values)

    assert block.mistakes == ()
    assert {item.key: item.value for item in block.settings} == {
        key: leaf.default for key, leaf in config_leaves().items()
    }


def test_nested_and_dotted_settings_build_the_same_config():
    forms = (
        "{contrast.memory.kind: region, contrast.memory.regions_per_class: 7, contrast.weight: 1}",
        "{contrast: {memory: {kind: region, regions_per_class: 7}, weight: 1}}",
        "{contrast.memory: {kind: region}, contrast: {memory.regions_per_class: 7}, contrast.weight: 1.0}",
    )
    text = f"{HEAD}rows:\n" + "".join(f"  {index}: {form}\n" for index, form in enumerate(forms))

    trials = plan_sweep(read(text), run_dir=Path("runs")).trials

    assert len(trials) == 1
    memory = MemoryConfig(kind="region", regions_per_class=7)
    assert trials[0].config.contrast == ContrastConfig(weight=1.0, memory=memory)
    assert isinstance(trials[0].config, TrainConfig)
