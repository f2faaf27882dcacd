"""Grids: labels and order, paired lists, skipped combinations, factors that count only somewhere."""

GRID = "method: grid\nrecipe: small\nparameters:\n"
THREE = (
    f"{GRID}  contrast.temperature: {{values: [0.1, 0.2]}}\n  contrast.memory.kind: {{values: [none, pixel]}}\n"
    "  contrast.memory.pixels_per_class: {values: [5, 6]}\n"
)


def labels(spec):
    return [row.label for row in spec.rows]


def test_the_last_factor_runs_fastest(read_space):
    assert labels(read_space(THREE))[:3] == [
        "temperature=0.1, kind=none, pixels_per_class=5",
        "temperature=0.1, kind=none, pixels_per_class=6",
        "temperature=0.1, kind=pixel, pixels_per_class=5",
    ]


def test_paired_lists_count_as_one_factor(read_space):
    spec = read_space(f"{THREE}zip: [[contrast.memory.pixels_per_class, contrast.temperature]]\n")

    assert labels(spec) == [
        "temperature=0.1, kind=none, pixels_per_class=5",
        "temperature=0.1, kind=pixel, pixels_per_class=5",
        "temperature=0.2, kind=none, pixels_per_class=6",
        "temperature=0.2, kind=pixel, pixels_per_class=6",
    ]


def test_a_skipped_combination_is_any_with_those_values(read_space):
    spec = read_space(
        f"{THREE}skip:\n  - {{contrast: {{temperature: 0.1, memory.kind: pixel}}}}\n"
        "  - {contrast.memory.pixels_per_class: 6}\n"
    )

    assert labels(spec) == [
        "temperature=0.1, kind=none, pixels_per_class=5",
        "temperature=0.2, kind=none, pixels_per_class=5",
        "temperature=0.2, kind=pixel, pixels_per_class=5",
    ]


def test_a_conditional_factor_is_not_set_elsewhere(read_space):
    spec = read_space(f"{THREE}when: {{contrast.memory.pixels_per_class: {{contrast.memory.kind: [pixel]}}}}\n")

    assert labels(spec) == [
        "temperature=0.1, kind=none",
        "temperature=0.1, kind=pixel, pixels_per_class=5",
        "temperature=0.1, kind=pixel, pixels_per_class=6",
        "temperature=0.2, kind=none",
        "temperature=0.2, kind=pixel, pixels_per_class=5",
        "temperature=0.2, kind=pixel, pixels_per_class=6",
    ]
    assert spec.rows[0].factors() == {"contrast.temperature": 0.1, "contrast.memory.kind": "none"}


def test_conditions_follow_each_other(read_space):
    spec = read_space(
        f"{THREE}when:\n  contrast.memory.pixels_per_class: {{contrast.memory.kind: [pixel]}}\n"
        "  contrast.memory.kind: {contrast.temperature: [0.2]}\n"
    )

    assert labels(spec) == [
        "temperature=0.1",
        "temperature=0.2, kind=none",
        "temperature=0.2, kind=pixel, pixels_per_class=5",
        "temperature=0.2, kind=pixel, pixels_per_class=6",
    ]


def test_skip_looks_at_what_is_left_after_the_conditions(read_space):
    spec = read_space(
        f"{THREE}when: {{contrast.memory.pixels_per_class: {{contrast.memory.kind: [pixel]}}}}\n"
        "skip: [{contrast.memory.pixels_per_class: 5}]\n"
    )

    assert "temperature=0.1, kind=none" in labels(spec)
    assert not any("pixels_per_class=5" in label for label in labels(spec))
