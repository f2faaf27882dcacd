"""The values in the cells can be read."""

from matplotlib import colormaps

from reports.figures.heatmap import MAP, is_dark


def test_text_contrasts_with_every_colour():
    for share in (number / 100 for number in range(101)):
        parts = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in colormaps[MAP](share)]
        luminance = 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]
        ratio = 1.05 / (luminance + 0.05) if is_dark(share) else (luminance + 0.05) / 0.05
        assert ratio >= 4.5, f"at {share}: {ratio:.1f}"  # WCAG AA
