"""Figures of a sweep: pure functions from typed data to a matplotlib Figure; the only place that imports matplotlib.

bars, classes     rows and classes with intervals, seeds as dots
line, heatmap     one numeric factor; two factors
curves            learning curves
pareto, importance   of a search
style, text, save    sizes and colours, text as typed, files that are the same twice
choose            which of them suit a sweep
"""
