"""Looks at everything around a sweep that can keep it from running: `python -m orchestrator doctor`, and each sweep.

finding.py     a check, its question and its answer
checks.py      the table of all checks
examine.py     runs them and shows what they found
before_a_sweep.py    the quick ones, which a sweep runs before it starts anything
"""
