"""Reads search spaces and recipes into a typed `SweepSpec`. Imports the record types of `store` and the errors."""
