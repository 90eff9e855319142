// SPDX-License-Identifier: MIT
// generate.mjs PULL DIRECTORY: writes the project that shows what the pull changed; its entry is DIRECTORY/**/entry.mjs,
// whose path is printed. The sizes are chosen so that no other allocation is like the ones looked for.
import { mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";

const [pull, directory] = process.argv.slice(2);

function write(at, modules, text) {
  mkdirSync(at, { recursive: true });
  for (let i = 0; i < modules; i++)
    writeFileSync(path.join(at, `m${i}.mjs`), text(i));
  const imports = Array.from({ length: modules }, (_, i) => `import "./m${i}.mjs";\n`);
  writeFileSync(path.join(at, "entry.mjs"), imports.join(""));
  console.log(path.join(at, "entry.mjs"));
}

switch (pull) {
case "7286": // 300 small modules
  write(directory, 299, (i) => `console.log(${i});\n`);
  break;
case "14967": // one module of 60 kB with 1,000 errors after which the parser goes on
  write(directory, 1, () => Array.from({ length: 1000 }, (_, i) =>
    `export var v${i} = 010; /* ${"-".repeat(32)} */\n`).join(""));
  break;
case "12036": // 200 modules that name one long request 11 times each: the import and ten uses
  mkdirSync(directory, { recursive: true });
  writeFileSync(path.join(directory, "shared.mjs"), Array.from({ length: 10 }, (_, i) =>
    `export const s${i} = Math.random();\n`).join(""));
  write(directory, 200, () => `import { ${Array.from({ length: 10 }, (_, i) => `s${i}`)} } ` +
    `from "./shared.mjs?${"q".repeat(3000)}";\nconsole.log(${Array.from({ length: 10 }, (_, i) => `s${i}`)});\n`);
  break;
case "8581": // 300 modules whose paths are 1,500 characters long
  write(path.join(directory, ...Array.from({ length: 7 }, () => "d".repeat(200))), 299,
    (i) => `console.log(${i});\n`);
  break;
default:
  console.error("generate.mjs: which pull? 7286, 14967, 12036 or 8581");
  process.exit(2);
}
