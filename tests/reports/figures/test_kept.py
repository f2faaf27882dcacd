"""Figures that need not be drawn again: the same data and code, and files with the bytes that were drawn."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest

from orchestrator.errors import FigureError
from orchestrator.machine.sealed_json import seal, unseal
from reports.figures import drawing as drawing_module
from reports.figures.drawing import Drawing
from reports.figures.kept import INDEX, kept_figures, lacking, write_drawings
from reports.figures.plots import BarRow, Bars, ClassBars, Curve, Curves, Estimate, Importance, Plot


class Draws:
    """Draws nothing, and remembers what it was to draw."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.fails = ""

    def __call__(self, drawings: Sequence[Drawing]) -> Mapping[str, Mapping[str, bytes] | str]:
        self.names = [drawing.name for drawing in drawings]
        return {
            item.name: "not drawn (a reason)"
            if item.name == self.fails
            else {kind: f"{item.digest} {kind}".encode() for kind in item.formats}
            for item in drawings
        }


def bars(value: float, kind: type[Bars] = Bars) -> Bars:
    return kind(name="mIoU", rows=(BarRow(label="a", estimate=Estimate(values=(value,))),))


DRAWINGS = [
    Drawing(figure="means", plot=bars(1.0)),
    Drawing(figure="means", plot=bars(1.0), dark=True),
    Drawing(figure="importance", plot=Importance(shares={"a": float("nan")})),
]


@pytest.fixture
def draws(tmp_path: Path) -> Draws:
    """All figures are drawn in the folder `figures`."""
    found = Draws()
    paths = write_drawings(DRAWINGS, tmp_path / "figures", found)
    assert found.names == list(paths) == ["means", "means-dark", "importance"]
    assert list(paths["means"]) == ["pdf", "png", "svg"]
    assert list(paths["means-dark"]) == ["svg"]
    return found


def drawn_again(draws: Draws, folder: Path, drawings: Sequence[Drawing] = DRAWINGS) -> list[str]:
    """What is drawn now; a third time nothing is."""
    draws.names = []
    missing = [item.name for item in lacking(drawings, folder)]
    write_drawings(drawings, folder, draws)
    assert missing == draws.names
    assert lacking(drawings, folder) == []
    return missing


def test_nothing_is_drawn_twice_and_only_what_shows_something_else(draws: Draws, tmp_path: Path) -> None:
    folder = tmp_path / "figures"
    before = {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}
    assert drawn_again(draws, folder) == []
    assert {path.name: path.stat().st_mtime_ns for path in folder.iterdir()} == before
    changed = [Drawing(figure="means", plot=bars(2.0)), *DRAWINGS[1:]]
    assert drawn_again(draws, folder, changed) == ["means"]


DAMAGES: dict[str, tuple[Callable[[Path], object], list[str]]] = {
    "a file is deleted": (lambda folder: (folder / "means.pdf").unlink(), ["means"]),
    "a file is edited": (lambda folder: (folder / "means-dark.svg").write_text("mine"), ["means-dark"]),
    "a file is a link": (lambda folder: make_link(folder / "means.svg"), ["means"]),
    "the index is deleted": (lambda folder: (folder / INDEX).unlink(), ["means", "means-dark", "importance"]),
    "the index is no JSON": (lambda folder: (folder / INDEX).write_text("{"), ["means", "means-dark", "importance"]),
    "the index is not ours": (lambda folder: unsealed(folder / INDEX), ["means", "means-dark", "importance"]),
    "the index was edited": (lambda folder: edited(folder / INDEX), ["means", "means-dark", "importance"]),
    "entries are of another type": (lambda folder: retyped(folder / INDEX), ["means", "means-dark", "importance"]),
}


def make_link(path: Path) -> None:
    path.rename(path.with_name("elsewhere"))
    path.symlink_to(path.with_name("elsewhere"))


def unsealed(index: Path) -> None:
    index.write_text(str(unseal(index.read_bytes()).values).replace("'", '"'))


def edited(index: Path) -> None:
    index.write_text(index.read_text().replace('"pdf": "', '"pdf": "0'))


def retyped(index: Path) -> None:
    index.write_bytes(seal({"means": [], "means-dark": {"drawing": 1}, "importance": {"files": None}}))


@pytest.mark.parametrize("damage", DAMAGES)
def test_what_is_not_as_it_was_drawn_is_drawn_again(damage: str, draws: Draws, tmp_path: Path) -> None:
    act, expected = DAMAGES[damage]
    act(tmp_path / "figures")
    assert drawn_again(draws, tmp_path / "figures") == expected
    assert not (tmp_path / "figures" / "means.svg").is_symlink()


def test_other_code_draws_everything_again(draws: Draws, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drawing_module, "code_digest", lambda: "other")
    fresh = [Drawing(figure=item.figure, plot=item.plot, dark=item.dark) for item in DRAWINGS]
    assert drawn_again(draws, tmp_path / "figures", fresh) == [item.name for item in DRAWINGS]


def test_a_figure_that_is_not_drawn_keeps_no_other_from_it(draws: Draws, tmp_path: Path) -> None:
    draws.fails = "means"
    changed = [Drawing(figure=item.figure, plot=bars(3.0), dark=item.dark) for item in DRAWINGS]
    with pytest.raises(FigureError, match=r"^means: not drawn \(a reason\)$") as caught:
        write_drawings(changed, tmp_path / "figures", draws)
    assert list(caught.value.written) == ["means-dark", "importance"]
    draws.fails = ""
    assert drawn_again(draws, tmp_path / "figures", changed) == ["means"]


def curve(value: float) -> Curves:
    return Curves(name="loss", curves=(Curve(label="a", step_T=np.arange(2.0), value_ST=np.full((1, 2), value)),))


PLOTS: dict[str, Plot] = {
    "bars": bars(1.0),
    "other bars": bars(1.0 + 2**-52),
    "bars of classes": bars(1.0, ClassBars),
    "no value": bars(float("nan")),
    "infinite": bars(float("inf")),
    "curves": curve(1.0),
    "other curves": curve(2.0),
    "importance": Importance(shares={"a": 1.0}),
}


def test_digests_differ_where_anything_does_and_only_there() -> None:
    found = [Drawing(figure="x", plot=plot, dark=dark).digest for plot in PLOTS.values() for dark in (False, True)]
    assert len(set(found)) == len(found)
    assert Drawing(figure="x", plot=curve(1.0)).digest == Drawing(figure="y", plot=curve(1.0)).digest


def test_the_page_of_a_running_sweep_gets_what_was_drawn_last(draws: Draws, tmp_path: Path) -> None:
    folder = tmp_path / "figures"
    assert kept_figures(folder) == {
        name: {"svg": folder / f"{name}.svg"} for name in ("means", "means-dark", "importance")
    }
    (folder / "means.svg").write_bytes(b"another's")
    (folder / "importance.svg").unlink()
    assert list(kept_figures(folder)) == ["means-dark"]
    (folder / INDEX).write_bytes(seal({"means-dark": 7}))
    assert kept_figures(folder) == {}
    assert kept_figures(tmp_path / "none") == {}
