"""Reads and checks a search space; everything behind it is typed."""
