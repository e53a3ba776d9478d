// The commissioning page's own modules, without a page: node --test tests/tools/zone_editor.test.mjs

import assert from "node:assert/strict";
import { test } from "node:test";

const page = (name) => import(new URL(`../../provisioning/web/commission/page/${name}.js`, import.meta.url));
const { difference, hiddenBlocks, unpackBits, unpackHalves } = await page("blocks");
const { density, horizonOf, linesBelowIdentify, readMounting, tiltOf } = await page("density");
const drawing = await page("drawing");
const geometry = await page("geometry");
const { problemsOf } = await page("problems");
const { Viewport } = await page("viewport");

const SIZE = { width: 1280, height: 720 };
const SQUARE = [[0.1, 0.1], [0.3, 0.1], [0.3, 0.3], [0.1, 0.3]];
const BOW = [[0.1, 0.1], [0.3, 0.3], [0.3, 0.1], [0.1, 0.3]];
const only = (...areas) => ({ areas: areas.map((points, n) => ({ name: `area ${n}`, points })), lines: [] });
const told = (what, given = {}) => problemsOf(what, { statement: "", mounting: null, size: SIZE, ...given }).map(([name]) => name);

test("an edge hides every block it touches, and no other", () => {
  const grid = hiddenBlocks([[[16 / 1280, 16 / 720], [31.9 / 1280, 16 / 720], [31.9 / 1280, 31.9 / 720], [16 / 1280, 31.9 / 720]]], SIZE);

  assert.deepEqual([...grid.keys()].filter((n) => grid[n]), [0, 1, 80, 81]); // on the line: the blocks on both sides
});

test("what a proposal adds and what it uncovers are counted apart", () => {
  assert.deepEqual(difference(Uint8Array.of(1, 1, 0, 0), Uint8Array.of(0, 1, 1, 1)), { blocks: 4, hidden: 3, added: 2, uncovered: 1 });
  assert.deepEqual(difference(null, Uint8Array.of(0, 1)), { blocks: 2, hidden: 1, added: 1, uncovered: 0 });
});

test("bits and halves are read as numpy packs them", () => {
  assert.deepEqual([...unpackBits(btoa("\xa0\x80"), 9)], [1, 0, 1, 0, 0, 0, 0, 0, 1]);
  assert.deepEqual([...unpackHalves(btoa("\x18\x00"))], [1, 8, 0, 0]);
});

test("a drawing that officials could not use is told apart by what is wrong", () => {
  assert.deepEqual(told(only(SQUARE)), []);
  assert.deepEqual(told(only(BOW)), ["bad-crossing"]);
  assert.deepEqual(told(only([[0, 0], [1, 1]])), ["bad-corners"]);
  assert.deepEqual(told(only(Array.from({ length: 1000 }, (_, n) => [n / 1000, n % 2]))), ["bad-corners"]);
  assert.deepEqual(told(only([[0.5, 0.5], [0.5, 0.5], [0.5, 0.5]])), ["bad-small"]);
  assert.deepEqual(told(only([[0, 0], [1, 0], [1, 1], [0, 1]])), ["bad-everything"]);
  assert.deepEqual(told(drawing.EMPTY), ["bad-nothing"]);
  assert.deepEqual(told(drawing.EMPTY, { statement: "It looks at a wall." }), []);
  assert.deepEqual(told(only(SQUARE), { mounting: undefined }), ["bad-mounting"]);
  assert.deepEqual(told({ areas: [{ name: "a", points: SQUARE }, { name: " a", points: SQUARE }], lines: [] }), ["bad-same-name"]);
  assert.deepEqual(told({ areas: [{ name: " ", points: SQUARE }], lines: [] }), ["bad-name"]);
  assert.deepEqual(told(only(...Array(65).fill(SQUARE))), ["bad-many"]);
});

test("undo and redo walk through acts, and a drag is one of them", () => {
  const history = new drawing.History();
  history.act(drawing.withThing(history.now, "areas", { name: "a", points: SQUARE }));
  const at = { kind: "areas", index: 0, corner: 0 };
  history.act(drawing.withCorner(history.now, at, [0.05, 0.1]));
  history.act(drawing.withCorner(history.now, at, [0, 0.1]), { replacing: true });

  assert.deepEqual(history.now.areas[0].points[0], [0, 0.1]);
  history.undo();
  assert.deepEqual(history.now.areas[0].points[0], [0.1, 0.1]);
  history.undo();
  assert.deepEqual(history.now, drawing.EMPTY);
  assert.equal(history.undo(), false);
  history.redo();
  history.redo();
  assert.deepEqual(history.now.areas[0].points[0], [0, 0.1]);
  history.undo();
  history.act(drawing.EMPTY);
  assert.equal(history.canRedo, false);
});

test("a triangle that loses a corner is gone, a square becomes a triangle", () => {
  const square = only(SQUARE);
  const triangle = drawing.withoutCorner(square, { kind: "areas", index: 0, corner: 1 });

  assert.equal(triangle.areas[0].points.length, 3);
  assert.deepEqual(drawing.withoutCorner(triangle, { kind: "areas", index: 0, corner: 1 }), drawing.EMPTY);
  assert.equal(square.areas[0].points.length, 4); // a drawing is never changed
});

test("nothing is moved out of the picture, and what is moved keeps its shape", () => {
  const [one, two] = geometry.moveAll([[0.1, 0.5], [0.9, 0.5]], 0.5, -0.9);

  assert.deepEqual([one, two], [[0.2, 0], [1, 0]]);
});

test("a point snaps to a corner before it snaps to a line, and stays where nothing is near", () => {
  const reach = [0.02, 0.02], step = [16 / 1280, 16 / 720];

  assert.deepEqual(geometry.snapped([0.31, 0.3], SQUARE, reach, step), [0.3, 0.3]);
  assert.deepEqual(geometry.snapped([0.995, 0.5], [], reach, step), [1, 0.5]);
  assert.equal(geometry.snapped([0.5 + 0.001, 0.505], [], reach, step)[0], 0.5);
});

test("the horizon gives the tilt that gives the horizon", () => {
  for (const tilt of [0, 5, 20]) assert.ok(Math.abs(tiltOf(horizonOf(tilt, 70, SIZE), 70, SIZE) - tilt) < 1e-9);
});

test("a picture of the lines that are advised could identify nobody", () => {
  const mounting = { height_m: 3, tilt_degrees: 30, lens_degrees: 40, nearest_m: 1, farthest_m: 8 };
  const { highest } = density(mounting, SIZE);
  const lines = linesBelowIdentify(highest, SIZE);

  assert.ok(highest >= 250);
  assert.ok(density(mounting, { width: lines * 16 / 9, height: lines }).highest <= 250);
});

test("a mounting is whole, empty or none", () => {
  const whole = { height_m: "4,5", tilt_degrees: "20", lens_degrees: "66", nearest_m: "2", farthest_m: "30" };
  const empty = Object.fromEntries(Object.keys(whole).map((name) => [name, " "]));

  assert.equal(readMounting(whole).height_m, 4.5);
  assert.equal(readMounting(empty), null);
  assert.equal(readMounting({ ...whole, height_m: "" }), undefined);
  assert.equal(readMounting({ ...whole, tilt_degrees: "steep" }), undefined);
  assert.equal(readMounting({ ...whole, lens_degrees: "500" }), undefined);
});

test("zooming keeps what is under the finger there, and never shows beyond the picture", () => {
  const view = new Viewport();
  const before = view.toPicture([0.7, 0.4]);
  view.zoomAt(3, [0.7, 0.4]);

  assert.ok(Math.hypot(view.toPicture([0.7, 0.4])[0] - before[0], view.toPicture([0.7, 0.4])[1] - before[1]) < 1e-9);
  view.pan(-9, 9);
  assert.deepEqual(view.toPicture([1, 0]).map((share) => Number(share.toFixed(9))), [1, 0]);
  view.zoomAt(1 / 100);
  assert.deepEqual(view.toPicture([0, 1]), [0, 1]);
});
