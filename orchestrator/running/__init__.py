"""Runs the trials of a plan: the driver, its queue and budget, and what executes them."""
