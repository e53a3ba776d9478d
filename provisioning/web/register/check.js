// "Check this page": what `lamppost register verify` verifies, for the one page that is open, in the browser.
//
// Verified: the city's metadata from its first root on; the register's claims, signed by the key that this root gives
// the city's backend; this page, as a file and sentence by sentence as it is shown now; each signed document that
// the page shows values of; each camera's signature and witness. Not verified here, and said so: that the
// sentences follow from the documents. For that, the program makes them again.

import {
  No, bytesOf, decodeBundle, fromHex, isIncluded, joined, json, leafHash, openCheckpoint,
  parseKey, parseNote, readCity, seenBy, sha256, signedBy, textOf, toHex, verifyRole,
} from "./proofs.js";

const PAYLOAD_TYPE = "application/vnd.lamppost.register+json";
const EXTRACT_FIELD = "x-lamppost-public";
const WITNESS = 4;

const base = new URL(".", import.meta.url);
const here = new URL(location.href);
const pathHere = () => {
  const path = decodeURIComponent(here.pathname.slice(base.pathname.length));
  return path === "" ? "index.html" : path;
};

async function read(path) {
  const answer = await fetch(new URL(path, base), { cache: "no-store" });
  if (!answer.ok) throw new No("altered", `${path} is missing`);
  return new Uint8Array(await answer.arrayBuffer());
}

const hexOf = async (bytes) => toHex(await sha256(bytes));

async function openRegister(city) {
  const raw = await read("register.json");
  const signature = json(await read("register.sig"), "register.sig");
  const key = city.online[signature.keyid];
  if (!key) throw new No("other signer", "the register is signed by a key that does not vouch for this city");
  const message = joined(bytesOf(`DSSEv1 ${PAYLOAD_TYPE.length} ${PAYLOAD_TYPE} ${raw.length} `), raw);
  if (!(await signedBy(fromHex(key.keyval.public), fromHex(signature.signature), message))) {
    throw new No("altered", "the register is not what the city signed");
  }
  const register = json(raw, "register.json");
  if (register.claims.root !== city.root) throw new No("other signer", "the register is of another city");
  return register;
}

// The city, and beyond what evidence asks of it: the backend's keys, and what each role of officials signed.
async function openCity() {
  const packed = await read("signed/city.bundle");
  const city = await readCity(packed);
  const release = decodeBundle(packed);
  const newest = (role) => {
    const versions = [...release.keys()].filter((name) => name.endsWith(`.${role}.json`) && name.startsWith("metadata/"));
    versions.sort((one, other) => Number(one.split(/[/.]/)[1]) - Number(other.split(/[/.]/)[1]));
    return json(release.get(versions.at(-1)), role);
  };
  const { keys, roles } = newest("root").signed;
  const online = Object.fromEntries(roles.timestamp.keyids.map((keyid) => [keyid, keys[keyid]]));
  const snapshot = newest("snapshot").signed;
  const { delegations } = newest("targets").signed;
  const extracts = new Map();
  for (const role of delegations.roles) {
    const name = `${role.name}.json`;
    const metadata = json(release.get(`metadata/${snapshot.meta[name].version}.${name}`) ?? bytesOf(""), role.name);
    await verifyRole(metadata, delegations.keys, role, `the list of ${role.name}`);
    if (metadata.signed.version !== snapshot.meta[name].version) throw new No("altered", `${role.name} is of another version`);
    for (const [path, target] of Object.entries(metadata.signed.targets)) extracts.set(path, target.custom?.[EXTRACT_FIELD]);
  }
  return { ...city, online, extracts };
}

// The page as a file, and each sentence as it is shown: whoever edits either is found out, and told where.
async function checkPage(register) {
  const path = pathHere();
  const expected = register.files[path];
  if (!expected) throw new No("altered", `the city's register has no page ${path}`);
  const listPath = path.replace(/\.html$/, ".json");
  const listRaw = await read(listPath);
  if ((await hexOf(listRaw)) !== register.files[listPath]) throw new No("altered", `${listPath} is not what the city signed`);
  const signed = json(listRaw, listPath).sentences;
  const sentences = (root) => [...root.querySelectorAll("[data-s]")].map((one) => one.textContent);
  const raw = await read(path);
  const asFile = sentences(new DOMParser().parseFromString(textOf(raw), "text/html"));
  for (const shown of [sentences(document), asFile]) {
    for (let at = 0; at < Math.max(shown.length, signed.length); at++) {
      if (shown[at] === signed[at]) continue;
      throw new No("altered", `${path} says “${shown[at] ?? ""}” where the city signed “${signed[at] ?? ""}”`);
    }
  }
  if ((await hexOf(raw)) !== expected) throw new No("altered", `${path} is not the file that the city signed`);
  return signed.length;
}

const pointed = (stated, pointer) => {
  const value = pointer.split("/").slice(1).reduce((at, name) => at[name], stated);
  return Array.isArray(value) ? value.join(", ") : String(value);
};

async function checkValues(city) {
  const cells = [...document.querySelectorAll("[data-document]")];
  const documents = new Map();
  for (const cell of cells) {
    const path = cell.dataset.document;
    if (!documents.has(path)) {
      const digest = city.extracts.get(path);
      if (!digest) throw new No("altered", `${path} is not signed by any office`);
      const raw = await read(`signed/extracts/${digest}.json`);
      if ((await hexOf(raw)) !== digest) throw new No("altered", `${path} is not what its offices signed`);
      documents.set(path, json(raw, path).document);
    }
    const signed = pointed(documents.get(path), cell.dataset.pointer);
    if (cell.textContent !== signed) {
      throw new No("altered", `the page says “${cell.textContent}” where ${path} says “${signed}” (${cell.dataset.pointer})`);
    }
  }
  return [documents.size, cells.length];
}

// Each camera of this page: its own signature, the witness's, and the last entry's place in the tree.
async function checkCameras(register) {
  const shown = new Set([...document.querySelectorAll("[data-camera]")].map((one) => one.dataset.camera));
  const told = [];
  for (const { camera, attestation } of register.claims.cameras) {
    if (!shown.has(camera) || !attestation) continue;
    const key = await parseKey(attestation.log_key);
    const name = `lamppost/${camera}/${(await hexOf(key.public)).slice(0, 16)}`;
    if (key.name !== name) throw new No("other camera", `the attestation of ${camera} is by the key of ${key.name}`);
    const note = parseNote(bytesOf(attestation.checkpoint));
    await openCheckpoint(note, key, camera);
    const witnesses = await Promise.all(attestation.witnesses.map(parseKey));
    const seen = await seenBy(note, witnesses.filter(({ kind }) => kind === WITNESS));
    if (seen.length < attestation.witnesses.length) throw new No("not witnessed", `a witness of ${camera} did not sign`);
    const hash = fromHex(attestation.leaf_hash);
    const proof = attestation.proof.map(fromHex);
    if (attestation.leaf !== null && toHex(await leafHash(bytesOf(attestation.leaf))) !== attestation.leaf_hash) {
      throw new No("altered", `the last entry shown of ${camera} is not the one in its log`);
    }
    if (!(await isIncluded(note.size - 1, note.size, hash, proof, note.root))) {
      throw new No("altered", `the last entry of ${camera} is not in its log`);
    }
    told.push(`${camera} signed its log with ${note.size.toLocaleString("en")} entries, and ${seen.length} witness saw it.`);
  }
  return told;
}

async function check(tell) {
  const city = await openCity();
  const register = await openRegister(city);
  const fingerprint = city.root.slice(0, 32).match(/.{4}/g).join(" ");
  tell(`Signed by ${register.claims.city}, whose first root has fingerprint ${fingerprint}. Compare it.`);
  const sentences = await checkPage(register);
  tell(`This page is the file that the city signed, and each of its ${sentences} sentences is shown as it was signed.`);
  const [documents, values] = await checkValues(city);
  if (documents) tell(`${values} values are those in ${documents} documents that the offices signed.`);
  for (const one of await checkCameras(register)) tell(one);
  tell("That the sentences follow from the documents is checked by the program, which makes them again.");
}

const button = document.getElementById("check-now");
const verdict = document.getElementById("verdict");
const list = document.getElementById("checked");
if (button) {
  button.hidden = false;
  button.addEventListener("click", async () => {
    button.disabled = true;
    list.replaceChildren();
    verdict.className = "";
    verdict.textContent = "Checking …";
    const tell = (text) => list.append(Object.assign(document.createElement("li"), { textContent: text }));
    try {
      await check(tell);
      verdict.className = "yes";
      verdict.textContent = "It says what was signed.";
    } catch (error) {
      verdict.className = "no";
      verdict.textContent = error instanceof No ? `No: ${error.message}.` : `It could not be checked: ${error.message}`;
    } finally {
      button.disabled = false;
    }
  });
}
