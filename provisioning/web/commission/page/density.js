// Pixels a metre at the pavement: the same as provisioning/commissioning/density.py, which says what they mean. Pure.

export const BANDS = [["inspect", 1000], ["identify", 250], ["recognise", 125], ["observe", 62.5], ["detect", 25], ["monitor", 12.5]];
export const IDENTIFY_PX_PER_M = 250;
const FACE_M = 1.6;
const RANGES = {
  height_m: [FACE_M + 0.001, 60], tilt_degrees: [0, 90], lens_degrees: [1, 170], nearest_m: [0, 1000], farthest_m: [0, 1000],
};

export const FIELDS = Object.keys(RANGES);

// Returns the mounting that texts state, null if all are empty, or undefined if it is none.
export function readMounting(texts) {
  if (FIELDS.every((name) => texts[name].trim() === "")) return null;
  const mounting = {};
  for (const name of FIELDS) {
    const number = Number(texts[name].replace(",", "."));
    const [least, most] = RANGES[name];
    if (texts[name].trim() === "" || !(number >= least && number <= most)) return undefined;
    mounting[name] = number;
  }
  return mounting;
}

export function density(mounting, size) {
  const focal = size.width / 2 / Math.tan(radians(mounting.lens_degrees) / 2);
  const tilt = radians(mounting.tilt_degrees);
  const halfDown = Math.atan(size.height / 2 / focal);
  const drop = mounting.height_m - FACE_M;
  const steepest = tilt + halfDown;
  const visibleFrom = steepest >= Math.PI / 2 ? 0 : drop / Math.tan(steepest);
  const nearest = Math.max(mounting.nearest_m, visibleFrom);
  const farthest = Math.max(mounting.farthest_m, nearest);
  const at = (ground) => focal / Math.max(ground * Math.cos(tilt) + drop * Math.sin(tilt), 0.1);
  const highest = at(nearest);
  return {
    highest, lowest: at(farthest), highestAt: nearest, band: bandOf(highest),
    horizon: horizonOf(mounting.tilt_degrees, mounting.lens_degrees, size),
  };
}

// Where the horizon lies, as a share of the picture's height from the top; may lie outside.
export function horizonOf(tiltDegrees, lensDegrees, size) {
  const focal = size.width / 2 / Math.tan(radians(lensDegrees) / 2);
  return 0.5 - focal * Math.tan(Math.min(radians(tiltDegrees), radians(89.9))) / size.height;
}

// The tilt at which the horizon lies there.
export function tiltOf(horizon, lensDegrees, size) {
  const focal = size.width / 2 / Math.tan(radians(lensDegrees) / 2);
  return Math.max(Math.atan((0.5 - horizon) * size.height / focal) * 180 / Math.PI, 0);
}

export function bandOf(pixels) {
  return BANDS.find(([, least]) => pixels >= least)?.[0] ?? "";
}

// How many lines a picture may have so that nobody could be identified, rounded down to even.
export function linesBelowIdentify(highest, size) {
  return Math.floor(size.height * IDENTIFY_PX_PER_M / highest / 2) * 2;
}

function radians(degrees) {
  return degrees * Math.PI / 180;
}
