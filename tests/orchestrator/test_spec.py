"""What a search space may say, and the exact words for what it may not."""

from pathlib import Path

import pytest

from orchestrator.errors import SpecError
from orchestrator.plan import plan_sweep
from orchestrator.settings import config_leaves, read_block, shown
from orchestrator.spec import Resources, read_spec, sweep_name
from orchestrator.yaml_reader import parse_yaml
from trainer.config import BACKBONE_NAMES, ContrastConfig, MemoryConfig, TrainConfig

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


def messages(text, **options):
    """Everything that reading and planning complain about."""
    with pytest.raises(SpecError) as caught:
        plan_sweep(read(text, **options), run_dir=Path("runs"))
    return list(caught.value.messages)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("contrast.memory.pixels_per_clas: 3", "unknown key; did you mean 'pixels_per_class'?"),
        ("contrast.temperature: warm", "must be a number, not 'warm'; write for example 0.1"),
        ("contrast.temperature: '0.1'", "must be a number, not '0.1'; write for example 0.1"),
        ("contrast.temperature: .nan", "must be a number, not nan; write for example 0.1"),
        ("contrast.temperature: -1", "must be positive; got -1.0"),
        ("contrast.memory.kind: pixels", "'pixels' is not a choice; choose none, pixel, region, pixel_region"),
        ("contrast.source: ~", "null is not a choice; choose none, intra_image, inter_image"),
        ("schedule.steps: 1.5", "must be a whole number, not 1.5; write for example 300"),
        ("schedule.steps: true", "must be a whole number, not true; write for example 300"),
        ("schedule.steps: '3'", "must be a whole number, not '3'; write for example 300"),
        ("schedule.steps: 0", "must be at least 1; got 0"),
        ("data.crop: [64]", "must be a list of 2 whole numbers, not [64]; write for example [96, 128]"),
        ("data.crop: [64, 16]", "both sides must be at least 32 pixels; got [64, 16]"),
        ("data.root: 3", "must be text, not 3; put it in quotes"),
        ("temperature: 1", "unknown key; did you mean 'contrast.temperature'?"),
        ("memory.kind: pixel", "unknown key; did you mean 'contrast.memory.kind'?"),
        (
            "optim.learning: 1",
            (
                "unknown key; choose lr, momentum, weight_decay, poly_power, head_lr_multiplier, "
                "decay_norms_and_biases, clip_norm, ema_decay"
            ),
        ),
        ("foo: 1", "unknown key; choose data, model, contrast, loss, optim, schedule, evaluation, compute"),
        ("contrast: 1", "a block, not a value; set its keys, for example contrast.source"),
        ("seed: 3", "a seed is replication, not a setting; use `seeds`"),
        (
            "model.backbone: resnt",
            f"unknown backbone 'resnt'; choose {', '.join(BACKBONE_NAMES)}, or timm/<name>",
        ),
    ],
)
def test_a_wrong_setting_is_told_with_file_line_key_and_remedy(row, message):
    key = row.partition(":")[0]

    assert messages(f"{HEAD}rows:\n  good: {{}}\n  bad: {{{row}}}\n") == [f"s.yaml:5: {key}: {message}"]


def test_a_leaf_is_no_block_and_a_colon_wants_a_space():
    text = f"{HEAD}rows:\n  a: {{contrast.temperature.x: 1, contrast.source:none}}\n"

    assert messages(text) == [
        "s.yaml:4: contrast.temperature.x: contrast.temperature is a value, not a block; remove the part after it",
        "s.yaml:4: contrast.source:none: unknown key; put a space after the colon",
    ]


def test_a_complaint_of_two_keys_names_the_cause_that_somebody_set():
    text = f"{HEAD}rows:\n  a: {{model.backbone: hrnet_w18, data.crop: [64, 80]}}\n"

    assert messages(text) == [
        "s.yaml:4: data.crop: an HRNet needs sides that are multiples of 32, not [64, 80]",
    ]
    assert messages(f"{HEAD}rows:\n  a: {{data.name: camvid}}\n") == [
        "s.yaml:4: data.root: the data set 'camvid' needs its folder; add `data.root: PATH` or `--set data.root=PATH`",
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"{HEAD}rows: {{}}\n", ["3: rows: an ablation needs at least one row; add `LABEL: {key: value}`"]),
        (HEAD, ["1: rows: an ablation needs at least one row; add `LABEL: {key: value}`"]),
        (f"{HEAD}rows: {{'': {{}}}}\n", ["3: rows: a row without label; name it"]),
        (f"{HEAD}rows: {{a: 3}}\n", [f"3: rows.a: must be a block of `key: value` lines, not 3; see {README}"]),
        ("recipe: small\nrows: {a: {}}\n", [f"1: method: missing; add `method: ablation`, see {README}"]),
        (
            "method: tpe\nrecipe: small\n",
            ["1: method: 'tpe' is not supported yet; choose ablation or grid"],
        ),
        ("method: gird\nrecipe: small\n", ["1: method: 'gird' is not a method; choose ablation or grid"]),
        (
            "method: ablation\nrows: {a: {}}\n",
            ["1: recipe: missing; add `recipe: NAME` or --recipe NAME (there are: small)"],
        ),
        ("method: ablation\nrecipe: smal\nrows: {a: {}}\n", ["2: recipe: no recipe 'smal'; there are: small"]),
        (
            f"{ONE_ROW}seeds: 0\n",
            ["5: seeds: must be at least 1, not 0; write the number of repetitions, or a list of seeds"],
        ),
        (f"{ONE_ROW}seeds: [1, 2, 1]\n", ["5: seeds: seed 1 is given twice; remove one"]),
        (
            f"{ONE_ROW}seeds: [-1]\n",
            ["5: seeds: must be a number or a list of whole numbers from 0, not [-1]; write for example 3"],
        ),
        (f"{HEAD}rows: {{pixel: {{}}}}\nbaseline: pixels\n", ["4: baseline: no row 'pixels'; did you mean 'pixel'?"]),
        (f"{ONE_ROW}baseline: b\n", ["5: baseline: no row 'b'; choose a"]),
        (f"{ONE_ROW}baseline: {{a: 1}}\n", ["5: baseline: an ablation names one of its rows; choose a"]),
        (f"{ONE_ROW}metrics: x\n", ["5: metrics: unknown key; did you mean 'metric'?"]),
        (f"{ONE_ROW}metric: {{name: 3}}\n", ["5: metric.name: must be text, not 3; put it in quotes"]),
        (f"{ONE_ROW}metric: {{goal: max}}\n", ["5: metric.goal: 'max' is not a choice; choose maximize or minimize"]),
        (
            f"{ONE_ROW}metric: {{goal: maximize, mode: min}}\n",
            ["5: metric: goal maximize contradicts mode min; remove one of the two"],
        ),
        (
            f"{ONE_ROW}name: a/b\n",
            ["5: name: 'a/b' cannot name a folder; use letters, digits, _ - and ."],
        ),
        (
            f"{ONE_ROW}resources: {{gpus: two, cpus: 0}}\n",
            [
                "5: resources.cpus: must be a number above 0, not 0; write for example 1",
                "5: resources.gpus: must be auto or a number from 0, not 'two'; write for example 1 or 0.25",
            ],
        ),
        (f"{ONE_ROW}table: {{columns: a}}\n", ["5: table.columns: must be a list, not 'a'; write [...]"]),
        (f"{ONE_ROW}trials: 3\n", [f"5: trials: not supported yet; see {README} for what is"]),
        (
            f"{ONE_ROW}parameters: {{}}\n",
            ["5: parameters: belongs to `method: grid`; remove it or change the method"],
        ),
        (f"{ONE_ROW}rows: {{b: {{}}}}\n", ["5: rows: given twice (first in line 3); remove one of the two"]),
        (
            f"{HEAD}rows:\n  a: {{optim.lr: 0.1}}\nfixed: {{optim.lr: 0.2}}\n",
            ["5: optim.lr: has no effect, as every row sets this key itself; remove one of the two"],
        ),
        (
            f"{HEAD}rows:\n  a: {{optim: {{lr: 0.1}},\n      optim.lr: 0.2}}\n",
            ["5: optim.lr: given twice (also at s.yaml:4); remove one"],
        ),
        (GRID, ["3: parameters: a grid needs a key with `values: [...]`; add one"]),
        (
            f"{GRID}  optim.lr: {{value: 1}}\n",
            ["3: parameters: a grid needs a key with `values: [...]`; add one"],
        ),
        (f"{GRID}  optim.lr: {{values: []}}\n", ["4: optim.lr: no values; list at least one"]),
        (f"{GRID}  optim.lr: {{values: [0.1, 1e-1]}}\n", ["4: optim.lr: 0.1 is listed twice; remove one"]),
        (f"{GRID}  optm.lr: {{values: [1, 2]}}\n", ["4: optm.lr: unknown key; did you mean 'optim.lr'?"]),
        (
            f"{GRID}  optim.lr:\n    values:\n      - 1\n      - a\n      - b\n",
            [
                "7: optim.lr: must be a number, not 'a'; write for example 0.01",
                "8: optim.lr: must be a number, not 'b'; write for example 0.01",
            ],
        ),
        (
            f"{GRID}  optim.lr: {{value: 1, values: [0.1]}}\n",
            ["4: optim.lr: give either `values: [...]` or `value: x`"],
        ),
        (
            f"{GRID}  optim.lr: {{min: 1}}\n",
            [f"4: parameters.optim.lr.min: not supported yet; see {README} for what is"],
        ),
        (
            f"{GRID}  optim.lr: [1]\n",
            [f"4: parameters.optim.lr: must be a block of `key: value` lines, not [1]; see {README}"],
        ),
    ],
)
def test_a_wrong_file_is_told_with_line_key_and_remedy(text, expected):
    assert messages(text) == [f"s.yaml:{message}" for message in expected]


def test_all_mistakes_come_at_once():
    text = f"{HEAD}rows:\n  a: {{foo: 1}}\n  b: {{optim.lr: x}}\nseeds: 0\nmetrics: 1\nfixed: {{bar: 2}}\n"
    Path("recipes/small.yaml").write_text("# mine\nschedule: {stepz: 3}\n")

    assert messages(text, settings=["schedule.steps=many"]) == [
        "s.yaml:6: seeds: must be at least 1, not 0; write the number of repetitions, or a list of seeds",
        "s.yaml:7: metrics: unknown key; did you mean 'metric'?",
        "s.yaml:4: foo: unknown key; choose data, model, contrast, loss, optim, schedule, evaluation, compute",
        "s.yaml:5: optim.lr: must be a number, not 'x'; write for example 0.01",
        "recipes/small.yaml:2: schedule.stepz: unknown key; did you mean 'steps'?",
        "s.yaml:8: bar: unknown key; choose data, model, contrast, loss, optim, schedule, evaluation, compute",
        "--set schedule.steps=many: schedule.steps: must be a whole number, not 'many'; write for example 300",
    ]


def test_a_grid_too_large_is_a_slip():
    levels = ", ".join(str(value) for value in range(1, 401))
    text = f"{GRID}  schedule.steps: {{values: [{levels}]}}\n  optim.lr: {{values: [{levels}]}}\n"

    assert messages(text) == ["s.yaml:3: parameters: 160000 combinations, more than 100000; list fewer values"]


SYNTAX = "check indentation, colons, brackets and quotes here"


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("set", "data.root", "not of the form key=value; write for example --set schedule.steps=100"),
        ("set", "a.b=1", "a.b: unknown key; choose data, model, contrast, loss, optim, schedule, evaluation, compute"),
        ("set", "optim.lr=-1", "optim.lr: must be positive; got -1.0"),
        ("set", "optim.lr=@", f"not valid YAML: found character '@' that cannot start any token; {SYNTAX}"),
        ("seeds", "0", "seeds: must be at least 1, not 0; write the number of repetitions, or a list of seeds"),
        ("seeds", "a", "seeds: must be a number or whole numbers with commas, not 'a'; write for example 3"),
        ("seeds", "1,1", "seeds: seed 1 is given twice; remove one"),
        ("recipe", "nope", "recipe: no recipe 'nope'; there are: small"),
        ("recipe", "x/nope.yaml", "recipe: no recipe 'x/nope.yaml'; there are: small"),
    ],
)
def test_a_wrong_option_is_told_as_it_was_typed(name, value, message):
    options = {"settings": [value]} if name == "set" else {name: value}

    assert messages(ONE_ROW, **options) == [f"--{name} {value}: {message}"]


def test_a_key_is_set_once():
    assert messages(ONE_ROW, settings=["optim.lr=1", "optim.lr=2"]) == [
        "--set optim.lr=2: optim.lr: given twice (--set optim.lr=1); remove one"
    ]


def test_a_whole_file_is_read():
    spec = read(
        "name: both\nquestion: Why?\nmethod: ablation\nrecipe: small\nmetric: {name: val/miou, mode: min}\n"
        "seeds: [7, 9]\nbaseline: b\nfixed: {optim.lr: 1e-4}\nresources: {gpus: 0.5, cpus: 2}\n"
        "table: {caption: C, label: 'tab:c', columns: [final/miou], published: p}\n"
        "rows:\n  a: {contrast: {memory.kind: pixel}, data.crop: [64, 96]}\n  b:\n"
    )

    assert (spec.name, spec.question, spec.method, spec.recipe) == ("both", "Why?", "ablation", "small")
    assert (spec.metric, spec.goal, spec.baseline, spec.seeds) == ("val/miou", "minimize", "b", (7, 9))
    assert [row.label for row in spec.rows] == ["a", "b"]
    assert spec.rows[0].factors() == {"contrast.memory.kind": "pixel", "data.crop": [64, 96]}
    assert spec.rows[1].factors() == {}
    assert spec.base["optim.lr"].value == 1e-4
    assert spec.base["optim.lr"].origin == "s.yaml:8"
    assert spec.base["schedule.steps"].origin == "recipes/small.yaml:2"
    assert spec.resources == Resources(cpus=2, gpus=0.5)
    assert (spec.table.caption, spec.table.label, spec.table.columns) == ("C", "tab:c", ("final/miou",))
    assert spec.table.published == "p"
    assert spec.text.startswith("name: both")


def test_a_short_file_has_defaults():
    spec = read(ONE_ROW)

    assert (spec.name, spec.metric, spec.goal, spec.seeds) == ("s", "final/miou", "maximize", (0,))
    assert spec.baseline is None
    assert spec.resources == Resources(cpus=1, gpus="auto")
    assert "final/miou" in spec.table.columns


def test_what_is_said_later_wins():
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
def test_set_takes_yaml_values_and_any_text(given, value):
    found = read(ONE_ROW, settings=[given]).base[given.partition("=")[0]].value

    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(("seeds", "expected"), [("3", (0, 1, 2)), (2, (0, 1)), ("11,13", (11, 13)), (None, (0,))])
def test_seeds_of_the_command_line(seeds, expected):
    assert read(ONE_ROW, seeds=seeds).seeds == expected


def test_the_name_tells_a_recipe_that_is_not_its_own(folder):
    (folder / "recipes" / "big.yaml").write_text("schedule.steps: 20\n")
    (folder / "elsewhere").mkdir()
    (folder / "elsewhere" / "mine.yaml").write_text("schedule.steps: 30\n")
    names = {
        recipe: read(ONE_ROW, recipe=recipe).name
        for recipe in (None, "small", "recipes/small.yaml", "big", "recipes/big.yaml", "elsewhere/mine.yaml")
    }

    assert names == {
        None: "s",
        "small": "s",
        "recipes/small.yaml": "s",
        "big": "s@big",
        "recipes/big.yaml": "s@big",
        "elsewhere/mine.yaml": "s@mine",
    }
    assert all(sweep_name(Path("s.yaml"), recipe) == name for recipe, name in names.items())


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
    lines = [f"{key}: {shown(leaf.default)}" for key, leaf in config_leaves().items()]
    document, problems = parse_yaml("\n".join(lines), "f.yaml"), []

    settings = read_block(document.values, document.origins, (), problems)

    assert problems == []
    assert {item.key: item.value for item in settings} == {key: leaf.default for key, leaf in config_leaves().items()}


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
