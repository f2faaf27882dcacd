"""From the records of a sweep to a `Table`: cells, comparisons, layout and notes, in no format yet.

May import `reports.sources`, `reports.stats` and the records of `orchestrator.store`.
"""
