// What is drawn, and its history. A drawing is never changed: each act makes the next one. Pure.
//
//   drawing = { areas: [{ name, points }], lines: [{ name, points: [start, end] }] }
//   chosen  = null or { kind: "areas" | "lines", index, corner: null or a number }

import { moveAll, tidy } from "./geometry.js";

export const EMPTY = { areas: [], lines: [] };

export function withThing(drawing, kind, thing) {
  return { ...drawing, [kind]: [...drawing[kind], { ...thing, points: thing.points.map(tidy) }] };
}

export function withoutThing(drawing, kind, index) {
  return { ...drawing, [kind]: drawing[kind].filter((_, n) => n !== index) };
}

export function changed(drawing, kind, index, change) {
  return { ...drawing, [kind]: drawing[kind].map((thing, n) => (n === index ? { ...thing, ...change } : thing)) };
}

export function withCorner(drawing, { kind, index, corner }, point) {
  const points = drawing[kind][index].points.map((old, n) => (n === corner ? tidy(point) : old));
  return changed(drawing, kind, index, { points });
}

export function withCornerAfter(drawing, { kind, index, corner }, point) {
  const { points } = drawing[kind][index];
  return changed(drawing, kind, index, { points: [...points.slice(0, corner + 1), tidy(point), ...points.slice(corner + 1)] });
}

// A triangle that loses a corner, or a line that loses an end, is gone altogether.
export function withoutCorner(drawing, { kind, index, corner }) {
  const { points } = drawing[kind][index];
  if (corner === null || kind === "lines" || points.length <= 3) return withoutThing(drawing, kind, index);
  return changed(drawing, kind, index, { points: points.filter((_, n) => n !== corner) });
}

export function moved(drawing, { kind, index, corner }, dx, dy) {
  const { points } = drawing[kind][index];
  if (corner === null) return changed(drawing, kind, index, { points: moveAll(points, dx, dy) });
  return withCorner(drawing, { kind, index, corner }, moveAll([points[corner]], dx, dy)[0]);
}

// The first name of a pattern that nothing has yet.
export function freeName(things, pattern) {
  for (let n = things.length + 1; ; n++) {
    const name = pattern.replace("{n}", n);
    if (things.every((thing) => thing.name !== name)) return name;
  }
}

// What a proposal states.
export function stated(drawing) {
  return {
    zones: drawing.areas.map(({ name, points }) => ({ name: name.trim(), polygon: points })),
    lines: drawing.lines.map(({ name, points: [start, end] }) => ({ name: name.trim(), start, end })),
  };
}

export class History {
  #past = [];
  #future = [];

  constructor(now = EMPTY) {
    this.now = now;
  }

  get canUndo() { return this.#past.length > 0; }
  get canRedo() { return this.#future.length > 0; }

  // `replacing` continues the latest act (a drag, typing a name) instead of beginning another.
  act(next, { replacing = false } = {}) {
    if (!replacing) this.#past.push(this.now);
    this.#future = [];
    this.now = next;
  }

  undo() {
    if (!this.canUndo) return false;
    this.#future.push(this.now);
    this.now = this.#past.pop();
    return true;
  }

  redo() {
    if (!this.canRedo) return false;
    this.#past.push(this.now);
    this.now = this.#future.pop();
    return true;
  }
}
