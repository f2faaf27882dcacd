"""Figures of a sweep. May import `reports.tables` and `reports.stats`.

choose                 which of them suit a sweep: typed data (plots), with a digest of each (drawing)
kept                   files that need not be drawn again
process, child         draws in a process of its own; this is the only part that a sweep's driver imports of the rest
draw                   which function draws which data, with matplotlib:
  bars, classes        rows and classes with intervals, seeds as dots
  line, heatmap        one numeric factor; two factors
  curves               learning curves
  pareto, importance   of a search
  style, text, formats sizes and colours, user text, reproducible files
"""
