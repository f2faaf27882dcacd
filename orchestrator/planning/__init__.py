"""From a search space to the trials it takes; imports the search space and the record store, no torch."""
