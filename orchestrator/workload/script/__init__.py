"""A script in any language as a workload: a command with placeholders, which prints its figures as lines of JSON."""
