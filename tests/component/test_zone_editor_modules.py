"""The commissioning page counts blocks and pixels a metre as the recorder and the record do."""

import json
import random
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from agent.core.masking.blocks import BlockMask, grid_shape
from agent.core.video import FrameSize
from agent.core.zones import Zone
from provisioning.commissioning.density import Mounting, density
from provisioning.words import section

ROOT = Path(__file__).resolve().parents[2]
SIZES = (FrameSize(1280, 720), FrameSize(640, 480), FrameSize(1366, 768), FrameSize(100, 82), FrameSize(1920, 1080))

ASK = """
import { readFileSync } from "node:fs";
const page = (name) => import(`${process.argv[2]}/${name}.js`);
const { hiddenBlocks } = await page("blocks");
const { density } = await page("density");
const { areas, mountings } = JSON.parse(readFileSync(0, "utf8"));
console.log(JSON.stringify({
  grids: areas.map(({ polygon, size }) => [...hiddenBlocks([polygon], size)].join("")),
  densities: mountings.map(({ mounting, size }) => density(mounting, size)),
}));
"""


@pytest.fixture(scope="module")
def node() -> str:
    program = shutil.which("node")
    if program is None:
        pytest.skip("no node on this machine: apt-get install nodejs")
    return program


def asked(node: str, folder: Path, **content: Any) -> dict[str, Any]:
    (folder / "ask.mjs").write_text(ASK, encoding="utf-8")
    page = ROOT / "provisioning/web/commission/page"
    done = subprocess.run(
        [node, folder / "ask.mjs", page.as_uri()],
        input=json.dumps({"areas": [], "mountings": [], **content}),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def simple_polygon(source: random.Random, size: FrameSize) -> list[tuple[float, float]]:
    """Return a polygon whose sides do not cross; many of its corners lie on lines between blocks."""
    while True:
        corners = source.randint(3, 9)
        polygon = [(source.random(), source.random()) for _ in range(corners)]
        if source.random() < 0.5:  # on the lines is where rounding would show
            polygon = [
                (
                    min(round(x * size.width_px / 16) * 16 / size.width_px, 1.0),
                    min(round(y * size.height_px / 16) * 16 / size.height_px, 1.0),
                )
                for x, y in polygon
            ]
        try:
            Zone(name="drawn", polygon=tuple(polygon))
        except ValueError:
            continue
        return polygon


def test_the_modules_keep_their_own_promises(node: str) -> None:
    done = subprocess.run(
        [node, "--test", ROOT / "tests/tools/zone_editor.test.mjs"],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )

    assert done.returncode == 0, done.stdout[-4000:]


def test_the_page_shows_exactly_the_blocks_that_the_recorder_hides(node: str, tmp_path: Path) -> None:
    source = random.Random(7)
    drawn = [(simple_polygon(source, size), size) for size in SIZES for _ in range(60)]
    drawn += [
        ([(0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0)], SIZES[0]),
        ([(1.0, 1.0), (1.0, 1.0), (1.0, 1.0)], SIZES[3]),
        ([(0.5, 0.1), (0.500001, 0.9), (0.5, 0.9)], SIZES[0]),
    ]

    answer = asked(
        node,
        tmp_path,
        areas=[
            {"polygon": polygon, "size": {"width": size.width_px, "height": size.height_px}} for polygon, size in drawn
        ],
    )

    for (polygon, size), shown in zip(drawn, answer["grids"], strict=True):
        zone = Zone(name="drawn", polygon=tuple(polygon))
        hidden = BlockMask.from_zones(size, [zone]).grid
        assert np.array_equal(np.array(list(shown), int).reshape(grid_shape(size)), hidden), (polygon, size)


def test_the_page_counts_the_pixels_a_metre_that_the_record_states(node: str, tmp_path: Path) -> None:
    source = random.Random(11)
    mounted = [
        (
            Mounting(
                height_m=source.uniform(1.7, 20),
                tilt_degrees=source.uniform(0, 90),
                lens_degrees=source.uniform(5, 150),
                nearest_m=source.uniform(0, 20),
                farthest_m=source.uniform(0, 80),
            ),
            size,
        )
        for size in SIZES
        for _ in range(20)
    ]

    answer = asked(
        node,
        tmp_path,
        mountings=[
            {"mounting": mounting.model_dump(), "size": {"width": size.width_px, "height": size.height_px}}
            for mounting, size in mounted
        ],
    )

    for (mounting, size), shown in zip(mounted, answer["densities"], strict=True):
        found = density(mounting, size)
        assert shown["highest"] == pytest.approx(found.highest_px_per_m)
        assert shown["lowest"] == pytest.approx(found.lowest_px_per_m)
        assert shown["highestAt"] == pytest.approx(found.highest_at_m)
        assert shown["horizon"] == pytest.approx(found.horizon)
        assert shown["band"] == found.band


def test_every_text_that_the_page_names_exists_and_none_is_left_over() -> None:
    page = ROOT / "provisioning/web/commission/page"
    texts = section("editor")
    sources = "".join(path.read_text(encoding="utf-8") for path in [*page.glob("*.js"), page / "index.html"])
    composed = ("shown-", "check-", "passed-", "reference-", "bad-", "band-")  # the rest of the name is the camera's

    for name in texts:
        assert f'"{name}"' in sources or name.startswith(composed) or name in sources, name
    for element in ("data-text", "data-label"):
        for piece in sources.split(f'{element}="')[1:]:
            assert piece.partition('"')[0] in texts
