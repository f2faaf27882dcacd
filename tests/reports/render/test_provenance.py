"""What stands behind a table: runs, failures, figures and pictures within bounds."""

from reports.render import provenance as provenance
from reports.render.provenance import embeddable, gather_provenance


def test_runs_and_failures_are_those_of_the_sweep(example):
    sweep, outcomes = example
    found = gather_provenance(
        sweep,
        outcomes,
        tracked={"pixel memory#0": ("abc", "http://localhost/x"), "w-o contrast#0": ("d", "javascript:x")},
    )
    assert len(found.runs) == len({(cell.trial_id, cell.seed) for cell in sweep.cells})
    by_trial = {run.trial_id: run for run in found.runs}
    assert by_trial["w-o contrast#0"].rows == ("w/o contrast", "weight 0")
    assert (by_trial["pixel memory#0"].tracked, by_trial["pixel memory#0"].address) == ("abc", "http://localhost/x")
    assert by_trial["w-o contrast#0"].address == ""
    assert [(failure.state, failure.message) for failure in found.failures] == [
        ("user error", "the loss is nan at step 120"),
        ("lost", "the loss is nan at step 120"),
    ]


def test_only_so_many_runs_are_listed(example, monkeypatch):
    monkeypatch.setattr(provenance, "MOST_RUNS", 4)
    found = gather_provenance(*example)
    assert (len(found.runs), found.runs_left_out) == (4, 17)


def test_pictures_of_the_best_and_the_baseline_within_bounds(tmp_path, example, monkeypatch):
    for trial in ("pixel & region <memory>#0", "w-o contrast#0", "pixel memory#0"):
        folder = tmp_path / "trials" / trial / "pictures"
        folder.mkdir(parents=True)
        (folder / "sheet.png").write_bytes(b"x" * 100)
    found = gather_provenance(*example, tmp_path)
    assert [picture.row for picture in found.pictures] == ["pixel & region <memory>", "w/o contrast"]
    assert found.pictures[0].uri.startswith("data:image/png;base64,eHh4")
    monkeypatch.setattr(provenance, "MOST_PICTURE_BYTES", 150)
    found = gather_provenance(*example, tmp_path)
    assert (len(found.pictures), found.pictures_left_out) == (1, 1)


def test_a_figure_brings_no_prolog_and_ids_of_its_own():
    drawn = '<g id="a" clip-path="url(#b)"/><use xlink:href="#a"/>'
    svg = f'<?xml version="1.0"?><!DOCTYPE svg><svg><metadata>m</metadata>{drawn}</svg>'
    assert embeddable(svg, "x-") == '<svg><g id="x-a" clip-path="url(#x-b)"/><use xlink:href="#x-a"/></svg>'
