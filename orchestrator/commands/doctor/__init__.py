"""`python -m orchestrator doctor`: looks at everything around a sweep that can keep it from running.

finding.py     a check, its question and its answer
checks.py      the table of all checks
examine.py     runs them and shows what they found
"""
