#!/bin/bash
# SPDX-License-Identifier: MIT
# The plugin in Node and in a real rspack build, with the shim and without it. HEAPTALLY_TOOLS names a directory with
# other versions to try as well, one npm project each: rspack-*, rolldown-*, rollup-*.
set -u
. "$(dirname "$0")/lib.sh"
seconds=120
plugin=$root/examples/plugin
rspack_marks="start compile make finishMake seal processAssets emit done counted"
rollup_marks="start buildStart buildEnd renderStart generateBundle writeBundle closeBundle"

recorded() {
	rm -rf out && mkdir out
	HEAPTALLY_OUT=$PWD/out HEAPTALLY_MIN_SIZE=0 HEAPTALLY_ONLY=node LD_PRELOAD=$shim "$@" >stdout 2>stderr ||
		fail "exit code $?: $(tail -n 1 stderr)"
	tally=$(ls -S out/*.tally | head -n 1)
	seen=$(dump --marks "$tally")
}
names() { sed -n 's/^mark\.[0-9]*\.name //p' <<<"$seen" | paste -s -d ' '; }
is_named() { [ "$(names)" = "$1" ] || fail "marks are '$(names)' instead of '$1'"; }

test_mark_in_node() {
	node=$(command -v node) || skip "no node"
	cat >esm.mjs <<-END
		import { mark } from "$plugin/index.mjs";
		mark("one", { modules: 5, chunks: 2, none: undefined });
		globalThis.kept = Buffer.allocUnsafeSlow(3000000);
		mark("a?b");
		mark("ends\0here");
		mark({});
	END
	recorded "$node" esm.mjs
	is_named "start one a_b ends_here [object Object]"
	is "$seen" mark.1.numbers "modules=5&chunks=2"
	local grown=$(($(value mark.2.live_bytes <<<"$seen") - $(value mark.1.live_bytes <<<"$seen")))
	[ $grown -ge 3000000 ] && [ $grown -lt 4000000 ] || fail "$grown bytes grown in a phase that takes 3,000,000"
	echo 'require(process.argv[2]).mark("from CommonJS")' >common.cjs
	recorded "$node" common.cjs "$plugin/index.cjs"
	is_named "start from CommonJS"
	"$node" common.cjs "$plugin/index.cjs" || fail "without the shim: exit code $?"
	"$node" esm.mjs || fail "without the shim: exit code $?"
}

app() {
	mkdir app
	for i in $(seq 0 20); do
		echo "$([ "$i" -lt 20 ] && echo "export * from './m$((i + 1)).js';")export const v$i = $i; console.log(v$i);" >app/m"$i".js
	done
	cat >build.mjs <<-END
		import { createRequire } from "node:module";
		import { pathToFileURL } from "node:url";
		import plugin from "$plugin/index.mjs";
		const [tool, dir, output, on] = process.argv.slice(2);
		const file = createRequire(dir + "/x.js").resolve(tool === "rspack" ? "@rspack/core" : tool);
		const module = await import(pathToFileURL(file).href);
		const entry = process.cwd() + "/app/m0.js";
		if (tool === "rspack") {
			const compiler = module.rspack({ mode: "production", entry, context: process.cwd(), output: { path: output },
				optimization: { concatenateModules: false }, plugins: on ? [new plugin.HeaptallyPlugin()] : [] });
			await new Promise((done, failed) => compiler.run((error, stats) =>
				error || stats.hasErrors() ? failed(error ?? stats.toString()) : compiler.close(done)));
		} else {
			const bundle = await (module.rolldown ?? module.rollup)({ input: entry, plugins: on ? [plugin.heaptally()] : [] });
			await bundle.write({ dir: output });
			await bundle.close();
		}
	END
}

# builds TOOL DIR MARKS MARK: the same output three ways, and the mark that knows how many modules there were
builds() {
	local tool=$1 dir=$2 marks=$3 counted=$4 k
	"$node" build.mjs "$tool" "$dir" "$PWD/plain" || fail "$tool does not build"
	"$node" build.mjs "$tool" "$dir" "$PWD/without" on || fail "without the shim: exit code $?"
	recorded "$node" build.mjs "$tool" "$dir" "$PWD/with" on
	diff -r plain without && diff -r plain with || fail "$tool: the output differs"
	is_named "$marks"
	k=$(sed -n "s/^mark\.\([0-9]*\)\.name $counted\$/\1/p" <<<"$seen")
	[[ $(value "mark.$k.numbers" <<<"$seen") == modules=21* ]] || fail "$counted carries $(value "mark.$k.numbers" <<<"$seen")"
	"$heaptally" report --phase "${marks##* }" "$tally" >/dev/null || fail "the report of a phase failed"
	rm -rf plain without with
}

test_rspack() {
	[ -d "$example/node_modules" ] || skip "examples/rspack is not set up"
	node=$(example_node)
	[ -x "$node" ] || skip "no node that suits rspack"
	app
	builds rspack "$example" "$rspack_marks" counted
}

test_other_tools() {
	[ -d "${HEAPTALLY_TOOLS-}" ] || skip "HEAPTALLY_TOOLS names no directory"
	node=$(command -v node) || skip "no node"
	local dir n=0
	app
	for dir in "$HEAPTALLY_TOOLS"/*-*/; do
		case $(basename "$dir") in
		rspack-*) builds rspack "$dir" "$rspack_marks" counted ;;
		rolldown-*) builds rolldown "$dir" "$rollup_marks" buildEnd ;;
		rollup-*) builds rollup "$dir" "$rollup_marks" buildEnd ;;
		*) continue ;;
		esac
		echo "$(basename "$dir") is fine"
		n=$((n + 1))
	done
	[ $n -gt 0 ] || fail "$HEAPTALLY_TOOLS has no rspack-*, rolldown-* or rollup-*"
}

case ${1-} in --one) "test_$2"; exit ;; esac
need "$shim" "$heaptally" "$bin/dump"
run_all "$0" $seconds "$@"
