"""The same 40 trials under each tool that a user might pick instead, each used as its documentation says."""
