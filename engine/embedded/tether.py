"""Run a program that ends with its parent: `python tether.py PARENT_PID PROGRAM ARGS…`.

Run by its path with a bare interpreter, so it imports nothing of ours. A shim instead of `preexec_fn`, because Python
code between fork and exec can deadlock in a process that has threads, and a host with Ray has many.
"""

import contextlib
import ctypes
import os
import resource
import signal
import sys

_PR_SET_PDEATHSIG = 1


def main() -> None:
    """Ask the kernel for SIGTERM at the parent's death and for all open files there are, then become the program."""
    parent, program = int(sys.argv[1]), sys.argv[2]
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:  # it died before the request was in place
        sys.exit(1)
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    with contextlib.suppress(ValueError, OSError):  # a kernel may take less than it names
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    os.execv(program, sys.argv[2:])  # noqa: S606  # the command line is the host's own, no shell is involved


if __name__ == "__main__":
    main()
