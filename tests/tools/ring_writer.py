"""Write fragments into a ring as fast as it goes, and say what the disk confirmed; made to be killed.

Prints one line, flushed, after each act: `append SEQUENCE BYTES` once a fragment is on
the disk, `finish SEQUENCE BYTES` once a segment is.
"""

import itertools
import random
import sys
from datetime import timedelta
from pathlib import Path

from agent.adapters.ring import Ring, RingSettings
from agent.core.segment_name import parse_segment_name
from agent.core.video import Layer
from tests.fakes.sealed import NOON, sealed_fragments

SETTINGS = RingSettings(capacity_bytes=10**9, keep_free_bytes=0, segment_bytes=500_000)


def main() -> None:
    """Write until killed."""
    folder, seed = Path(sys.argv[1]), int(sys.argv[2])
    rng = random.Random(seed)
    with Ring(folder, "pole-7", SETTINGS) as ring:
        for number in itertools.count():
            running = ring.start(rng.choice(list(Layer)), NOON + timedelta(seconds=number))
            name = parse_segment_name(running.part.name)
            sequence = name.sequence if name else -1
            size_bytes = 0
            *pieces, last = sealed_fragments(rng.randrange(1, 4), size_bytes=rng.randrange(4, 200_000))
            for piece in pieces:
                running.append(piece)
                size_bytes += len(piece.sealed)
                tell("append", sequence, size_bytes)
            tell("finish", sequence, running.finish(last).size_bytes)


def tell(act: str, sequence: int, size_bytes: int) -> None:
    """Say what the disk confirmed, in one write, so that a kill cannot cut the line."""
    sys.stdout.write(f"{act} {sequence} {size_bytes}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
