"""From the records of a sweep to a table that knows its holes, in four formats."""
