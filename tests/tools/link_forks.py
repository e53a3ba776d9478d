"""Start links by forking: a hundred kills then cost a hundred connections, not a hundred imports.

    python -m tests.tools.link_forks CONFIG

For each line on stdin, forks a child that runs the link, and prints its process id. The
caller kills it.
"""

import os
import signal
import sys
import threading
from pathlib import Path

from agent.config import load
from agent.link import app


def main() -> None:
    """Fork a link for each line."""
    config = load(Path(sys.argv[1]))
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for those that are killed
    for _ in sys.stdin:
        child = os.fork()
        if child == 0:
            app.run(config, stop=threading.Event())
            os._exit(0)
        sys.stdout.write(f"{child}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
