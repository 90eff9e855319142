// Builds the workload through @rspack/core and prints one line: modules, errors, seconds.
// HEAPTALLY_BINDING=debug|release says which native binding is loaded; debug is the default.
import { existsSync, readFileSync, realpathSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import { tmpdir } from "node:os";
import { fileURLToPath, pathToFileURL } from "node:url";
import { generate } from "./generate.js";

const here = path.dirname(fileURLToPath(import.meta.url));
const require = createRequire(import.meta.url);
const packages = {
  debug: "@rspack-debug/binding-linux-x64-gnu",
  release: "@rspack/binding-linux-x64-gnu",
};

function fail(message, code = 1) {
  process.stderr.write(`build.js: ${message}\n`);
  process.exit(code);
}

function firstLine(error) {
  return error.message.split("\n")[0].replace(/^[\s\u00d7]+/, "");
}

function parseArgs(args) {
  const options = { small: false, modules: 0, out: path.join(here, "dist") };
  for (let i = 0; i < args.length; i++) {
    if (args[i] === "--small") {
      options.small = true;
    } else if (args[i] === "--modules") {
      options.modules = Number(args[++i]);
      if (!Number.isInteger(options.modules) || options.modules < 1)
        fail("--modules needs a number of modules to generate", 2);
    } else if (args[i] === "--out") {
      const dir = args[++i];
      if (!dir || dir.startsWith("--"))
        fail("--out needs a directory", 2);
      options.out = path.resolve(dir);
    } else if (args[i] === "--help" || args[i] === "-h") {
      process.stdout.write("usage: node build.js [--small | --modules N] [--out DIR]\n");
      process.exit(0);
    } else {
      fail(`unknown argument '${args[i]}'; usage: node build.js [--small | --modules N] [--out DIR]`, 2);
    }
  }
  return options;
}

// What package.json's engines say: ^20.19.0 || >=22.12.0
function nodeIsSuitable() {
  const [major, minor] = process.versions.node.split(".").map(Number);
  return major > 22 || (major === 22 && minor >= 12) || (major === 20 && minor >= 19);
}

function bindingFile(binding) {
  const dir = path.join(here, "node_modules", packages[binding]);
  const file = path.join(dir, "rspack.linux-x64-gnu.node");
  if (!existsSync(file))
    fail(`the ${binding} binding is not installed; run setup.sh first`);
  return realpathSync(file);
}

function loadedBindings() {
  const names = readFileSync("/proc/self/maps", "utf8").match(/\/.*\/rspack\.[^/\n]*\.node/g);
  return [...new Set(names)];
}

const options = parseArgs(process.argv.slice(2));
if (!nodeIsSuitable())
  fail(`Node ${process.versions.node} does not suit rspack, which wants ^20.19.0 or >=22.12.0; ` +
       "use the node that setup.sh prints");

const binding = process.env.HEAPTALLY_BINDING || "debug";
if (!Object.hasOwn(packages, binding))
  fail(`HEAPTALLY_BINDING is '${binding}', but must be 'debug' or 'release'`, 2);
const file = bindingFile(binding);
// binding.js loads this file and nothing else. RSPACK_BINDING would win over it, so it has to go.
process.env.NAPI_RS_NATIVE_LIBRARY_PATH = file;
delete process.env.RSPACK_BINDING;

let rspack;
try {
  // First by itself: binding.js would hide the loader's reason behind advice about npm.
  require(file);
  ({ rspack } = require("@rspack/core"));
} catch (error) {
  fail(`rspack does not load: ${firstLine(error)}`);
}
const loaded = loadedBindings();
if (loaded.length !== 1 || loaded[0] !== file)
  fail(`the ${binding} binding is not the one that was loaded (${loaded.join(", ") || "none"})`);

const { default: config } =
  await import(pathToFileURL(path.join(here, "rspack.config.mjs")).href);

if (options.modules) {
  const folder = path.join(tmpdir(), `heaptally-modules-${options.modules}`);
  options.generated = generate(options.modules, folder);
}
const start = performance.now();
const compiler = rspack(config(options));
compiler.run((error, stats) => {
  const seconds = (performance.now() - start) / 1000;
  if (error)
    fail(firstLine(error));

  const { modules, errors } = stats.compilation;
  for (const { message } of errors.slice(0, 5))
    process.stderr.write(`build.js: ${message}\n`);
  process.stdout.write(`${modules.size} modules, ${errors.length} errors, ` +
                       `${seconds.toFixed(2)} s (${binding} binding)\n`);
  if (errors.length)
    process.exitCode = 1;
  compiler.close((closeError) => {
    if (closeError)
      fail(firstLine(closeError));
  });
});
