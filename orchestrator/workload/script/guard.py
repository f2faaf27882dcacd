"""A program that runs a script in its own process group, and ends the whole group when the worker is gone.

The worker holds the other end of its standard input. Linux closes it however the worker ends, by SIGKILL too.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading

NOT_FOUND = 127
"""Exit code of a shell for a command that does not exist."""


def end_with_worker() -> None:
    """Wait until the worker closes the pipe, and end all processes of the group."""
    while os.read(0, 1):
        pass
    os.killpg(0, signal.SIGKILL)


def main(command: list[str]) -> int:
    """Run the command and return its exit code; 128 + N after signal N, like a shell."""
    signal.signal(signal.SIGTERM, lambda _number, _frame: None)  # for the script, which decides when it ends
    try:
        script = subprocess.Popen(command, stdin=subprocess.DEVNULL)  # noqa: S603 - the user's own command
    except OSError as error:
        sys.stderr.write(f"{command[0]}: {error.strerror}\n")
        sys.stderr.flush()
        return NOT_FOUND
    threading.Thread(target=end_with_worker, daemon=True).start()
    code = script.wait()
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    sys.stdout.flush()
    os._exit(main(sys.argv[1:]))
