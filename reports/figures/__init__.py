"""Figures of a sweep: typed data to a matplotlib Figure. May import `reports.tables` and `reports.stats`.

bars, classes     rows and classes with intervals, seeds as dots
line, heatmap     one numeric factor; two factors
curves            learning curves
pareto, importance   of a search
style, text, save    sizes and colours, user text, reproducible files
choose            which of them suit a sweep
"""
