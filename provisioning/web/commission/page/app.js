// Puts the page together: what the camera shows on one side, what the technician draws on the other.

import { difference, gridShape, unpackBits, unpackHalves } from "./blocks.js";
import { follow, Problem, tell, WindowOver } from "./camera.js";
import { density, FIELDS, horizonOf, linesBelowIdentify, readMounting, tiltOf } from "./density.js";
import { changed, History, stated, withCorner, withoutThing } from "./drawing.js";
import { Editor } from "./editor.js";
import { problemsOf } from "./problems.js";
import { loadTexts, text } from "./texts.js";

const byId = (id) => document.getElementById(id);
const leaving = new AbortController();
const history = new History();
const editor = new Editor(byId("canvas"), history);
let latest = null, bestFocus = 0, imported = false, closed = false;

await loadTexts();
buildMounting();
buildTabs();
buildTools();
follow({ show, lost: () => state("no-answer", "bad"), over, signal: leaving.signal });
setInterval(showTimeLeft, 1000);

// --- what the camera shows ---

function show(update, bitmap) {
  latest = update;
  const size = { width: update.width_px, height: update.height_px };
  const { rows, columns } = gridShape(size);
  const { scene } = editor;
  const turned = scene.size?.width !== size.width || scene.size?.height !== size.height;
  if (turned) byId("canvas").style.aspectRatio = `${size.width} / ${size.height}`;
  if (update.shown !== "picture") scene.bitmap = null;
  else if (bitmap) scene.bitmap = bitmap;
  scene.size = turned ? size : scene.size;
  scene.filled = update.failed_closed !== "";
  scene.inForce = update.zones_grid ? unpackBits(update.zones_grid, rows * columns) : null;
  scene.outline = update.outline_rows === 0 ? null : {
    columns: update.outline_columns, rows: update.outline_rows,
    codes: unpackHalves(update.outline),
  };
  takeOver(update);
  byId("camera").textContent = update.camera_id;
  state(`shown-${update.shown}`, update.shown === "picture" ? "good" : "plain");
  byId("why").textContent = update.reason;
  veil(update);
  showFocus(update);
  showLevel(update.roll_degrees);
  showReference(update.reference);
  showChecks(update.checks);
  showTimeLeft();
  if (turned) showHorizon();
  showDifference();
  editor.repaint();
}

// The areas in force are where drawing begins: a proposal states all there should be.
function takeOver(update) {
  if (imported) return;
  if (update.proposal) { imported = true; goOnFrom(update.proposal); return; }
  if (update.view === null) return;
  imported = true;
  if (update.view.rotation_degrees !== update.rotation_degrees || history.canUndo) return;
  history.now = { ...history.now, areas: update.zones.map(({ name, polygon }) => ({ name, points: polygon })) };
  refresh();
}

// What was saved before the laptop died, or the cable was pulled.
function goOnFrom(proposal) {
  history.now = {
    areas: proposal.zones.map(({ name, polygon }) => ({ name, points: polygon })),
    lines: proposal.lines.map(({ name, start, end }) => ({ name, points: [start, end] })),
  };
  byId("statement").value = proposal.no_zones_statement ?? "";
  byId("comment").value = proposal.comment ?? "";
  for (const name of FIELDS) byId(`m-${name}`).value = proposal.mounting?.[name] ?? "";
  byId("saved").replaceChildren(make("p", { textContent: text("resumed", proposal) }));
  showMounting();
  refresh();
}

function veil(update) {
  const element = byId("veil");
  const words = update.failed_closed ? text("hidden-all", { reason: update.failed_closed }) : update.shown === "nothing" ? text("nothing-yet") : "";
  element.hidden = words === "";
  element.textContent = words;
}

function showFocus({ focus }) {
  byId("focus").value = focus ?? 0;
  byId("focus-number").textContent = focus === null ? "–" : (focus * 100).toFixed(0);
  bestFocus = Math.max(bestFocus, focus ?? 0);
  byId("focus-best").textContent = focus === null ? text("focus-none") : text("focus-best", { best: (bestFocus * 100).toFixed(0) });
}

function showLevel(degrees) {
  const element = byId("level");
  if (degrees === null) { element.textContent = text("level-none"); return; }
  const side = text(degrees > 0 ? "level-right" : "level-left");
  element.textContent = Math.abs(degrees) < 0.5 ? text("level-ok") : text("level-found", { degrees: Math.abs(degrees).toFixed(1), side });
}

function showReference(reference) {
  byId("reference").textContent = text(`reference-${reference.state}`, { ...reference, digest: reference.digest.slice(0, 16) });
  const progress = byId("reference-progress");
  progress.hidden = reference.state !== "making";
  progress.max = Math.max(reference.needed, 1);
  progress.value = reference.taken;
  byId("approve").disabled = closed || reference.state === "making";
}

function showChecks(checks) {
  byId("checks").replaceChildren(...checks.map(({ what, passed, found }) => make("li", { className: `check passed-${passed}` }, [
    make("strong", { textContent: text(`check-${what}`) }),
    make("span", { className: "verdict", textContent: text(`passed-${passed}`) }),
    make("span", { className: "found", textContent: found }),
  ])));
}

function showTimeLeft() {
  if (latest === null || closed) return;
  const seconds = Math.max(0, Math.round((Date.parse(latest.until) - Date.now()) / 1000));
  byId("left").textContent = `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
}

function over(reason) {
  close();
  state("over", "bad", { reason });
}

function close() {
  closed = true;
  leaving.abort();
  for (const button of document.querySelectorAll("main button:not([role=tab])")) button.disabled = true;
  byId("left").textContent = "–";
}

function state(name, look, words) {
  const element = byId("state");
  const said = text(name, words);
  if (element.textContent !== said) element.textContent = said; // a screen reader reads it at each change
  element.dataset.look = look;
}

// --- what is drawn ---

function refresh() {
  const { drawing } = editor;
  byId("undo").disabled = closed || !history.canUndo;
  byId("redo").disabled = closed || !history.canRedo;
  byId("remove").disabled = closed || editor.chosen === null;
  byId("done").hidden = byId("cancel").hidden = editor.mode === "choose";
  byId("no-areas").hidden = drawing.areas.length > 0;
  byId("statement-field").hidden = drawing.areas.length > 0;
  listThings("areas", byId("area-list"));
  listThings("lines", byId("line-list"));
  listCorners();
  showDifference();
  editor.repaint();
}

function listThings(kind, list) {
  const things = editor.drawing[kind];
  while (list.children.length > things.length) list.lastElementChild.remove();
  things.forEach((thing, index) => {
    const row = list.children[index] ?? list.appendChild(makeRow(kind, index));
    const [name, choose, remove] = row.querySelectorAll("input, button");
    if (name.value !== thing.name) name.value = thing.name;
    choose.setAttribute("aria-label", text("choose", thing));
    choose.setAttribute("aria-pressed", String(editor.chosen?.kind === kind && editor.chosen.index === index));
    remove.setAttribute("aria-label", text("delete", thing));
  });
}

// A row is kept while its name is typed: a list made anew would take the cursor away.
function makeRow(kind, index) {
  let typing = false;
  const name = make("input", { type: "text", maxLength: 60, autocomplete: "off" });
  name.setAttribute("aria-label", text(kind === "areas" ? "area-name" : "line-name", { n: index + 1 }));
  name.addEventListener("input", () => {
    history.act(changed(editor.drawing, kind, index, { name: name.value }), { replacing: typing });
    typing = true;
    refresh();
  });
  name.addEventListener("blur", () => { typing = false; });
  const choose = make("button", { type: "button", textContent: "◎" });
  choose.addEventListener("click", () => editor.choose({ kind, index, corner: null }));
  const remove = make("button", { type: "button", textContent: "✕" });
  remove.addEventListener("click", () => {
    history.act(withoutThing(editor.drawing, kind, index));
    editor.choose(null);
  });
  return make("li", { className: kind }, [name, choose, remove]);
}

// Numbers for those who cannot see or point: the same corners, in percent.
function listCorners() {
  const { chosen, drawing } = editor;
  const thing = chosen && drawing[chosen.kind][chosen.index];
  const title = byId("corners-title"), list = byId("corners");
  title.hidden = !thing;
  if (!thing) { list.replaceChildren(); return; }
  title.textContent = text("corners", thing);
  const wanted = thing.points.length * 2;
  if (list.children.length !== wanted || list.dataset.of !== `${chosen.kind} ${chosen.index}`) {
    list.dataset.of = `${chosen.kind} ${chosen.index}`;
    list.replaceChildren(...thing.points.flatMap((_, n) => [0, 1].map((axis) => cornerInput({ ...chosen, corner: n }, axis))));
  }
  [...list.children].forEach((input, n) => {
    const value = (thing.points[n >> 1][n & 1] * 100).toFixed(2);
    if (document.activeElement !== input && input.value !== value) input.value = value;
  });
}

function cornerInput(at, axis) {
  const input = make("input", { type: "number", min: 0, max: 100, step: 0.01, inputMode: "decimal" });
  input.setAttribute("aria-label", text(axis === 0 ? "corner-across" : "corner-down", { n: at.corner + 1 }));
  input.addEventListener("change", () => {
    const share = Number(input.value) / 100;
    if (!(share >= 0 && share <= 1)) { input.value = ""; refresh(); return; }
    const point = [...editor.drawing[at.kind][at.index].points[at.corner]];
    point[axis] = share;
    history.act(withCorner(editor.drawing, at, point));
    refresh();
  });
  return input;
}

function showDifference() {
  if (!editor.size) return;
  const found = difference(editor.scene.inForce, editor.hidden());
  let name = "difference-none";
  if (latest?.mismatch) name = "difference-mismatch";
  else if (editor.scene.inForce === null) name = "difference-ungranted";
  else if (found.uncovered > 0) name = "difference-widens";
  else if (found.added > 0) name = "difference-narrows";
  byId("difference").textContent = text(name, { ...found, reason: latest?.mismatch });
}

// --- mounting ---

function mounting() {
  return readMounting(Object.fromEntries(FIELDS.map((name) => [name, byId(`m-${name}`).value])));
}

function buildMounting() {
  byId("mounting").replaceChildren(...FIELDS.map((name) => {
    const input = make("input", { id: `m-${name}`, type: "text", inputMode: "decimal", autocomplete: "off" });
    input.addEventListener("input", showMounting);
    return make("label", {}, [make("span", { textContent: text(name) }), input]);
  }));
  editor.addEventListener("horizon", ({ detail }) => {
    const lens = Number(byId("m-lens_degrees").value.replace(",", ".")) || 60;
    byId("m-tilt_degrees").value = tiltOf(detail, lens, editor.size).toFixed(1);
    showDensity();
  });
}

function showMounting() {
  showHorizon();
  showDensity();
}

function showHorizon() {
  if (!editor.size || byId("aim").hidden) { editor.horizon = null; return; }
  const lens = Number(byId("m-lens_degrees").value.replace(",", ".")) || 60;
  const tilt = Number(byId("m-tilt_degrees").value.replace(",", ".")) || 0;
  editor.horizon = Math.min(Math.max(horizonOf(tilt, lens, editor.size), 0), 1);
  editor.repaint();
}

function showDensity() {
  const measured = mounting(), element = byId("density");
  if (!measured || !editor.size) { element.replaceChildren(make("p", { className: "hint", textContent: text("density-none") })); return; }
  const found = density(measured, editor.size);
  const lines = [
    make("p", { textContent: text("density-is", { highest: found.highest.toFixed(0), at: found.highestAt.toFixed(1), lowest: found.lowest.toFixed(0) }) }),
    make("p", { textContent: text("density-band", { band: text(`band-${found.band}`) }) }),
  ];
  if (found.highest >= 250) {
    lines.push(make("p", { className: "warning", textContent: text("density-high", { lines: linesBelowIdentify(found.highest, editor.size) }) }));
  }
  element.replaceChildren(...lines);
}

// --- leaving something behind ---

async function save() {
  if (!editor.size) return;
  const statement = byId("statement").value, measured = mounting();
  const problems = problemsOf(editor.drawing, { statement, mounting: measured, size: editor.size });
  showProblems(problems.map(([name, words]) => text(name, words)));
  byId("saved").replaceChildren();
  if (problems.length > 0) return;
  await saying(async () => {
    const answer = await tell("/api/proposal", {
      ...stated(editor.drawing),
      no_zones_statement: editor.drawing.areas.length > 0 ? null : statement.trim(),
      mounting: measured,
      comment: byId("comment").value.trim() || null,
    });
    const words = [text("saved", answer), text(answer.narrows_only ? "saved-narrows" : "saved-widens", answer)];
    byId("saved").replaceChildren(
      ...words.map((textContent) => make("p", { textContent })),
      ...(answer.counting ? [make("p", { textContent: text("saved-lines") }), make("pre", { textContent: answer.counting, tabIndex: 0 })] : []),
    );
  });
}

async function sign() {
  await saying(async () => {
    const answer = await tell("/api/finish", { remark: byId("remark").value.trim() || null });
    close();
    showChecks(answer.checks);
    const words = text(answer.complete ? "signed-complete" : "signed-incomplete", answer);
    byId("signed").replaceChildren(make("p", { textContent: words }));
    state(answer.complete ? "passed-true" : "passed-false", answer.complete ? "good" : "bad");
  });
}

async function saying(act) {
  try {
    await act();
  } catch (error) {
    if (error instanceof WindowOver) over(error.message);
    else showProblems([text("problem", { problem: error instanceof Problem ? error.message : text("no-answer") })]);
  }
}

function showProblems(words) {
  byId("problems").replaceChildren(...words.map((textContent) => make("li", { textContent })));
}

// --- the frame around it ---

function buildTools() {
  byId("new-area").addEventListener("click", () => { openTab("areas"); editor.begin("area"); });
  byId("new-line").addEventListener("click", () => { openTab("areas"); editor.begin("line"); });
  byId("done").addEventListener("click", () => editor.finishDraft());
  byId("cancel").addEventListener("click", () => editor.cancel());
  byId("undo").addEventListener("click", () => editor.undo());
  byId("redo").addEventListener("click", () => editor.redo());
  byId("remove").addEventListener("click", () => editor.remove());
  byId("zoom-in").addEventListener("click", () => editor.zoom(1.5));
  byId("zoom-out").addEventListener("click", () => editor.zoom(1 / 1.5));
  byId("zoom-fit").addEventListener("click", () => editor.zoom(0));
  byId("save").addEventListener("click", save);
  byId("sign").addEventListener("click", sign);
  byId("approve").addEventListener("click", () => saying(() => tell("/api/approve", {})));
  for (const [id, option] of [["snap", "snap"], ["as-masked", "asMasked"], ["outline", "outline"]]) {
    byId(id).addEventListener("change", ({ target }) => { editor.options[option] = target.checked; editor.repaint(); });
  }
  byId("theme").addEventListener("click", () => {
    const root = document.documentElement;
    const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = dark ? "light" : "dark";
    editor.repaint();
  });
  editor.addEventListener("change", refresh);
  editor.addEventListener("said", ({ detail }) => { byId("told").textContent = detail; });
  refresh();
}

function buildTabs() {
  const tabs = [...document.querySelectorAll("[role=tab]")];
  tabs.forEach((tab, n) => {
    tab.addEventListener("click", () => openTab(tab.getAttribute("aria-controls")));
    tab.addEventListener("keydown", ({ key }) => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[key];
      if (step === undefined) return;
      const next = tabs[(n + step + tabs.length) % tabs.length];
      openTab(next.getAttribute("aria-controls"));
      next.focus();
    });
  });
}

function openTab(id) {
  for (const tab of document.querySelectorAll("[role=tab]")) {
    const open = tab.getAttribute("aria-controls") === id;
    tab.setAttribute("aria-selected", String(open));
    tab.tabIndex = open ? 0 : -1;
    byId(tab.getAttribute("aria-controls")).hidden = !open;
  }
  showHorizon();
  showDensity();
  editor.repaint();
}

function make(tag, properties, children = []) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}
