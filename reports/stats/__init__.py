"""Statistics of a sweep: pure functions over arrays whose last axis is the shared seeds. Imports no other room.

pairs        which seeds two rows share, their differences, their spread
intervals    95 % interval of a mean paired difference
p_values     paired t, Holm
power        which difference given seeds detect, and how many seeds a given difference needs
looks        testing again after every new seed without more false alarms
comparisons  all of these for the rows of a table
interaction  two factors of a grid
"""
