#!/bin/bash
# SPDX-License-Identifier: MIT
# The demo: a real rspack build recorded, the report, the flame graph. demo.sh BUILD_DIRECTORY
set -euo pipefail
build=$(cd "$1" && pwd)
example=$(cd "$(dirname "$0")" && pwd)
node=$("$example/setup.sh" | tail -n 1)
out=$example/demo
rm -rf "$out"
mkdir "$out"
cd "$out"
echo "Recording an rspack build of 13,543 modules (rspack 2.2.7, binding with symbols) ..."
"$build/heaptally" run -- "$node" "$example/build.js" --out "$out/dist"
tally=$(ls -S heaptally.node.*.tally | head -n 1)
echo
echo "\$ heaptally report $tally"
"$build/heaptally" report "$tally"
echo
echo "\$ heaptally flame $tally -o flame.svg"
"$build/heaptally" flame "$tally" -o flame.svg
echo "Open $out/flame.svg in a browser."
