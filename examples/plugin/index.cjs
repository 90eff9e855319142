// SPDX-License-Identifier: MIT
// Marks for heaptally: a phase of its report lasts from one mark to the next. A mark asks whether a path exists that
// does not; the preloaded shim sees the question. Without the shim nothing happens. No add-on, no dependencies.
"use strict";
const { existsSync } = require("node:fs");

const PREFIX = "/heaptally/mark/";
const FIRST = -10000; // before the taps of others; rspack keeps stages as 32-bit integers
const BEFORE_ASSETS = -2000; // PROCESS_ASSETS_STAGE_ADDITIONAL, the first there is

// numbers: { modules: 5, chunks: 2 }; what is no finite number is left out.
function mark(name, numbers = {}) {
  const query = Object.entries(numbers)
    .filter(([, value]) => Number.isFinite(value))
    .map(([key, value]) => `${key}=${value}`)
    .join("&");
  // A mark must never fail a build: not for an odd name, not under node --permission.
  try {
    existsSync(PREFIX + String(name).replace(/[?\0]/g, "_") + (query && `?${query}`));
  } catch {}
}

function count(get) {
  try {
    return get();
  } catch {
    return undefined;
  }
}

// webpack has its sets at hand. Behind rspack's are getters that make an object for every module; asking them in the
// middle of a build would change what is measured.
function atHand(compilation) {
  const size = (key) => {
    const property = compilation && Object.getOwnPropertyDescriptor(compilation, key);
    return property && "value" in property ? property.value?.size : undefined;
  };
  return { modules: size("modules"), chunks: size("chunks") };
}

function atEnd(compilation) {
  return {
    modules: count(() => compilation.modules.size),
    chunks: count(() => compilation.chunks.size),
    assets: count(() => Object.keys(compilation.assets).length),
  };
}

// For rspack and webpack: plugins: [new HeaptallyPlugin()]
class HeaptallyPlugin {
  apply(compiler) {
    const { hooks } = compiler;
    const label = compiler.name ? `${compiler.name}:` : "";
    const tap = (on, name, stage, numbers = () => ({})) =>
      on?.tap({ name: "HeaptallyPlugin", stage }, (argument) => {
        mark(label + name, numbers(argument));
      });

    tap(hooks.compile, "compile", FIRST);
    tap(hooks.make, "make", FIRST);
    tap(hooks.finishMake, "finishMake", FIRST, atHand);
    hooks.thisCompilation.tap("HeaptallyPlugin", (compilation) => {
      tap(compilation.hooks.seal, "seal", FIRST, () => atHand(compilation));
      tap(compilation.hooks.processAssets, "processAssets", BEFORE_ASSETS, () => atHand(compilation));
    });
    tap(hooks.emit, "emit", FIRST, atHand);
    hooks.done.tap({ name: "HeaptallyPlugin", stage: FIRST }, ({ compilation }) => {
      mark(`${label}done`);
      // Counted after the mark: the build's own phases do not pay for it.
      mark(`${label}counted`, atEnd(compilation));
    });
  }
}

// For rolldown, rollup and Vite: plugins: [heaptally()]
function heaptally() {
  return {
    name: "heaptally",
    buildStart() {
      mark("buildStart");
    },
    buildEnd() {
      mark("buildEnd", {
        modules: count(() => {
          let modules = 0;
          for (const _ of this.getModuleIds()) modules++;
          return modules;
        }),
      });
    },
    renderStart() {
      mark("renderStart");
    },
    generateBundle(_options, bundle) {
      mark("generateBundle", { assets: count(() => Object.keys(bundle).length) });
    },
    writeBundle() {
      mark("writeBundle");
    },
    closeBundle() {
      mark("closeBundle");
    },
  };
}

module.exports = { mark, HeaptallyPlugin, heaptally };
