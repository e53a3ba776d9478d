// Points and polygons in 0..1, x to the right and y down, as agent/core/zones.py has them. Pure.

export const MOST_CORNERS = 64;
const LEAST_AREA = 1e-5;

// Returns what is wrong with an area: "", "corners", "crossing" or "small".
export function wrongWith(polygon) {
  if (polygon.length < 3 || polygon.length > MOST_CORNERS) return "corners";
  if (crossesItself(polygon)) return "crossing";
  return area(polygon) < LEAST_AREA ? "small" : "";
}

export function crossesItself(polygon) {
  const sides = polygon.map((corner, n) => [corner, polygon[(n + 1) % polygon.length]]);
  for (let i = 0; i < sides.length; i++) {
    for (let j = i + 1; j < sides.length; j++) {
      const [a, b] = sides[i], [c, d] = sides[j];
      if (turn(a, b, c) * turn(a, b, d) < 0 && turn(c, d, a) * turn(c, d, b) < 0) return true;
    }
  }
  return false;
}

export function area(polygon) {
  return Math.abs(polygon.reduce((sum, [ax, ay], n) => {
    const [bx, by] = polygon[(n + 1) % polygon.length];
    return sum + ax * by - bx * ay;
  }, 0)) / 2;
}

export function inside([x, y], polygon) {
  return polygon.reduce((is, [ax, ay], n) => {
    const [bx, by] = polygon[(n + 1) % polygon.length];
    return (ay > y) !== (by > y) && x < ax + (y - ay) * (bx - ax) / (by - ay) ? !is : is;
  }, false);
}

export function clamp([x, y]) {
  return [Math.min(Math.max(x, 0), 1), Math.min(Math.max(y, 0), 1)];
}

// Six digits: a thousandth of a pixel at 1000 pixels across, and short in a signed document.
export function tidy([x, y]) {
  return [Number(x.toFixed(6)), Number(y.toFixed(6))];
}

// Moves all points by the same step, shortened so that none leaves the picture.
export function moveAll(points, dx, dy) {
  const xs = points.map(([x]) => x), ys = points.map(([, y]) => y);
  const stepX = Math.min(Math.max(dx, -Math.min(...xs)), 1 - Math.max(...xs));
  const stepY = Math.min(Math.max(dy, -Math.min(...ys)), 1 - Math.max(...ys));
  return points.map(([x, y]) => tidy([x + stepX, y + stepY]));
}

// Returns where a point snaps to, or itself: other corners first, then the picture's edges and the block lines.
// `reach` is [across, down], in 0..1; `step` the size of a block, likewise.
export function snapped([x, y], corners, reach, step) {
  const near = corners
    .map((corner) => [Math.hypot((corner[0] - x) / reach[0], (corner[1] - y) / reach[1]), corner])
    .filter(([distance]) => distance <= 1)
    .sort(([one], [other]) => one - other);
  if (near.length > 0) return near[0][1];
  return tidy([toLine(x, reach[0], step[0]), toLine(y, reach[1], step[1])]);
}

function toLine(at, reach, step) {
  for (const edge of [0, 1]) if (Math.abs(at - edge) <= reach) return edge;
  const line = Math.round(at / step) * step;
  return Math.abs(at - line) <= Math.min(reach, step / 4) ? Math.min(line, 1) : at;
}

export function distanceToSegment([x, y], [ax, ay], [bx, by]) {
  const length = (bx - ax) ** 2 + (by - ay) ** 2;
  const share = length === 0 ? 0 : Math.min(Math.max(((x - ax) * (bx - ax) + (y - ay) * (by - ay)) / length, 0), 1);
  return Math.hypot(x - ax - share * (bx - ax), y - ay - share * (by - ay));
}

function turn(a, b, c) {
  return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0]);
}
