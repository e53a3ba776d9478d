// What keeps a drawing from being proposed, as texts and what fills them. The server looks again. Pure.

import { hiddenBlocks } from "./blocks.js";
import { MOST_CORNERS, wrongWith } from "./geometry.js";

export function problemsOf(drawing, { statement, mounting, size }) {
  const found = [];
  for (const { name, points } of drawing.areas) {
    const wrong = wrongWith(points);
    if (wrong) found.push([`bad-${wrong}`, { name, n: points.length, most: MOST_CORNERS }]);
  }
  for (const things of [drawing.areas, drawing.lines]) {
    const names = things.map(({ name }) => name.trim());
    if (names.includes("")) found.push(["bad-name", {}]);
    const twice = names.find((name, n) => name !== "" && names.indexOf(name) !== n);
    if (twice !== undefined) found.push(["bad-same-name", { name: twice }]);
  }
  if (drawing.areas.length > 64 || drawing.lines.length > 16) found.push(["bad-many", {}]);
  if (drawing.areas.length === 0 && statement.trim() === "") found.push(["bad-nothing", {}]);
  if (mounting === undefined) found.push(["bad-mounting", {}]);
  if (found.length === 0 && drawing.areas.length > 0) {
    if (hiddenBlocks(drawing.areas.map(({ points }) => points), size).every(Boolean)) found.push(["bad-everything", {}]);
  }
  return found;
}
