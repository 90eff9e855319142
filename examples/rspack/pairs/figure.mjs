// SPDX-License-Identifier: MIT
// figure.mjs PULL BEFORE.json AFTER.json: from `heaptally report --json --top 0`, what the pull changed and whether
// that is what its description says of the project that generate.mjs writes. Exit status 1 if it is not.
import { readFileSync } from "node:fs";

// blocks: the size class that the report's `sizes` calls by its largest size. less: how many fewer there must be;
// Node's own blocks of that size come and go, so a twentieth is let go.
const pulls = {
  7286: { what: "blocks of 32 to 64 KiB allocated", up_to: 65536, count: "allocs", less: 300 * 0.95,
    because: "each of 300 parsers reserved 256 entries of 208 B: a block of 53,248 B" },
  14967: { what: "blocks of 32 to 64 KiB at the peak", up_to: 65536, count: "peak_count", less: 1000,
    because: "each of 1,000 errors held a copy of the module's source, 60 kB" },
  12036: { what: "blocks of 2 to 4 KiB at the peak", up_to: 4096, count: "peak_count", less: 200 * 11 * 0.95,
    because: "each of 2,200 dependencies held the name of its resource, 3 kB" },
  8581: { what: "blocks of 1 to 2 KiB at the peak", up_to: 2048, count: "peak_count", less: 300 * 0.95,
    because: "each of 300 modules held copies of the paths it depends on, 1.5 kB" },
};

const [pull, ...files] = process.argv.slice(2);
const { what, up_to, count, less, because } = pulls[pull];
const sizes = files.map((file) => JSON.parse(readFileSync(file)));
const [before, after] = sizes.map((report) =>
  report.sizes.find((size) => size.up_to_bytes === up_to).totals[count]);
const seen = before - after >= less;
console.log(`pull ${pull}: ${because}`);
console.log(`${what}: before ${before}, after ${after}`);
console.log(`peak of the heap: ` + sizes.map(({ summary }) => JSON.stringify(summary.peak_bytes)).join(" → "));
console.log(seen ? "seen" : `not seen: it should be ${less} fewer`);
process.exit(seen ? 0 : 1);
