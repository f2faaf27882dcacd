"""The JSON Schemas that editors read: true to the types, and agreed with every shipped file."""

import json
import re
from pathlib import Path

import jsonschema
import pytest

from orchestrator.__main__ import main
from orchestrator.commands.schema import PATHS, as_text, schema_with
from orchestrator.spec.json_schema import recipe_schema, search_space_schema
from orchestrator.spec.settings import config_leaves
from orchestrator.spec.yaml_document import parse_yaml, read_yaml

PROJECT = Path(__file__).resolve().parents[3]
SPACES = PROJECT / "search_spaces"
FILES = [*sorted(SPACES.glob("*.yaml")), *sorted((SPACES / "recipes").rglob("*.yaml"))]
README = (SPACES / "README.md").read_text(encoding="utf-8")
SCHEMAS = {name: json.loads((PROJECT / path).read_text(encoding="utf-8")) for name, path in PATHS.items()}


def mistakes(text, kind="search space"):
    """Whatever an editor would underline."""
    validator = jsonschema.Draft202012Validator(SCHEMAS[kind])
    return [error.message for error in validator.iter_errors(parse_yaml(text, "x").values)]


def test_the_committed_schemas_are_those_of_the_types():
    for name, schema in (("search space", search_space_schema()), ("recipe", recipe_schema())):
        jsonschema.Draft202012Validator.check_schema(schema)
        committed = (PROJECT / PATHS[name]).read_text(encoding="utf-8")
        assert committed == as_text(schema), "run python -m orchestrator schema"


def test_the_command_writes_both(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "search_spaces" / "recipes").mkdir(parents=True)

    assert main(["schema"]) == 0
    assert capsys.readouterr().out.split() == [str(path) for path in PATHS.values()]
    for path in PATHS.values():
        assert path.read_bytes() == (PROJECT / path).read_bytes()


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_every_shipped_file_names_its_schema_and_keeps_it(path):
    text = path.read_text(encoding="utf-8")
    named = re.match(r"# yaml-language-server: \$schema=((?:\.\./)?schema\.json)\n", text)
    schema = json.loads((path.parent / named[1]).read_text(encoding="utf-8"))

    jsonschema.Draft202012Validator(schema).validate(read_yaml(path).values)


@pytest.mark.parametrize(("fence", "kind"), [("yaml", "search space"), ("yaml recipe", "recipe")])
def test_every_example_of_the_readme_keeps_its_schema(fence, kind):
    blocks = re.findall(rf"^```{fence}\n((?:.*\n)*?)```$", README, flags=re.MULTILINE)

    assert blocks
    assert [mistakes(text, kind) for text in blocks] == [[]] * len(blocks)


HEAD = "method: ablation\nrecipe: small\n"
GRID = "method: grid\nrecipe: small\nparameters:\n"


@pytest.mark.parametrize(
    "text",
    [
        "recipe: small\n",
        "method: gird\n",
        f"{HEAD}metrics: x\n",
        f"{HEAD}rows: {{a: {{contrast.memory.pixels_per_clas: 3}}}}\n",
        f"{HEAD}rows: {{a: {{contrast: {{memory.kind: pixels}}}}}}\n",
        f"{HEAD}rows: {{a: {{contrast.temperature: warm}}}}\n",
        f"{HEAD}rows: {{a: {{schedule.steps: 1.5}}}}\n",
        f"{HEAD}rows: {{a: {{data.crop: [64]}}}}\n",
        f"{HEAD}rows: {{a: {{seed: 3}}}}\n",
        f"{HEAD}seeds: 0\n",
        f"{HEAD}seeds: [1, 1]\n",
        f"{HEAD}name: a/b\n",
        f"{HEAD}one_at_a_time: true\n",
        f"{HEAD}one_at_a_time: {{optim.lr: 0.1}}\n",
        f"{HEAD}leave_one_out: {{a: 3}}\n",
        f"{HEAD}resources: {{cpus: 0}}\n",
        f"{HEAD}budget: {{gpu_hours: -1}}\n",
        f"{HEAD}retries: {{lost: few}}\n",
        f"{HEAD}metric: {{name: final/miou, goal: up}}\n",
        f"{HEAD}metric: []\n",
        f"{GRID}  optim.lr: {{}}\n",
        f"{GRID}  optim.lr: {{values: [a]}}\n",
        f"{GRID}  contrast.memory.kind: {{values: [pixels]}}\n",
        f"{GRID}  contrast.memory.kind: {{min: 0, max: 1}}\n",
        f"{GRID}  optim.lr: {{min: 0, max: 1, distribution: normal}}\n",
        f"{GRID}  optim.lr: {{values: [1]}}\nwhen: {{optim.lr: {{contrast.memory.kind: pixel}}}}\n",
        f"{GRID}  optim.lr: {{values: [1]}}\nscheduler: {{kind: pbt}}\n",
        f"{GRID}  optim.lr: {{values: [1]}}\nscheduler: {{grace_fraction: 1}}\n",
        f"{GRID}  optim.lr: {{values: [1]}}\nzip: [optim.lr]\n",
    ],
)
def test_a_wrong_file_is_underlined(text):
    assert mistakes(text)


@pytest.mark.parametrize("text", ["optim.lr: warm\n", "optim: {rate: 1}\n", "method: grid\n", "seed: 1\n"])
def test_a_wrong_recipe_is_underlined(text):
    assert mistakes(text, "recipe")


def test_everything_is_explained():
    definitions = SCHEMAS["search space"]["$defs"]

    assert all(text.get("description") for text in SCHEMAS["search space"]["properties"].values())
    assert all(definitions[key]["description"] for key in config_leaves())
    assert definitions["contrast.temperature"]["description"] == "Divides the cosine similarities."
    assert all(item.get("description") for item in definitions["Scheduler"]["properties"].values())


EXAMPLES = PROJECT / "examples"


@pytest.mark.parametrize(
    ("example", "named"),
    [("own_trainer", "my_trainer.py"), ("own_trainer", "digits.yaml"), ("own_script", "digits.yaml")],
)
def test_the_keys_of_another_workload_are_known(example, named, monkeypatch, capsys):
    monkeypatch.chdir(EXAMPLES / example)
    assert main(["schema", "--workload", named]) == 0
    schema = json.loads(capsys.readouterr().out)
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    validator.validate(read_yaml(Path("digits.yaml")).values)
    for row in ("{width: wide}", "{optim.lr: 0.1}", "{seed: 3}"):
        wrong = parse_yaml(f"method: ablation\nworkload: my_trainer.py\nrows: {{a: {row}}}\n", "x").values
        assert list(validator.iter_errors(wrong)), row


def test_a_key_may_be_named_like_a_definition(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    settings = "{settings: 1, condition: a, Objective: true, data_set: 0.5, parameter: 2}"
    command = "echo {seed} {settings} {condition} {Objective} {data_set} {parameter}"
    (tmp_path / "s.yaml").write_text(
        "method: ablation\n"
        f"workload: {{command: '{command}', settings: {settings}, metrics: {{final/a: {{direction: max}}}}}}\n"
        "rows: {a: {settings: 2, condition: b, Objective: false, data_set: 1, parameter: 3}}\n",
        encoding="utf-8",
    )
    validator = jsonschema.Draft202012Validator(json.loads(schema_with([], "s.yaml")))
    right = read_yaml(Path("s.yaml")).values
    validator.validate(right)
    for key, value in (("settings", "x"), ("condition", 3), ("Objective", 3), ("data_set", "x"), ("parameter", "x")):
        wrong = {**right, "rows": {"a": {key: value}}}
        assert list(validator.iter_errors(wrong)), key


def test_a_workload_that_cannot_be_read_is_one_line(capsys):
    assert main(["schema", "--workload", "nowhere.py"]) == 2
    assert "nowhere.py: cannot be read (No such file or directory); correct the path" in capsys.readouterr().err


def test_a_file_that_extends_another_may_leave_the_method_to_it():
    assert mistakes("extends: shared.yaml\n") == []
