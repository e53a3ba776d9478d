"""The contact sheet: what the street was, beside what the camera kept.

Pictures are BGR arrays (height, width, 3) uint8.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

Picture: TypeAlias = NDArray[np.uint8]

TILE_WIDTH_PX, TILE_HEIGHT_PX = 480, 270
COLUMNS = 3
_MARGIN_PX = 24
_GAP_PX = 6  # between the scene and what was kept of it
_CAPTION_PX = 64
_TITLE_PX = 84
_PAPER = (250, 250, 250)
_INK = (32, 30, 28)
_SOFT_INK = (110, 105, 100)
_DARK = (38, 34, 32)
_UNKNOWN = "as only the camera saw it: it cannot be drawn again"
_FONT = "sans"
_TITLE_SIZE, _HEAD_SIZE, _WORD_SIZE = 26, 17, 14
_REGULAR, _BOLD = 400, 600  # weights of the variable font


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """One pair of pictures.

    Attributes:
        headline: What happened, in a few words.
        words: What that means for the picture below.
        scene: The street as it was drawn or filmed; None where it is not known.
        kept: What the sealed footage shows; None where nothing was kept.
        why_dark: Why nothing was kept.
    """

    headline: str
    words: str
    scene: Picture | None
    kept: Picture | None
    why_dark: str = ""


def contact_sheet(title: str, subtitle: str, moments: Sequence[Moment]) -> Picture:
    """Return one picture of all `moments`, three in a row, each the scene above what was kept of it."""
    rows = -(-len(moments) // COLUMNS)
    cell_height = _CAPTION_PX + 2 * TILE_HEIGHT_PX + _GAP_PX + _MARGIN_PX
    width = COLUMNS * (TILE_WIDTH_PX + _MARGIN_PX) + _MARGIN_PX
    sheet: Picture = np.full((_TITLE_PX + rows * cell_height, width, 3), _PAPER, np.uint8)
    _write(sheet, title, (_MARGIN_PX, 38), _TITLE_SIZE, _BOLD, _INK)
    _write(sheet, subtitle, (_MARGIN_PX, 64), _WORD_SIZE, _REGULAR, _SOFT_INK)
    for number, moment in enumerate(moments):
        row, column = divmod(number, COLUMNS)
        left = _MARGIN_PX + column * (TILE_WIDTH_PX + _MARGIN_PX)
        top = _TITLE_PX + row * cell_height
        _write(sheet, f"{number + 1}  {moment.headline}", (left, top + 26), _HEAD_SIZE, _BOLD, _INK)
        _write(sheet, moment.words, (left, top + 48), _WORD_SIZE, _REGULAR, _SOFT_INK)
        scene_top = top + _CAPTION_PX
        _place(sheet, moment.scene, (left, scene_top), "the street", _UNKNOWN)
        _place(sheet, moment.kept, (left, scene_top + TILE_HEIGHT_PX + _GAP_PX), "kept", moment.why_dark)
    return sheet


def _place(sheet: Picture, picture: Picture | None, corner: tuple[int, int], label: str, instead: str) -> None:
    left, top = corner
    tile = sheet[top : top + TILE_HEIGHT_PX, left : left + TILE_WIDTH_PX]
    if picture is None:
        tile[...] = _DARK
        _write(tile, instead, (20, TILE_HEIGHT_PX // 2 + 5), _WORD_SIZE, _REGULAR, (200, 200, 200))
    else:
        tile[...] = _fitted(picture)
    _write(tile, label, (9, TILE_HEIGHT_PX - 9), _WORD_SIZE - 2, _BOLD, (0, 0, 0))  # a shadow, for any background
    _write(tile, label, (8, TILE_HEIGHT_PX - 10), _WORD_SIZE - 2, _BOLD, (255, 255, 255))


def _fitted(picture: Picture) -> Picture:
    """Return the picture scaled into a tile, its shape kept, the rest dark."""
    height, width = picture.shape[:2]
    scale = min(TILE_WIDTH_PX / width, TILE_HEIGHT_PX / height)
    inner = cv2.resize(picture, (round(width * scale), round(height * scale)), interpolation=cv2.INTER_AREA)
    tile: Picture = np.full((TILE_HEIGHT_PX, TILE_WIDTH_PX, 3), _DARK, np.uint8)
    top, left = (TILE_HEIGHT_PX - inner.shape[0]) // 2, (TILE_WIDTH_PX - inner.shape[1]) // 2
    tile[top : top + inner.shape[0], left : left + inner.shape[1]] = inner
    return tile


def _write(
    on: Picture, words: str, origin: tuple[int, int], size: int, weight: int, colour: tuple[int, int, int]
) -> None:
    cv2.putText(on, words, origin, colour, cv2.FontFace(_FONT), size, weight)
