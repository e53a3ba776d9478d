"""Nothing grows: memory and open files of both halves, under more news in minutes than a year brings.

A minute by default, after one of warming up; HIL_SOAK_MIN=60 for the long run, which warms up for twenty and alone is
long enough to hold the slope to what is promised.
"""

import os
from collections.abc import Sequence
from datetime import datetime, timedelta

import numpy as np
import pytest

from hil.strategy import CameraStrategy
from provisioning.clock import precise_now, wait

MINUTES = float(os.environ.get("HIL_SOAK_MIN", "1"))
# Until what hands out memory has had nearly as much out at once as it ever has: medians of five minutes each, of the
# recorder beside much else, were 79,900, 81,200, 82,800, 83,900 and 84,500 KiB, and 83,000 to 85,100 afterwards.
WARMING_UP = timedelta(minutes=min(MINUTES, 20))
LOOK_EVERY = timedelta(seconds=5)
NEWS_EVERY = timedelta(seconds=3)
MOST_GROWTH_KIB_H = 1024
HALVES = ("recorder", "link")
# It waits for nothing else: the limit of the others ended every soak of half an hour and more.
pytestmark = pytest.mark.timeout(1800 + (WARMING_UP + timedelta(minutes=MINUTES)).total_seconds())

Look = tuple[datetime, int, int]  # when, KiB that only the end of the process gives back, open files


def looked_at(camera: CameraStrategy, half: str) -> Look:
    """Return what one half holds now."""
    pid = camera.shell.run_check(f"systemctl show lamppost-{half} --property=MainPID --value")[0]
    # Not Private_Clean: pages of libraries, which are the process's own only until somebody else maps the library.
    memory, files = camera.shell.run_check(
        f"awk '/^Private_Dirty/ {{ print $2 }}' /proc/{pid}/smaps_rollup; ls /proc/{pid}/fd | wc -l"
    )
    return precise_now(), int(memory), int(files)


def growth_kib_h(looks: Sequence[Look]) -> float:
    """Return the slope of a straight line through what was held, in KiB an hour."""
    hours = np.array([(at - looks[0][0]) / timedelta(hours=1) for at, _, _ in looks])
    return float(np.polyfit(hours, [kib for _, kib, _ in looks], 1)[0])


def test_memory_and_open_files_stay_what_they_are(camera: CameraStrategy) -> None:
    camera.transition("recording")
    began = precise_now()
    news_at = look_at = began + WARMING_UP
    looks: dict[str, list[Look]] = {half: [] for half in HALVES}
    news = 0

    while precise_now() < began + WARMING_UP + timedelta(minutes=MINUTES):
        if precise_now() >= news_at:
            camera.publish()
            news, news_at = news + 1, news_at + NEWS_EVERY
        if precise_now() >= look_at:
            look_at += LOOK_EVERY
            for half in HALVES:
                looks[half].append(looked_at(camera, half))
        wait(timedelta(milliseconds=200))

    told = camera.wait_for("recording at the end", lambda status: status.state.value == "recording")
    print(f"\n{MINUTES:g} min, {news} policies, {told.frames.stored} frames stored")
    for half, seen in looks.items():
        files = [files for _, _, files in seen]
        slope = growth_kib_h(seen)
        print(f"{half}: {seen[0][1]} to {seen[-1][1]} KiB, {slope:+.0f} KiB/h; {min(files)} to {max(files)} open files")
        assert max(files[len(files) // 2 :]) <= max(files[: len(files) // 2]) + 2  # a segment's own come and go
        if MINUTES >= 60:  # a shorter line is noise
            assert slope <= MOST_GROWTH_KIB_H
    restarts = camera.shell.run_check("systemctl show lamppost-recorder lamppost-link --property=NRestarts --value")
    assert [line for line in restarts if line] == ["0", "0"]
