"""What the page shows besides the table: runs, figures and pictures within bounds."""

from orchestrator.store.run_directory import RunDirectory
from reports.render import pictures, provenance
from reports.render.provenance import embeddable, gather_provenance


def test_runs_are_those_of_the_sweep(example):
    found = gather_provenance(
        example,
        tracked={"pixel memory#0": ("abc", "http://localhost/x"), "w-o contrast#0": ("d", "javascript:x")},
    )
    assert len(found.runs) == len({(cell.trial_id, cell.seed) for cell in example.sweep.cells})
    by_trial = {run.trial_id: run for run in found.runs}
    assert by_trial["w-o contrast#0"].rows == ("w/o contrast", "weight 0")
    assert (by_trial["pixel memory#0"].tracked, by_trial["pixel memory#0"].address) == ("abc", "http://localhost/x")
    assert by_trial["w-o contrast#0"].address == ""
    assert by_trial["region memory#1"].state == "user error"
    assert by_trial["half way#1"].state == "not run"


def test_the_list_of_runs_is_limited(example, monkeypatch):
    monkeypatch.setattr(provenance, "MOST_RUNS", 4)
    found = gather_provenance(example)
    assert (len(found.runs), found.runs_left_out) == (4, 17)


def test_pictures_of_the_best_and_the_baseline_within_bounds(tmp_path, example, monkeypatch):
    for trial in ("pixel & region <memory>#0", "w-o contrast#0", "pixel memory#0"):
        folder = tmp_path / "trials" / trial / "pictures"
        folder.mkdir(parents=True)
        (folder / "sheet.png").write_bytes(b"x" * 100)
    found = gather_provenance(example, RunDirectory(tmp_path))
    assert [picture.row for picture in found.pictures] == ["w/o contrast", "pixel & region <memory>"]
    assert found.pictures[0].uri.startswith("data:image/png;base64,eHh4")
    monkeypatch.setattr(pictures, "MOST_PICTURE_BYTES", 150)
    found = gather_provenance(example, RunDirectory(tmp_path))
    assert (len(found.pictures), found.pictures_left_out) == (1, 1)


def test_a_figure_has_no_prolog_and_unique_ids():
    drawn = '<g id="a" clip-path="url(#b)"/><use xlink:href="#a"/>'
    svg = f'<?xml version="1.0"?><!DOCTYPE svg><svg><metadata>m</metadata>{drawn}</svg>'
    assert embeddable(svg, "x-") == '<svg><g id="x-a" clip-path="url(#x-b)"/><use xlink:href="#x-a"/></svg>'
