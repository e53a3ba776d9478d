"""The clock is asked several times a second for years: that leaves nothing behind."""

import gc

from agent.adapters.clock import SystemClock

LOOKS = 200


def test_asking_whether_the_clock_is_right_leaves_nothing_to_collect() -> None:
    clock = SystemClock()
    clock.quality()
    gc.collect()
    gc.disable()
    try:
        for _ in range(LOOKS):
            clock.quality()
        left = gc.collect()
    finally:
        gc.enable()

    assert left < LOOKS  # what others leave meanwhile is theirs
