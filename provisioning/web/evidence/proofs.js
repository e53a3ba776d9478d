// Signatures, TUF metadata and Merkle proofs in a browser: the part of verify.html that other pages need, word for word.
// That page must work as one file, so it carries its own copy; a test holds the two together.

class No extends Error {
  constructor(kind, message) {
    super(message);
    this.kind = kind;
  }
}

// --- bytes ---------------------------------------------------------------------

const encoder = new TextEncoder();
const bytesOf = (text) => encoder.encode(text);
const textOf = (bytes) => new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
const toHex = (bytes) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
const fromBase64 = (text) => Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
const same = (one, other) => toHex(one) === toHex(other);

function fromHex(text) {
  if (!/^([0-9a-f]{2})*$/.test(text)) throw new No("altered", "something that should be hex is not");
  return Uint8Array.from(text.match(/../g) ?? [], (pair) => parseInt(pair, 16));
}

function joined(...parts) {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

async function sha256(bytes) {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
}

async function signedBy(publicKey, signature, message) {
  try {
    const key = await crypto.subtle.importKey("raw", publicKey, "Ed25519", false, ["verify"]);
    return await crypto.subtle.verify("Ed25519", key, signature, message);
  } catch (error) {
    if (error.name === "NotSupportedError") throw new Error("this browser cannot verify Ed25519; use a newer one");
    return false;
  }
}

function json(bytes, what) {
  try {
    return JSON.parse(textOf(bytes));
  } catch {
    throw new No("altered", `${what} is not JSON`);
  }
}

// --- the city's release: a CBOR map of names to bytes, and TUF metadata in it ----

function decodeBundle(packed) {
  const view = new DataView(packed.buffer, packed.byteOffset, packed.byteLength);
  let at = 0;
  function head(expected) {
    const first = view.getUint8(at++);
    if (first >> 5 !== expected) throw new No("altered", "the city's bundle is not a map of names to bytes");
    const short = first & 31;
    if (short < 24) return short;
    if (short === 24) return view.getUint8(at++);
    if (short === 25) return view.getUint16((at += 2) - 2);
    if (short === 26) return view.getUint32((at += 4) - 4);
    throw new No("altered", "the city's bundle is not canonical");
  }
  function take(length) {
    if (at + length > packed.length) throw new No("altered", "the city's bundle ends early");
    return packed.subarray(at, (at += length));
  }
  try {
    const release = new Map();
    for (let left = head(5); left > 0; left--) release.set(textOf(take(head(3))), take(head(2)));
    if (at !== packed.length) throw new No("altered", "something follows the city's bundle");
    return release;
  } catch (error) {
    throw error instanceof No ? error : new No("altered", "the city's bundle is not one");
  }
}

// The canonical JSON that TUF metadata is signed in: sorted names, no spaces, only " and \ escaped.
function canonical(value) {
  if (typeof value === "string") return `"${value.replace(/[\\"]/g, "\\$&")}"`;
  if (value === null || typeof value === "boolean" || Number.isInteger(value)) return String(value);
  if (Array.isArray(value)) return `[${value.map(canonical).join(",")}]`;
  if (typeof value === "object") {
    const names = Object.keys(value).sort();
    return `{${names.map((name) => `${canonical(name)}:${canonical(value[name])}`).join(",")}}`;
  }
  throw new No("altered", "the city's metadata holds a fraction");
}

async function verifyRole(metadata, keys, role, what) {
  const message = bytesOf(canonical(metadata.signed));
  const good = new Set();
  for (const { keyid, sig } of metadata.signatures) {
    if (!role.keyids.includes(keyid) || !keys[keyid]) continue;
    if (await signedBy(fromHex(keys[keyid].keyval.public), fromHex(sig), message)) good.add(keyid);
  }
  if (good.size < role.threshold) throw new No("altered", `${what} is not signed as it must be`);
}

async function readCity(packed) {
  const release = decodeBundle(packed);
  const take = (name) => {
    if (!release.has(name)) throw new No("altered", `the city's bundle lacks ${name}`);
    return release.get(name);
  };
  const first = json(take("metadata/1.root.json"), "the city's root");
  let root = first;
  await verifyRole(root, root.signed.keys, root.signed.roles.root, "the city's root");
  for (let version = 2; release.has(`metadata/${version}.root.json`); version++) {
    const next = json(take(`metadata/${version}.root.json`), "the city's root");
    await verifyRole(next, root.signed.keys, root.signed.roles.root, "the city's next root");
    await verifyRole(next, next.signed.keys, next.signed.roles.root, "the city's next root");
    if (next.signed.version !== version) throw new No("altered", "the city's root has another version");
    root = next;
  }
  const { keys, roles } = root.signed;
  const timestamp = json(take("metadata/timestamp.json"), "the city's timestamp");
  await verifyRole(timestamp, keys, roles.timestamp, "the city's timestamp");
  const snapshotVersion = timestamp.signed.meta["snapshot.json"].version;
  const snapshot = json(take(`metadata/${snapshotVersion}.snapshot.json`), "the city's snapshot");
  await verifyRole(snapshot, keys, roles.snapshot, "the city's snapshot");
  const targetsVersion = snapshot.signed.meta["targets.json"].version;
  const targets = json(take(`metadata/${targetsVersion}.targets.json`), "the city's offices");
  await verifyRole(targets, keys, roles.targets, "the city's offices");
  if (snapshot.signed.version !== snapshotVersion || targets.signed.version !== targetsVersion) {
    throw new No("altered", "the city's metadata has other versions than it says");
  }
  const digest = targets.signed.targets["charter.json"].hashes.sha256;
  const raw = take(`targets/${digest}.charter.json`);
  if (toHex(await sha256(raw)) !== digest) throw new No("altered", "the charter is not the one that was signed");
  return {
    root: toHex(await sha256(bytesOf(canonical(first.signed)))),
    charter: json(raw, "the charter"),
    charterDigest: digest,
    keys: targets.signed.delegations.keys,
    expires: [root, targets, timestamp].map((metadata) => metadata.signed.expires),
  };
}

// --- the camera's log: RFC 6962 hashes and proofs, C2SP signed notes -------------

const leafHash = (leaf) => sha256(joined(Uint8Array.of(0), leaf));
const nodeHash = (left, right) => sha256(joined(Uint8Array.of(1), left, right));
const half = (number) => Math.floor(number / 2);
const isOdd = (number) => number % 2 === 1;

// RFC 9162, 2.1.3.2
async function isIncluded(index, size, leaf, proof, root) {
  if (!(index >= 0 && index < size)) return false;
  let [at, last, hash] = [index, size - 1, leaf];
  for (const sibling of proof) {
    if (last === 0) return false;
    if (isOdd(at) || at === last) {
      hash = await nodeHash(sibling, hash);
      while (!isOdd(at) && at !== 0) [at, last] = [half(at), half(last)];
    } else {
      hash = await nodeHash(hash, sibling);
    }
    [at, last] = [half(at), half(last)];
  }
  return last === 0 && same(hash, root);
}

async function parseKey(text) {
  const found = /^([^+\s]+)\+([0-9a-f]{8})\+([A-Za-z0-9+/=]+)$/.exec(text);
  if (!found) throw new No("altered", "a key of a log is none");
  const material = fromBase64(found[3]);
  const id = toHex((await sha256(joined(bytesOf(`${found[1]}\n`), material))).subarray(0, 4));
  if (material.length !== 33 || id !== found[2]) throw new No("altered", "a key of a log is none");
  return { name: found[1], id, kind: material[0], public: material.subarray(1) };
}

function parseNote(bytes) {
  const whole = textOf(bytes);
  const end = whole.lastIndexOf("\n\n");
  if (end < 0 || !whole.endsWith("\n")) throw new No("altered", "a checkpoint is none");
  const signatures = whole.slice(end + 2, -1).split("\n").map((line) => {
    const found = /^\u2014 (\S+) (\S+)$/.exec(line);
    if (!found) throw new No("altered", "a checkpoint's signature is none");
    const material = fromBase64(found[2]);
    return { name: found[1], id: toHex(material.subarray(0, 4)), signature: material.subarray(4) };
  });
  const text = whole.slice(0, end + 1);
  const [origin, size, root, ...more] = text.split("\n");
  if (more.length !== 1 || !/^(0|[1-9]\d{0,14})$/.test(size)) throw new No("altered", "a checkpoint is none");
  return { text, signatures, origin, size: Number(size), root: fromBase64(root) };
}

const byKey = (note, key) => note.signatures.filter((each) => each.name === key.name && each.id === key.id);

async function openCheckpoint(note, key, camera) {
  if (note.origin !== key.name) {
    const kind = note.origin.startsWith(`lamppost/${camera}/`) ? "other signer" : "other camera";
    throw new No(kind, `the checkpoint is of ${note.origin}, expected ${key.name}`);
  }
  const own = byKey(note, key);
  if (own.length === 0) throw new No("other signer", "the checkpoint is not by the camera's key");
  for (const { signature } of own) {
    if (!(await signedBy(key.public, signature, bytesOf(note.text)))) {
      throw new No("altered", "the checkpoint is not what the camera's key signed");
    }
  }
}

// Which witnesses cosigned, and when.
async function seenBy(note, witnesses) {
  const seen = [];
  for (const key of witnesses) {
    for (const { signature } of byKey(note, key)) {
      const time = new DataView(signature.buffer, signature.byteOffset, 8).getBigUint64(0);
      const message = bytesOf(`cosignature/v1\ntime ${time}\n${note.text}`);
      if (await signedBy(key.public, signature.subarray(8), message)) seen.push({ name: key.name, at: time * 1_000_000n });
    }
  }
  return seen.sort((one, other) => (one.at < other.at ? -1 : 1));
}

export {
  No, bytesOf, decodeBundle, fromHex, isIncluded, joined, json, leafHash, openCheckpoint, parseKey, parseNote,
  readCity, seenBy, sha256, signedBy, textOf, toHex, verifyRole,
};
