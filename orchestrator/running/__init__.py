"""Runs a plan: the driver, its queue, budget and retries, and what a worker does. Imports planning, spec and store."""
