// The canvas in the hand: mouse, touch and keys become acts on the drawing.

import { hiddenBlocks, MACROBLOCK_PX } from "./blocks.js";
import { freeName, moved, withCorner, withCornerAfter, withoutCorner, withThing } from "./drawing.js";
import { clamp, distanceToSegment, inside, snapped, tidy } from "./geometry.js";
import { paint } from "./painting.js";
import { text } from "./texts.js";
import { Viewport } from "./viewport.js";

const MOUSE_REACH_PX = 14, TOUCH_REACH_PX = 28, CLOSE_PX = 14, SNAP_PX = 10, TAP_PX = 8;

export class Editor extends EventTarget {
  scene = { size: null, bitmap: null, filled: false, outline: null, inForce: null };
  chosen = null;
  horizon = null; // a share of the height while it may be dragged, else null
  options = { snap: true, asMasked: false, outline: false };
  mode = "choose"; // or "area", "line"
  #draft = [];
  #view = new Viewport();
  #pointers = new Map();
  #drag = null;
  #grid = { drawing: null, size: null, hidden: null };

  constructor(canvas, history) {
    super();
    this.canvas = canvas;
    this.history = history;
    canvas.addEventListener("pointerdown", (event) => this.#down(event));
    canvas.addEventListener("pointermove", (event) => this.#move(event));
    for (const end of ["pointerup", "pointercancel"]) canvas.addEventListener(end, (event) => this.#up(event));
    canvas.addEventListener("dblclick", () => this.finishDraft());
    canvas.addEventListener("keydown", (event) => this.#key(event));
    canvas.addEventListener("wheel", (event) => {
      event.preventDefault();
      this.zoom(event.deltaY < 0 ? 1.2 : 1 / 1.2, this.#share(event));
    }, { passive: false });
    new ResizeObserver(() => this.#fitCanvas()).observe(canvas);
  }

  get drawing() { return this.history.now; }
  get size() { return this.scene.size; }

  hidden() {
    const { drawing, size } = this;
    if (this.#grid.drawing !== drawing || this.#grid.size !== size) {
      this.#grid = { drawing, size, hidden: hiddenBlocks(drawing.areas.map(({ points }) => points), size) };
    }
    return this.#grid.hidden;
  }

  repaint() {
    paint(this.canvas, this.#view, this.scene, this.drawing, {
      ...this.options, chosen: this.chosen, draft: this.#draft, hidden: this.size ? this.hidden() : null,
      horizon: this.horizon, horizonName: text("horizon"),
    });
  }

  // --- acts ---

  begin(mode) {
    this.mode = mode;
    this.#draft = [];
    this.choose(null, { quietly: true });
    this.#say(mode === "area" ? "told-drawing" : "told-drawing-line");
    this.#changed();
  }

  cancel() {
    this.mode = "choose";
    this.#draft = [];
    this.choose(null);
  }

  finishDraft() {
    const least = this.mode === "area" ? 3 : 2;
    if (this.mode === "choose" || this.#draft.length < least) return;
    const kind = this.mode === "area" ? "areas" : "lines";
    const points = this.mode === "area" ? this.#draft : this.#draft.slice(0, 2);
    this.mode = "choose";
    this.#draft = [];
    this.#add(kind, points);
  }

  // For those who draw with keys: an area or line in the middle of what is shown, to be moved.
  addInTheMiddle(kind) {
    const [left, top] = this.#view.toPicture([0.4, 0.4]), [right, bottom] = this.#view.toPicture([0.6, 0.6]);
    this.#add(kind, kind === "areas" ? [[left, top], [right, top], [right, bottom], [left, bottom]] : [[left, bottom], [right, bottom]]);
  }

  choose(chosen, { quietly = false } = {}) {
    this.chosen = chosen;
    if (!quietly) this.#sayChosen();
    this.#changed();
  }

  remove() {
    if (this.chosen === null) return;
    const { kind, index, corner } = this.chosen;
    this.history.act(withoutCorner(this.drawing, this.chosen));
    const thing = this.drawing[kind][index];
    this.chosen = corner !== null && thing && kind === "areas" ? { kind, index, corner: corner % thing.points.length } : null;
    this.#say("told-removed");
    this.#changed();
  }

  undo() { if (this.history.undo()) this.#stepped("told-undone"); }
  redo() { if (this.history.redo()) this.#stepped("told-redone"); }

  zoom(factor, at) {
    if (factor === 0) this.#view.fit(); else this.#view.zoomAt(factor, at);
    this.repaint();
  }

  #add(kind, points) {
    const things = this.drawing[kind];
    const name = freeName(things, text(kind === "areas" ? "area-new-name" : "line-new-name", { n: "{n}" }));
    this.history.act(withThing(this.drawing, kind, { name, points }));
    this.choose({ kind, index: things.length, corner: null });
  }

  #stepped(word) {
    const { chosen } = this;
    const thing = chosen && this.drawing[chosen.kind][chosen.index];
    if (!thing || (chosen.corner !== null && chosen.corner >= thing.points.length)) this.chosen = null;
    this.#say(word);
    this.#changed();
  }

  // --- hands ---

  #down(event) {
    if (!this.size || event.button > 0) return;
    this.canvas.setPointerCapture(event.pointerId);
    this.#pointers.set(event.pointerId, this.#share(event));
    if (this.#pointers.size === 2) { // two fingers: zoom and move, and whatever the first one began is let go
      if (this.#drag?.acted) this.history.undo();
      this.#drag = { what: "pinch" };
      return;
    }
    const point = this.#point(event);
    this.#drag = this.mode === "choose" ? this.#grasp(point, event) : { what: "placing" };
    this.#drag.from = this.#share(event);
    this.#drag.last = point;
    this.repaint();
  }

  #move(event) {
    const before = this.#pointers.get(event.pointerId);
    if (before === undefined) return this.#hover(event);
    const now = this.#share(event);
    const drag = this.#drag;
    if (drag?.what === "pinch") {
      const [other] = [...this.#pointers].filter(([id]) => id !== event.pointerId).map(([, share]) => share);
      this.#pointers.set(event.pointerId, now);
      if (other === undefined) return;
      const middle = [(now[0] + other[0]) / 2, (now[1] + other[1]) / 2];
      this.#view.zoomAt(Math.hypot(now[0] - other[0], now[1] - other[1]) / Math.max(Math.hypot(before[0] - other[0], before[1] - other[1]), 1e-6), middle);
      this.#view.pan((now[0] - before[0]) / 2, (now[1] - before[1]) / 2);
      return this.repaint();
    }
    this.#pointers.set(event.pointerId, now);
    if (!drag || (!drag.moving && this.#pixels(drag.from, now) < TAP_PX)) return;
    drag.moving = true;
    const point = this.#point(event);
    if (drag.what === "pan") this.#view.pan(now[0] - before[0], now[1] - before[1]);
    if (drag.what === "horizon") {
      this.horizon = Math.min(Math.max(point[1], 0), 1);
      this.#tell("horizon", this.horizon);
    }
    if (drag.what === "corner") this.#act(drag, withCorner(drag.base, this.chosen, this.#snap(point, this.chosen)));
    if (drag.what === "whole") {
      this.#act(drag, moved(drag.base, { ...this.chosen, corner: null }, point[0] - drag.start[0], point[1] - drag.start[1]));
    }
    this.repaint();
  }

  #up(event) {
    if (!this.#pointers.delete(event.pointerId)) return;
    const drag = this.#drag;
    if (this.#pointers.size > 0) return; // one finger of two
    this.#drag = null;
    if (event.type === "pointercancel" || !drag) return;
    if (drag.what === "placing") this.#place(this.#snap(this.#point(event), null));
    if (drag.what === "pan" && !drag.moving) this.choose(null);
    if (drag.what === "corner" || drag.what === "whole") this.#sayChosen();
    this.#changed();
  }

  #hover(event) {
    if (this.mode !== "choose") { this.canvas.style.cursor = "crosshair"; return; }
    const grasped = this.size ? this.#hit(this.#point(event), event) : null;
    this.canvas.style.cursor = { corner: "grab", between: "copy", whole: "move", horizon: "ns-resize" }[grasped?.what] ?? "default";
  }

  #grasp(point, event) {
    const hit = this.#hit(point, event);
    if (hit === null) return { what: "pan" };
    if (hit.what === "horizon") return hit;
    this.chosen = hit.chosen;
    if (hit.what === "between") {
      this.history.act(withCornerAfter(this.drawing, { ...hit.chosen, corner: hit.chosen.corner - 1 }, point));
      return { what: "corner", base: this.drawing, acted: true };
    }
    return { what: hit.what, base: this.drawing, start: point, acted: false };
  }

  // What lies under a point: the chosen thing's corners first, then the others', then between, lines and bodies.
  #hit(point, event) {
    const reach = event.pointerType === "touch" ? TOUCH_REACH_PX : MOUSE_REACH_PX;
    const near = (other) => this.#pictureDistance(point, other) <= reach;
    const all = ["areas", "lines"].flatMap((kind) => this.drawing[kind].map(({ points }, index) => ({ kind, index, points })));
    const isChosen = ({ kind, index }) => this.chosen?.kind === kind && this.chosen.index === index;
    all.sort((one, other) => isChosen(other) - isChosen(one));
    for (const { kind, index, points } of all) {
      const corner = points.findIndex(near);
      if (corner >= 0) return { what: "corner", chosen: { kind, index, corner } };
    }
    const mine = all.find(isChosen);
    if (mine?.kind === "areas") {
      const after = mine.points.findIndex(([x, y], n) => {
        const [nx, ny] = mine.points[(n + 1) % mine.points.length];
        return near([(x + nx) / 2, (y + ny) / 2]);
      });
      if (after >= 0) return { what: "between", chosen: { kind: "areas", index: mine.index, corner: after + 1 } };
    }
    if (this.horizon !== null && this.#pictureDistance(point, [point[0], this.horizon]) <= reach) return { what: "horizon" };
    for (const { kind, index, points } of all) {
      const on = kind === "areas" ? inside(point, points) : this.#segmentDistance(point, points) <= reach;
      if (on) return { what: "whole", chosen: { kind, index, corner: null } };
    }
    return null;
  }

  #place(point) {
    const closes = this.mode === "area" && this.#draft.length >= 3 && this.#pictureDistance(point, this.#draft[0]) <= CLOSE_PX;
    if (closes) return this.finishDraft();
    const last = this.#draft.at(-1);
    if (last && last[0] === point[0] && last[1] === point[1]) return; // the second half of a double click
    this.#draft.push(point);
    if (this.mode === "line" && this.#draft.length === 2) this.finishDraft();
  }

  #act(drag, next) {
    this.history.act(next, { replacing: drag.acted });
    drag.acted = true;
    this.#tell("change");
  }

  #snap(point, chosen) {
    if (!this.options.snap) return tidy(clamp(point));
    const others = ["areas", "lines"].flatMap((kind) => this.drawing[kind].flatMap(({ points }, index) => points.filter(
      (_, n) => !(chosen && chosen.kind === kind && chosen.index === index && chosen.corner === n))));
    const reach = [SNAP_PX / this.canvas.clientWidth / this.#view.zoom, SNAP_PX / this.canvas.clientHeight / this.#view.zoom];
    const step = [MACROBLOCK_PX / this.size.width, MACROBLOCK_PX / this.size.height];
    return snapped(clamp(point), [...others, ...this.#draft.slice(0, 1)], reach, step);
  }

  // --- keys ---

  #key(event) {
    if (!this.size) return;
    const done = this.#keyAct(event);
    if (done) event.preventDefault();
  }

  #keyAct({ key, ctrlKey, metaKey, shiftKey }) {
    if (ctrlKey || metaKey) {
      const lower = key.toLowerCase();
      if (lower === "z" && !shiftKey) return this.undo() ?? true;
      if (lower === "y" || (lower === "z" && shiftKey)) return this.redo() ?? true;
      return false;
    }
    const step = shiftKey ? 1 : MACROBLOCK_PX;
    const arrows = { ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, -step], ArrowDown: [0, step] };
    if (key in arrows) return this.#nudge(...arrows[key]);
    const acts = {
      n: () => this.addInTheMiddle("areas"), l: () => this.addInTheMiddle("lines"),
      PageDown: () => this.#nextCorner(1), PageUp: () => this.#nextCorner(-1), Home: () => this.#nextThing(),
      Insert: () => this.#insert(), Delete: () => this.remove(), Backspace: () => this.remove(),
      Escape: () => this.cancel(), Enter: () => this.finishDraft(),
      "+": () => this.zoom(1.25), "-": () => this.zoom(0.8), 0: () => this.zoom(0),
    };
    const act = acts[key] ?? acts[key.toLowerCase()];
    act?.();
    return act !== undefined;
  }

  #nudge(dx, dy) {
    if (this.chosen === null) {
      this.#view.pan(-dx / 400, -dy / 400);
      this.repaint();
      return true;
    }
    this.history.act(moved(this.drawing, this.chosen, dx / this.size.width, dy / this.size.height));
    this.#sayChosen();
    this.#changed();
    return true;
  }

  #nextCorner(step) {
    if (this.chosen === null) return this.#nextThing();
    const { length } = this.drawing[this.chosen.kind][this.chosen.index].points;
    const from = this.chosen.corner ?? (step > 0 ? -1 : 0);
    return this.choose({ ...this.chosen, corner: (from + step + length) % length });
  }

  #nextThing() {
    const all = ["areas", "lines"].flatMap((kind) => this.drawing[kind].map((_, index) => ({ kind, index, corner: null })));
    if (all.length === 0) return;
    const at = all.findIndex(({ kind, index }) => this.chosen?.kind === kind && this.chosen.index === index);
    this.choose(all[(at + 1) % all.length]);
  }

  #insert() {
    if (this.chosen?.kind !== "areas") return;
    const { points } = this.drawing.areas[this.chosen.index];
    const corner = this.chosen.corner ?? 0;
    const [x, y] = points[corner], [nx, ny] = points[(corner + 1) % points.length];
    this.history.act(withCornerAfter(this.drawing, { ...this.chosen, corner }, [(x + nx) / 2, (y + ny) / 2]));
    this.choose({ ...this.chosen, corner: corner + 1 });
  }

  // --- measures ---

  #share(event) {
    const box = this.canvas.getBoundingClientRect();
    return [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
  }

  #point(event) { return this.#view.toPicture(this.#share(event)); }

  #pixels([ax, ay], [bx, by]) {
    return Math.hypot((ax - bx) * this.canvas.clientWidth, (ay - by) * this.canvas.clientHeight);
  }

  #pictureDistance(one, other) { return this.#pixels(this.#view.toCanvas(one), this.#view.toCanvas(other)); }

  #segmentDistance(point, [start, end]) {
    const scaled = ([x, y]) => [x * this.canvas.clientWidth * this.#view.zoom, y * this.canvas.clientHeight * this.#view.zoom];
    return distanceToSegment(scaled(point), scaled(start), scaled(end));
  }

  #fitCanvas() {
    const ratio = Math.min(window.devicePixelRatio || 1, 2);
    const width = Math.round(this.canvas.clientWidth * ratio), height = Math.round(this.canvas.clientHeight * ratio);
    if (this.canvas.width !== width || this.canvas.height !== height) Object.assign(this.canvas, { width, height });
    this.repaint();
  }

  // --- telling ---

  #changed() {
    this.repaint();
    this.#tell("change");
  }

  #tell(type, detail) { this.dispatchEvent(new CustomEvent(type, { detail })); }
  #say(name, words) { this.#tell("said", text(name, words)); }

  #sayChosen() {
    if (this.chosen === null) return this.#say("told-none");
    const { kind, index, corner } = this.chosen;
    const { name, points } = this.drawing[kind][index];
    if (corner === null) return this.#say("told-whole", { name, n: points.length });
    const [x, y] = points[corner].map((share) => (share * 100).toFixed(1));
    return this.#say(kind === "areas" ? "told-corner" : "told-line-end", { name, n: corner + 1, of: points.length, x, y });
  }
}
