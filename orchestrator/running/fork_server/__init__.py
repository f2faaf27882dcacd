"""The fork server of a node: it imports what trials need once, and every trial is a process forked from it."""
