"""What the recorder stores of a simulated street shows nobody: decoded, start-up included, with the real net.

Skips without the net; `make privacy` measures the same at length.
"""

import pytest

from agent.core.policy.decision import PeopleMode
from agent.core.video import FrameSize
from tests.privacy.corpus import RATE_HZ, films
from tests.privacy.playing import MODELS, play
from tests.privacy.scoring import Score, masked_pixels

SIZE = FrameSize(640, 360)
FRAMES = 9 * RATE_HZ
needs_the_net = pytest.mark.skipif(
    not any(MODELS.glob("*.tflite")), reason="the model is not here: `make models` fetches it"
)


def played(name: str) -> Score:
    (film,) = (film for film in films(SIZE) if film.name == name)
    score = Score()
    footage = play(film.camera, frames=FRAMES, view=film.view, people=PeopleMode.SCENE, reference=film.reference())
    for number, picture in enumerate(footage.pictures):
        truth, masked = film.truth(number), masked_pixels(picture)
        assert truth is not None
        score.add(
            number, number // RATE_HZ, masked, truth.people, truth.plates, truth.elsewhere, whole=bool(masked.all())
        )
    assert score.frames == FRAMES
    assert footage.failed_closed <= score.whole  # what failed closed shows nothing, decoded
    return score


@needs_the_net
@pytest.mark.slow
@pytest.mark.parametrize("street", ["busy", "standing"])
def test_nobody_can_be_seen_in_what_is_stored(street: str) -> None:
    score = played(street)

    assert score.whole < FRAMES, "something must be shown, or nothing is proved"
    assert score.bare_events == []
    assert score.row()["person pixels left"] <= 0.0005
    assert score.row()["persons masked"] >= 0.995


@needs_the_net
@pytest.mark.slow
def test_an_empty_street_can_be_seen() -> None:
    score = played("empty")

    assert score.whole < FRAMES
    assert score.row()["falsely masked"] <= 0.05
