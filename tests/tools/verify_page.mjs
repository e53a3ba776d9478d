// Run the script of provisioning/web/evidence/verify.html over folders, as a browser would: `node verify_page.mjs PAGE FOLDER…`.
// Prints one JSON object, folder by folder: what the page says of it.
import { readFileSync, readdirSync, statSync, writeFileSync, mkdtempSync, rmSync, lstatSync } from "node:fs";
import { join, relative } from "node:path";
import { pathToFileURL } from "node:url";
import { tmpdir } from "node:os";

const [page, ...folders] = process.argv.slice(2);
const script = /<script type="module">([\s\S]*?)<\/script>/.exec(readFileSync(page, "utf8"))[1];
const made = mkdtempSync(join(tmpdir(), "verify-page-"));
writeFileSync(join(made, "page.mjs"), script);
const { judge } = await import(pathToFileURL(join(made, "page.mjs")));
rmSync(made, { recursive: true });

function* filesBelow(folder) {
  for (const name of readdirSync(folder)) {
    const path = join(folder, name);
    if (lstatSync(path).isSymbolicLink()) continue; // a browser hands over no links
    if (statSync(path).isDirectory()) yield* filesBelow(path);
    else yield path;
  }
}

const told = {};
for (const folder of folders) {
  const files = new Map();
  for (const path of filesBelow(folder)) {
    const bytes = readFileSync(path);
    files.set(relative(folder, path), { size: bytes.length, bytes: async () => new Uint8Array(bytes) });
  }
  told[folder] = await judge(files);
}
process.stdout.write(JSON.stringify(told));
