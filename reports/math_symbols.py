"""Characters that are symbols in TeX's math mode, and in the mathtext of matplotlib, which reads the same commands."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

__all__ = ["MATH_SYMBOLS"]

GREEK = "alpha beta gamma delta epsilon eta theta kappa lambda mu nu pi rho sigma tau phi omega Delta Sigma Omega"

MATH_SYMBOLS: Mapping[str, str] = MappingProxyType(
    {
        "−": "-",
        "±": r"\pm",
        "×": r"\times",
        "·": r"\cdot",
        "≤": r"\leq",
        "≥": r"\geq",
        "≈": r"\approx",
        "≠": r"\neq",
        "∞": r"\infty",
        "→": r"\rightarrow",
        "←": r"\leftarrow",
        "↑": r"\uparrow",
        "↓": r"\downarrow",
        **{letter: f"\\{name}" for letter, name in zip("αβγδεηθκλμνπρστφωΔΣΩ", GREEK.split(), strict=True)},
    }
)
"""By character, the command without dollar signs."""
