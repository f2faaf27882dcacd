"""In `python -m trainer.data` and the like, takes the current folder off the path: its numpy.py must not hide numpy.

Imported before anything else. `orchestrator.own_packages` does the same for the other commands, and says more.
"""

import sys

if sys.argv[:1] == ["-m"] and not sys.flags.safe_path:  # as long as Python looks for the module
    module, here = sys.orig_argv[-len(sys.argv)].removeprefix("-m"), sys.path[0]
    if module.startswith("trainer.") and __file__ != f"{here}/trainer/installed_packages.py":
        sys.path[:] = [entry for entry in sys.path if entry != here]
