"""End the process, also while a driver or a library still holds one of its threads.

Python ends a thread of its own that asks for the interpreter after its end by unwinding
the thread's stack (`pthread_exit`; 3.14 lets it wait instead). C++ below it, OpenCV's and
the net's, does not let that through and aborts: SIGABRT and a status that nobody meant.
Such threads are left behind on purpose: a camera's loop inside its driver, a net
inside a look. Everything that must be finished has been by then.
"""

import logging
import os
import sys
import threading
from contextlib import suppress
from typing import NoReturn


def leave(status: int) -> NoReturn:
    """End with `status`; without the interpreter's own end where a thread was left behind."""
    if any(thread.daemon for thread in threading.enumerate()):
        logging.shutdown()
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError):  # a reader that has gone, or a stream that was closed
                stream.flush()
        os._exit(status)
    sys.exit(status)
