"""A camera's label: the public page of its site as a code, its name, and the key it was enrolled with.

60 by 40 mm, for a thermal printer or a laser. The key is the one that the enrolment
journal has; the credential itself is renewed every month and changes its key with it.
"""

import io
import re
from collections.abc import Iterator
from typing import TypeAlias

import cv2
import numpy as np
import segno
from numpy.typing import NDArray
from PIL import Image

from provisioning.words import words

Plane: TypeAlias = NDArray[np.uint8]

WIDTH_MM, HEIGHT_MM = 60, 40
DPI = 300
_MM_PER_INCH = 25.4
_MARGIN_MM = 3.0
_CODE_MM = 26.0  # modules of 0.7 mm and more: a phone reads it from half a metre
_GAP_MM = 2.5
_TITLE_MM, _WORDS_MM = 4.2, 2.9
_LINE_RATIO = 1.3
_REGULAR, _BOLD = 400, 600  # weights of the variable font
_BLACK = (0, 0, 0)


def draw_label(*, camera_id: str, site_name: str, url: str, fingerprint: str) -> Plane:
    """Return the label, (height, width) uint8, at `DPI`.

    Args:
        camera_id: Its name.
        site_name: What the public calls its site.
        url: Its site's public page.
        fingerprint: Of the key it was enrolled with.
    """
    label = np.full((_px(HEIGHT_MM), _px(WIDTH_MM), 3), 255, np.uint8)
    code = _code(url)
    margin = _px(_MARGIN_MM)
    label[margin : margin + code.shape[0], margin : margin + code.shape[1]] = code[..., None]
    left, top = margin + code.shape[1] + _px(_GAP_MM), margin
    room = label.shape[1] - left - margin
    for text, size_mm, weight in ((camera_id, _TITLE_MM, _BOLD), (site_name, _WORDS_MM, _REGULAR)):
        for line in _lines(text, room, size_mm, weight):
            if top + _px(size_mm) <= margin + _px(_CODE_MM):  # what does not fit beside the code is left out
                _write(label, line, (left, top), size_mm, weight)
            top += _px(size_mm * _LINE_RATIO)
        top += _px(1)
    top = margin + _px(_CODE_MM) + _px(1.5)
    for line in (words("label.scan"), words("label.key", fingerprint=fingerprint)):
        _write(label, line, (margin, top), _WORDS_MM, _REGULAR)
        top += _px(_WORDS_MM * _LINE_RATIO)
    return label[..., 0].copy()


def label_file(label: Plane, kind: str) -> bytes:
    """Return the label as a `png` or `pdf` file that prints at its size in millimetres."""
    out = io.BytesIO()
    picture = Image.fromarray(label)
    if kind == "pdf":
        picture.save(out, "PDF", resolution=DPI)
    else:
        picture.save(out, "PNG", dpi=(DPI, DPI))
    return out.getvalue()


def _code(url: str) -> Plane:
    made = segno.make_qr(url, error="M")
    modules = np.array([[255 * (not cell) for cell in row] for row in made.matrix], np.uint8)
    scale = max(1, _px(_CODE_MM) // modules.shape[0])
    return np.kron(modules, np.ones((scale, scale), np.uint8))


def _lines(text: str, room_px: int, size_mm: float, weight: int) -> Iterator[str]:
    """Yield `text` in lines that fit, broken at spaces and after hyphens."""
    line = ""
    for part in re.findall(r"[^\s-]+-?\s*|-\s*", text):
        if line and _width(f"{line}{part}".rstrip(), size_mm, weight) > room_px:
            yield line.rstrip()
            line = ""
        line += part
    if line.strip():
        yield line.rstrip()


def _width(text: str, size_mm: float, weight: int) -> int:
    _, _, width, _ = cv2.getTextSize((0, 0), text, (0, 0), cv2.FontFace("sans"), _px(size_mm), weight)
    return int(width)


def _write(label: Plane, text: str, at: tuple[int, int], size_mm: float, weight: int) -> None:
    size_px = _px(size_mm)
    cv2.putText(label, text, (at[0], at[1] + size_px), _BLACK, cv2.FontFace("sans"), size_px, weight)


def _px(millimetres: float) -> int:
    return round(millimetres * DPI / _MM_PER_INCH)
