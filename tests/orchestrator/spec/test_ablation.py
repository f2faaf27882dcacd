"""Rows made from a baseline: one factor at a time, one component left out."""

from pathlib import Path

from orchestrator.planning.plan import plan_sweep

HEAD = "method: ablation\nrecipe: small\n"


def rows_of(spec):
    return {row.label: row.factors() for row in spec.rows}


def test_one_at_a_time_varies_each_factor_around_the_recipe(read_space):
    spec = read_space(
        HEAD + "one_at_a_time:\n  contrast.temperature: [0.05, 0.1, 0.2]\n  contrast.memory.kind: [pixel]\n"
    )

    assert spec.baseline == "baseline"
    assert rows_of(spec) == {
        "baseline": {},
        "temperature=0.05": {"contrast.temperature": 0.05},
        "temperature=0.2": {"contrast.temperature": 0.2},  # 0.1 is what the trainer takes anyway: the baseline
        "kind=pixel": {"contrast.memory.kind": "pixel"},
    }
    assert len(plan_sweep(spec, run_dir=Path("runs")).trials) == 4


def test_the_baselines_value_is_known_from_the_recipe_fixed_set_and_the_baseline_itself(read_space):
    Path("recipes/small.yaml").write_text("schedule: {steps: 7}\n")
    text = (
        f"{HEAD}fixed: {{optim.momentum: 0.8}}\nbaseline: {{contrast.weight: 0.5}}\none_at_a_time:\n"
        "  schedule.steps: [7, 8]\n  optim.momentum: [0.8, 0.7]\n  optim.lr: [0.3, 0.4]\n  contrast.weight: [0.5, 1]\n"
        "  schedule.policy: [poly, cosine]\n"
    )

    found = rows_of(read_space(text, settings=["optim.lr=0.3"]))

    assert list(found) == ["baseline", "steps=8", "momentum=0.7", "lr=0.4", "weight=1.0", "policy=cosine"]
    assert found["baseline"] == {"contrast.weight": 0.5}
    assert found["steps=8"] == {"contrast.weight": 0.5, "schedule.steps": 8}
    assert found["weight=1.0"] == {"contrast.weight": 1.0}


def test_one_at_a_time_around_a_listed_row(read_space):
    spec = read_space(
        f"{HEAD}rows:\n  w/o contrast: {{contrast.source: none}}\n  ours: {{contrast.memory.kind: pixel}}\n"
        "baseline: ours\none_at_a_time: {contrast.temperature: [0.2]}\n"
    )

    assert spec.baseline == "ours"
    assert rows_of(spec)["temperature=0.2"] == {"contrast.memory.kind": "pixel", "contrast.temperature": 0.2}
    assert list(rows_of(spec)) == ["w/o contrast", "ours", "temperature=0.2"]


def test_factors_that_would_look_alike_are_called_by_their_whole_key(read_space):
    spec = read_space(f"{HEAD}one_at_a_time: {{contrast.anchors.kind: [random], contrast.mining.kind: [random]}}\n")

    assert list(rows_of(spec)) == ["baseline", "contrast.anchors.kind=random", "contrast.mining.kind=random"]


COMPONENTS = """\
fixed: {contrast.memory.kind: none, contrast.mining.kind: random, contrast.anchors.kind: random}
leave_one_out:
  memory: {contrast.memory: {kind: pixel_region, pixels_per_class: 50}}
  semi-hard negatives: {contrast.mining.kind: semi_hard}
  hard anchors: {contrast.anchors.kind: hard}
"""


def test_leave_one_out_has_the_full_method_and_a_row_without_each_component(read_space):
    spec = read_space(HEAD + COMPONENTS)
    memory = {"contrast.memory.kind": "pixel_region", "contrast.memory.pixels_per_class": 50}
    negatives, anchors = {"contrast.mining.kind": "semi_hard"}, {"contrast.anchors.kind": "hard"}

    assert spec.baseline == "full"
    assert rows_of(spec) == {
        "full": memory | negatives | anchors,
        "w/o memory": negatives | anchors,
        "w/o semi-hard negatives": memory | anchors,
        "w/o hard anchors": memory | negatives,
    }
    plan = plan_sweep(spec, run_dir=Path("runs"))
    by_id = {trial.trial_id: trial.config for trial in plan.trials}
    configs = {cell.row: by_id[cell.trial_id] for cell in plan.record.cells}
    assert configs["w/o memory"].contrast.memory.kind == "none"
    assert configs["w/o hard anchors"].contrast.anchors.kind == "random"


def test_a_row_beside_the_components_and_another_baseline(read_space):
    spec = read_space(f"{HEAD}rows: {{w/o contrast: {{contrast.source: none}}}}\nbaseline: w/o contrast\n{COMPONENTS}")

    assert spec.baseline == "w/o contrast"
    assert list(rows_of(spec))[:2] == ["w/o contrast", "full"]
