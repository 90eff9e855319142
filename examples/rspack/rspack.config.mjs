// The workload's one configuration, for `npx rspack build [--env small]` and for build.js.
import path from "node:path";

const here = import.meta.dirname;

export default ({ small = false, generated = "", out = path.join(here, "dist") } = {}) => ({
  mode: "production",
  context: here,
  // Said outright: the default looks for a browserslist file in every folder above this one.
  target: "web",
  entry: generated ? { generated } : small ? { small: "./src/small.mjs" } : { full: "./src/entry.mjs" },
  output: {
    path: out,
    filename: "[name].js",
    // Otherwise a second run reads the first run's output back, and allocates differently.
    compareBeforeEmit: false,
  },
  optimization: { minimize: false },
  devtool: false,
  cache: false,
  performance: false,
});
