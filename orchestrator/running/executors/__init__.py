"""Executors: Ray Tune for real sweeps, and an in-process one for debugging. May import the rest of running/."""
