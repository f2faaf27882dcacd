"""Where the figures of a table come from: a run directory, MLflow, or a published paper.

May import `orchestrator.store`, `orchestrator.tracking` and `orchestrator.errors`, but no other package of the reports.
"""
