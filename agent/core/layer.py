"""The two layers a take is recorded in. A module of its own: the link knows layers, and never loads a picture."""

from enum import StrEnum


class Layer(StrEnum):
    """Which of a take's streams a frame, fragment or segment belongs to."""

    MASKED = "masked"
    SEALED = "sealed"
