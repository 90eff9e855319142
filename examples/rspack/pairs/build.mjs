// SPDX-License-Identifier: MIT
// build.mjs INSTALLATION ENTRY OUTPUT: one build with the @rspack/core that is installed there.
import { readFileSync } from "node:fs";
import path from "node:path";
import { pathToFileURL } from "node:url";

const [installation, entry, output] = process.argv.slice(2);
const core = path.join(installation, "node_modules/@rspack/core");
const { exports, main } = JSON.parse(readFileSync(path.join(core, "package.json")));
// what an import finds: the conditions nest, and older packages have no exports
let file = exports?.["."] ?? exports ?? main;
while (typeof file === "object")
  file = file.import ?? file.default ?? file.require;
const { rspack } = await import(pathToFileURL(path.join(core, file)).href);

const compiler = rspack({
  mode: "production", entry, context: path.dirname(entry), devtool: false, cache: false,
  optimization: { minimize: false, concatenateModules: false }, output: { path: output },
});
compiler.run((error, stats) => {
  if (error) {
    console.error(`build.mjs: ${error.message}`);
    process.exit(1);
  }
  const { modules, errors } = stats.compilation;
  console.log(`${modules.size} modules, ${errors.length} errors`);
  compiler.close(() => {});
});
