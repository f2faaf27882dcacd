"""What is the same in all trials: all of our own that a trial imports, and the digest of this code.

A fork server imports this module before it forks trials.
"""

from __future__ import annotations

import trainer.run  # noqa: F401 - and with it all of our own
from trainer.code_digest import present_code

present_code()  # kept by the process, so by its forks: every trial records it, and it takes 0.2 s
