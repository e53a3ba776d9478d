// Paints the scene, the blocks and what is drawn over them. Knows nothing of hands and keys.

import { gridShape, MACROBLOCK_PX } from "./blocks.js";

const AMBER = "#ffb81c", RED = "#ff4d4d", BLUE = "#58b7ff", GREEN = "#5fd38d", INK = "#0b1118", FILL = "#333333"; // FILL: luma 60, as the recorder fills

export function paint(canvas, view, scene, drawing, look) {
  const context = canvas.getContext("2d");
  const { width, height } = canvas;
  const ratio = width / Math.max(canvas.clientWidth, 1);
  const at = ([x, y]) => { const [cx, cy] = view.toCanvas([x, y]); return [cx * width, cy * height]; };
  const style = getComputedStyle(canvas);
  context.fillStyle = style.getPropertyValue("--ground");
  context.fillRect(0, 0, width, height);
  if (!scene.size) return;

  const [left, top] = at([0, 0]), [right, bottom] = at([1, 1]);
  if (scene.bitmap) context.drawImage(scene.bitmap, left, top, right - left, bottom - top);
  const needed = !scene.bitmap || scene.filled; // where there is a picture it is asked for
  if (scene.outline && (needed || look.outline)) outline(context, at, scene.outline, scene.bitmap ? BLUE : style.getPropertyValue("--trace"));
  if (look.asMasked) {
    fillBlocks(context, at, scene.size, look.hidden, FILL);
  } else {
    if (scene.inForce) hatchBlocks(context, at, scene.size, scene.inForce, BLUE, ratio, 1);
    fillBlocks(context, at, scene.size, look.hidden, "rgb(255 184 28 / 38%)");
    if (scene.inForce) {
      const uncovered = scene.inForce.map((was, n) => was & ~look.hidden[n] & 1);
      hatchBlocks(context, at, scene.size, uncovered, RED, ratio, -1);
    }
  }
  if (look.horizon !== null) horizon(context, at, look.horizon, look.horizonName, ratio);
  drawing.areas.forEach((area, index) => thing(context, at, area, "areas", index, look, ratio));
  drawing.lines.forEach((line, index) => thing(context, at, line, "lines", index, look, ratio));
  if (look.draft.length > 0) draft(context, at, look, ratio);
}

// Each cell as a short stroke along its edge: an edge runs across its gradient.
function outline(context, at, { codes, columns, rows }, colour) {
  const [x0, y0] = at([0, 0]), [x1, y1] = at([1 / columns, 1 / rows]);
  const wide = x1 - x0, high = y1 - y0, half = 0.62 * Math.max(wide, high);
  const path = new Path2D();
  for (let n = 0; n < rows * columns; n++) {
    if (codes[n] === 0) continue;
    const angle = (codes[n] - 1) * Math.PI / 8 + Math.PI / 2;
    const x = x0 + (n % columns + 0.5) * wide, y = y0 + (Math.floor(n / columns) + 0.5) * high;
    path.moveTo(x - half * Math.cos(angle), y - half * Math.sin(angle));
    path.lineTo(x + half * Math.cos(angle), y + half * Math.sin(angle));
  }
  context.strokeStyle = colour;
  context.lineWidth = Math.max(wide * 0.16, 1);
  context.stroke(path);
}

// Calls `each` for every run of set blocks in a row, in canvas pixels.
function runs(at, size, grid, each) {
  const { rows, columns } = gridShape(size);
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      if (!grid[row * columns + column]) continue;
      let end = column;
      while (end < columns && grid[row * columns + end]) end++;
      const [x, y] = at([column * MACROBLOCK_PX / size.width, row * MACROBLOCK_PX / size.height]);
      const [right, bottom] = at([end * MACROBLOCK_PX / size.width, (row + 1) * MACROBLOCK_PX / size.height]);
      each(Math.round(x), Math.round(y), Math.round(right) - Math.round(x), Math.round(bottom) - Math.round(y));
      column = end;
    }
  }
}

function fillBlocks(context, at, size, grid, colour) {
  context.fillStyle = colour;
  runs(at, size, grid, (x, y, wide, high) => context.fillRect(x, y, wide, high));
}

// Hatched, so that what is in force and what is drawn can be told apart without colours.
function hatchBlocks(context, at, size, grid, colour, ratio, slant) {
  const path = new Path2D();
  runs(at, size, grid, (x, y, wide, high) => path.rect(x, y, wide, high));
  context.save();
  context.clip(path);
  context.strokeStyle = colour;
  context.lineWidth = 1.5 * ratio;
  const { width, height } = context.canvas, step = 8 * ratio;
  context.beginPath();
  for (let x = -height; x < width + height; x += step) {
    context.moveTo(x, 0);
    context.lineTo(x + slant * height, height);
  }
  context.stroke();
  context.restore();
}

function horizon(context, at, share, name, ratio) {
  const [left, y] = at([0, share]), [right] = at([1, share]);
  context.setLineDash([14 * ratio, 8 * ratio]);
  stroke(context, [[left, y], [right, y]], GREEN, 2.5 * ratio);
  context.setLineDash([]);
  label(context, name, 10 * ratio, y - 8 * ratio, GREEN, ratio);
}

function thing(context, at, { name, points }, kind, index, look, ratio) {
  const chosen = look.chosen?.kind === kind && look.chosen.index === index;
  const colour = kind === "areas" ? AMBER : GREEN;
  const corners = points.map(at);
  stroke(context, kind === "areas" ? [...corners, corners[0]] : corners, colour, (chosen ? 3.5 : 2) * ratio);
  if (kind === "lines") arrow(context, corners, colour, ratio);
  if (chosen) {
    corners.forEach((corner, n) => handle(context, corner, n === look.chosen.corner ? 9 : 6.5, colour, ratio, n === look.chosen.corner));
    if (kind === "areas") {
      corners.forEach(([x, y], n) => {
        const [nx, ny] = corners[(n + 1) % corners.length];
        handle(context, [(x + nx) / 2, (y + ny) / 2], 3.5, colour, ratio, false);
      });
    }
  }
  const [x, y] = corners.reduce((best, corner) => (corner[1] < best[1] ? corner : best));
  label(context, name, x + 8 * ratio, y - 10 * ratio, colour, ratio);
}

function arrow(context, [[ax, ay], [bx, by]], colour, ratio) {
  const angle = Math.atan2(by - ay, bx - ax), long = 14 * ratio;
  for (const aside of [2.6, -2.6]) {
    stroke(context, [[bx, by], [bx + long * Math.cos(angle + aside), by + long * Math.sin(angle + aside)]], colour, 3 * ratio);
  }
  // A short mark on the left of who looks from start to end: where passages begin.
  const mx = (ax + bx) / 2, my = (ay + by) / 2;
  stroke(context, [[mx, my], [mx + long * Math.sin(angle), my - long * Math.cos(angle)]], colour, 3 * ratio);
}

function draft(context, at, look, ratio) {
  const corners = look.draft.map(at);
  stroke(context, corners, AMBER, 3 * ratio);
  corners.forEach((corner, n) => handle(context, corner, n === 0 ? 10 : 6.5, AMBER, ratio, n === 0));
}

function stroke(context, points, colour, width) {
  const path = new Path2D();
  points.forEach(([x, y], n) => (n === 0 ? path.moveTo(x, y) : path.lineTo(x, y)));
  context.lineJoin = context.lineCap = "round";
  context.strokeStyle = INK; // a dark seam, so that the line shows over light and dark alike
  context.lineWidth = width + 2.5;
  context.stroke(path);
  context.strokeStyle = colour;
  context.lineWidth = width;
  context.stroke(path);
}

function handle(context, [x, y], radius, colour, ratio, filled) {
  context.beginPath();
  context.arc(x, y, radius * ratio, 0, 2 * Math.PI);
  context.fillStyle = filled ? "#ffffff" : INK;
  context.fill();
  context.lineWidth = 2.5 * ratio;
  context.strokeStyle = colour;
  context.stroke();
}

function label(context, words, x, y, colour, ratio) {
  context.font = `600 ${13 * ratio}px system-ui, sans-serif`;
  const width = context.measureText(words).width + 12 * ratio;
  const left = Math.min(Math.max(x, 2), context.canvas.width - width - 2), top = Math.max(y - 10 * ratio, 2);
  context.fillStyle = "rgb(11 17 24 / 82%)";
  context.beginPath();
  context.roundRect(left, top, width, 20 * ratio, 4 * ratio);
  context.fill();
  context.fillStyle = colour;
  context.textBaseline = "middle";
  context.fillText(words, left + 6 * ratio, top + 10.5 * ratio);
}
