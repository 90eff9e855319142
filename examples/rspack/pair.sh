#!/bin/bash
# SPDX-License-Identifier: MIT
# pair.sh PULL [DIRECTORY]: the releases of rspack before and after a pull, recorded while each builds a project that
# shows what changed; prints how they differ and the figure from the two tallies. Everything is put into DIRECTORY.
set -eu
example=$(cd "$(dirname "$0")" && pwd)
build=${HEAPTALLY_BUILD:-$example/../../build}
heaptally=$build/heaptally
case ${1-} in
7286) versions="1.0.0-alpha.5 1.0.0-beta.0" ;;
8581) versions="1.1.4 1.1.5" ;;
12036) versions="1.5.8 1.6.0" ;;
14967) versions="2.1.6 2.1.7" ;;
*)
	echo "usage: pair.sh 7286|8581|12036|14967 [DIRECTORY]" >&2
	exit 2
	;;
esac
pull=$1
directory=${2:-${TMPDIR:-/tmp}/heaptally-pair-$pull}
[ -x "$heaptally" ] || {
	echo "pair.sh: $heaptally is missing; run make first" >&2
	exit 2
}
node=$("$example/setup.sh" | tail -n 1)
mkdir -p "$directory"
directory=$(cd "$directory" && pwd)
rm -rf "$directory/project"
entry=$("$node" "$example/pairs/generate.mjs" "$pull" "$directory/project" | tail -n 1)
reports= tallies=
# The report has size classes; how many blocks are of one size to the byte is in the buckets.
blocks_of() {
	"$build/tests/dump" --buckets "$2" | awk -v bytes="$1" '
		{ for (i = 1; i < NF; i++) v[$i] = $(i + 1) }
		v["min"] == bytes && v["max"] == bytes { n += v["allocs"] }
		END { print n + 0 }'
}
for version in $versions; do
	at=$directory/$version
	if [ ! -e "$at/node_modules/.package-lock.json" ]; then
		mkdir -p "$at"
		echo '{ "private": true }' >"$at/package.json"
		npm install --prefix "$at" --ignore-scripts --no-audit --no-fund --save=false \
			"@rspack/core@$version" >&2 </dev/null
	fi
	rm -rf "$at/tallies"
	mkdir "$at/tallies"
	echo "rspack $version:"
	"$heaptally" run -o "$at/tallies" -- "$node" "$example/pairs/build.mjs" "$at" "$entry" "$at/dist"
	"$heaptally" report --json --top 0 "$at"/tallies/heaptally.node.*.tally >"$at/report.json"
	reports="$reports $at/report.json"
	tallies="$tallies $(echo "$at"/tallies/heaptally.node.*.tally)"
done
echo
if [ "$pull" = 7286 ] && [ -x "$build/tests/dump" ]; then
	for version in $versions; do
		echo "blocks of exactly 53248 B in $version: $(blocks_of 53248 "$directory/$version"/tallies/*.tally)"
	done
fi
# shellcheck disable=SC2086
"$heaptally" diff --top 3 $tallies
echo
# shellcheck disable=SC2086
"$node" "$example/pairs/figure.mjs" "$pull" $reports
