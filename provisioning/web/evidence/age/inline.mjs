// Put age-encryption, as one script, into ../verify.html: the page must work as a single file, without a network.
//   make page     or, here: npm ci --ignore-scripts && npm run build
// What is built of one lock is always the same bytes, so a diff of the page shows what a new version changed.
import { readFileSync, writeFileSync } from "node:fs";
import { build } from "esbuild";

const PAGE = new URL("../verify.html", import.meta.url);
const PLACE = /(<script id="age">)[\s\S]*?(<\/script>)/;
const { devDependencies } = JSON.parse(readFileSync(new URL("package.json", import.meta.url), "utf8"));

const { outputFiles } = await build({
  absWorkingDir: new URL(".", import.meta.url).pathname,
  entryPoints: ["entry.js"],
  bundle: true,
  minify: true,
  format: "iife",
  globalName: "age",
  target: "es2022",
  legalComments: "none", // said once, below, for all of noble and scure
  charset: "ascii",
  write: false,
});
const script = outputFiles[0].text.trim();
if (script.includes("</script")) throw new Error("the script would end the element it stands in");
const head = `
// age-encryption ${devDependencies["age-encryption"]} and what it needs, minified by age/inline.mjs; not to be edited here.
// age-encryption: Copyright The age Authors, BSD-3-Clause. noble and scure: Copyright Paul Miller, MIT. See age/LICENSES.
`;
const page = readFileSync(PAGE, "utf8");
if (!PLACE.test(page)) throw new Error("verify.html has no place for the script");
const output = process.argv[2] ?? PAGE;
writeFileSync(output, page.replace(PLACE, (_, begin, end) => `${begin}${head}${script}\n${end}`));
