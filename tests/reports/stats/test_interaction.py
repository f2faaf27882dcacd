"""Interaction of two factors, against statsmodels and against an additive grid."""

import numpy as np
import pandas as pd
import pytest
from statsmodels.formula.api import ols
from statsmodels.stats.anova import anova_lm

from reports.stats.interaction import interaction


def test_an_additive_grid_has_none():
    value_SYX = np.array([0.0, 0.1])[:, None, None] + np.array([1.0, 2.0])[:, None] + np.array([0.5, 0.7, 0.9])
    found = interaction(value_SYX)
    assert found.residual_YX == pytest.approx(np.zeros((2, 3)), abs=1e-12)
    assert found.share == pytest.approx(0.0, abs=1e-12)
    assert found.p is None


def test_a_crossing_by_hand():
    found = interaction(np.array([[[1.0, 2.0], [2.0, 1.0]]]))
    assert found.residual_YX == pytest.approx(np.array([[-0.5, 0.5], [0.5, -0.5]]))
    assert (found.share, found.p) == (1.0, None)


def test_p_equals_that_of_a_randomised_block_design():
    value_SYX = np.random.default_rng(0).normal(size=(4, 3, 3))
    seed, y, x = (axis.ravel() for axis in np.indices(value_SYX.shape))
    frame = pd.DataFrame({"value": value_SYX.ravel(), "seed": seed, "y": y, "x": x})
    table = anova_lm(ols("value ~ C(seed) + C(y) * C(x)", frame).fit())
    assert interaction(value_SYX).p == pytest.approx(table.loc["C(y):C(x)", "PR(>F)"], rel=1e-9)


def test_incomplete_seeds_are_left_out():
    value_SYX = np.random.default_rng(0).normal(size=(4, 2, 3))
    holed = np.concatenate([value_SYX, np.full((1, 2, 3), 0.5)])
    holed[4, 1, 1] = np.nan
    assert interaction(holed).p == interaction(value_SYX).p
    assert interaction(holed[4:]) is None
    assert interaction(value_SYX[:, :1]) is None
