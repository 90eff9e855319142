// Makes a project of N modules of one shape: 5 imports, 35 uses of what they import and 10 exports, which are about 50
// dependencies to rspack, in 5,000 bytes of source. The same N gives the same bytes. As a program: N DIR.
import { existsSync, mkdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";

const IMPORTS = 5;
const USES = 35;
const EXPORTS = 10;
const BYTES = 5000;

// A tree of four children each, so that every module is reached. The last ones are libraries, which import nothing and
// fill up what a module has too few of. Flat and without circles: rspack's recursion overflows its stack otherwise.
const LIBRARIES = 20;

function imports(i, n) {
  const libraries = Math.min(LIBRARIES, Math.floor(n / IMPORTS));
  const tree = n - libraries;
  const all = [];
  if (i >= tree)
    return all;
  for (let child = 4 * i + 1; child <= 4 * i + 4; child++)
    if (child < tree)
      all.push(child);
  for (let k = 0; all.length < IMPORTS && k < libraries; k++)
    all.push(tree + ((i * IMPORTS + k) % libraries));
  return all;
}

function source(i, n) {
  const others = imports(i, n);
  const lines = others.map((other, k) => {
    const names = Array.from({ length: EXPORTS }, (_, e) => `x${other}_${e} as i${k}_${e}`);
    return `import { ${names.join(", ")} } from "./m${other}.js";`;
  });
  let used = 0;
  for (let e = 0; e < EXPORTS; e++) {
    const terms = [];
    while (others.length && used < (USES * (e + 1)) / EXPORTS) {
      terms.push(`i${used % others.length}_${(used * 3 + e) % EXPORTS}`);
      used++;
    }
    lines.push(`export const x${i}_${e} = () => [${terms.join(", ")}].length + ${i};`);
  }
  if (i === 0)
    lines.push("globalThis.started = x0_0();");
  const text = lines.join("\n");
  const filler = "globalThis.counter = (globalThis.counter ?? 0) + 1; // so many bytes of code as modules have\n";
  return text + "\n" + filler.repeat(Math.max(0, Math.round((BYTES - text.length) / filler.length)));
}

// Returns the entry. A folder that is there already is taken as it is.
export function generate(n, folder) {
  const entry = path.join(folder, "m0.js");
  if (existsSync(entry))
    return entry;
  const part = `${folder}.${process.pid}`;
  mkdirSync(part, { recursive: true });
  for (let i = 0; i < n; i++)
    writeFileSync(path.join(part, `m${i}.js`), source(i, n));
  try {
    renameSync(part, folder);
  } catch (error) {
    rmSync(part, { recursive: true });
    if (!existsSync(entry))
      throw error;
  }
  return entry;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [n, folder] = [Number(process.argv[2]), process.argv[3]];
  if (!Number.isInteger(n) || n < 1 || !folder) {
    process.stderr.write("usage: node generate.js N DIR\n");
    process.exit(2);
  }
  process.stdout.write(`${generate(n, path.resolve(folder))}\n`);
}
