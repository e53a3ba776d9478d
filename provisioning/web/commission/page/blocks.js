// What private areas hide, in whole macroblocks: the same rule as agent/core/masking/blocks.py, line by line.
// tests/component/test_zone_editor_modules.py draws polygons at random and compares the two.

export const MACROBLOCK_PX = 16;
const TOUCH_BLOCKS = 1e-6; // an edge this near to a block counts as touching it: rounding must never uncover

export function gridShape(size) {
  return { rows: Math.ceil(size.height / MACROBLOCK_PX), columns: Math.ceil(size.width / MACROBLOCK_PX) };
}

// Returns a Uint8Array, row by row, 1 = hidden. `polygons` are arrays of [x, y] in 0..1; `size` is in pixels.
export function hiddenBlocks(polygons, size) {
  const { rows, columns } = gridShape(size);
  const grid = new Uint8Array(rows * columns);
  for (const polygon of polygons) {
    touched(polygon, size).forEach((hidden, n) => { grid[n] |= hidden; });
  }
  return grid;
}

function touched(polygon, size) {
  const { rows, columns } = gridShape(size);
  const grid = new Uint8Array(rows * columns);
  const corners = polygon.map(([x, y]) => [rounded(x * size.width / MACROBLOCK_PX), rounded(y * size.height / MACROBLOCK_PX)]);
  const edges = corners.map((corner, n) => [corner, corners[(n + 1) % corners.length]]);

  // A block that no edge enters is inside exactly if its centre is (even-odd rule).
  for (const [[ax, ay], [bx, by]] of edges) {
    if (ay === by) continue;
    for (let row = 0; row < rows; row++) {
      const centreY = row + 0.5;
      if ((ay > centreY) === (by > centreY)) continue;
      const meets = ax + (centreY - ay) * (bx - ax) / (by - ay);
      for (let column = 0; column < columns; column++) {
        if (column + 0.5 < meets) grid[row * columns + column] ^= 1;
      }
    }
  }
  for (const [[ax, ay], [bx, by]] of edges) {
    const low = Math.min(ay, by), high = Math.max(ay, by);
    for (let row = block(low - TOUCH_BLOCKS, rows); row <= block(high + TOUCH_BLOCKS, rows); row++) {
      let xs = [ax, bx];
      if (ay !== by) { // the stretch of the edge within this row
        xs = [row, row + 1].map((y) => ax + (Math.min(Math.max(y, low), high) - ay) * (bx - ax) / (by - ay));
      }
      const left = block(Math.min(...xs) - TOUCH_BLOCKS, columns);
      const right = block(Math.max(...xs) + TOUCH_BLOCKS, columns);
      grid.fill(1, row * columns + left, row * columns + right + 1);
    }
  }
  return grid;
}

// What would change: counts of blocks. `now` is null where nothing is granted.
export function difference(now, proposed) {
  let hidden = 0, added = 0, uncovered = 0;
  proposed.forEach((is, n) => {
    const was = now === null ? 0 : now[n];
    hidden += is;
    added += is & ~was & 1;
    uncovered += was & ~is & 1;
  });
  return { blocks: proposed.length, hidden, added, uncovered };
}

// Bits, first in the highest, as numpy packs them.
export function unpackBits(base64, count) {
  const bytes = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
  return Uint8Array.from({ length: count }, (_, n) => (bytes[n >> 3] >> (7 - (n & 7))) & 1);
}

// Two cells a byte, first in the high half.
export function unpackHalves(base64) {
  return Uint8Array.from(atob(base64).split("").flatMap((character) => [character.charCodeAt(0) >> 4, character.charCodeAt(0) & 15]));
}

function block(position, count) {
  return Math.min(Math.max(Math.floor(position), 0), count - 1);
}

function rounded(number) {
  return Number(number.toFixed(9));
}
