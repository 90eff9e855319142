#!/bin/bash
# SPDX-License-Identifier: MIT
# The small rspack build under the shim: it must write the same files, every allocation must be seen, every frame in
# the debug binding named, and a kill -9 at any moment must leave a tally that reads.
#   rspack.sh [GLOB…]      SEED=N repeats the moments of the kills
set -u
. "$(dirname "$0")/lib.sh"
seconds=300

# One build into ./$1, with the rest of the line in front of it. Its tally, if any, goes to ./tallies.
rspack() {
	local out=$1 node
	shift
	node=$(example_node)
	[ -x "$node" ] || fail "setup.sh gave no node"
	mkdir -p tallies
	env HEAPTALLY_OUT="$PWD/tallies" "$@" "$node" "$example/build.js" --small --out "$PWD/$out" >"$out.log" 2>&1 ||
		fail "the build failed: $(tail -n 1 "$out.log")"
	grep -q ' 0 errors' "$out.log" || fail "the build had errors: $(head -n 1 "$out.log")"
}

only_tally() {
	local files=(tallies/heaptally.node.*.tally)
	[ ${#files[@]} -eq 1 ] && [ -e "${files[0]}" ] || fail "tallies of node: $(ls tallies | tr '\n' ' ')"
	echo "${files[0]}"
}

for binding in debug release; do
	eval "test_same_output_$binding() {
		export HEAPTALLY_BINDING=$binding
		rspack plain
		rspack traced LD_PRELOAD='$shim'
		[ -n \"\$(ls plain)\" ] || fail 'the build wrote nothing'
		diff -r plain traced >&2 || fail 'the build wrote something else under the shim'
		only_tally >/dev/null
	}"
done

# Of several runs each, as threads make every run a little different. heaptrack counts reallocs as allocations.
test_against_heaptrack() {
	command -v heaptrack >/dev/null || skip "heaptrack is not installed"
	local i ours=0 theirs=0 sums n runs=3
	for ((i = 0; i < runs; i++)); do
		rm -rf tallies
		rspack traced LD_PRELOAD="$shim"
		sums=$(dump --header "$(only_tally)") || exit 1
		[ "$(value header.dropped <<<"$sums")" -eq 0 ] || fail "events were dropped"
		n=$(($(value total.allocs <<<"$sums") + $(value total.reallocs <<<"$sums")))
		ours=$((ours + n))
		rspack theirs heaptrack -o "$PWD/track$i"
		n=$(heaptrack_print "$PWD"/track$i.* 2>/dev/null | sed -n 's/^calls to allocation functions: \([0-9]*\).*/\1/p')
		[ -n "$n" ] || fail "heaptrack_print says nothing"
		theirs=$((theirs + n))
		rm -f track$i.*
	done
	awk -v a=$ours -v b=$theirs -v n=$runs 'BEGIN {
		printf "%d allocations, heaptrack has %d: %+.3f%%\n", a / n, b / n, (a - b) * 100 / b
		exit !(a > b * 0.995 && a < b * 1.005)
	}' >ratio || fail "$(cat ratio)"
	cat ratio
}

# Stacks that end early are counted one by one, and are in the tree as well.
test_cut_stacks() {
	local tally sums cut frame sum=0
	HEAPTALLY_BINDING=release rspack traced LD_PRELOAD="$shim"
	tally=$(only_tally)
	cut=$(value header.cut_stacks <<<"$(dump --header "$tally")")
	for frame in '?no tables?' '?broken?'; do
		sums=$(dump --through "$frame" "$tally") || exit 1
		sum=$((sum + $(value allocs <<<"$sums") + $(value reallocs <<<"$sums")))
	done
	[ "$cut" -gt 10000 ] || fail "only $cut stacks are cut"
	is "cut $sum" cut "$cut"
}

test_every_frame_named() {
	HEAPTALLY_BINDING=debug rspack traced LD_PRELOAD="$shim"
	dump --unnamed 'rspack*.node' "$(only_tally)" >names
	[ "$(value addresses <names)" -gt 10000 ] || fail "only $(value addresses <names) addresses in the binding"
	is "$(cat names)" unnamed 0
}

# What is known to cost memory in rspack 2.2.7 is found in the full build: the five of FINDINGS.md, by pattern, function and
# what the source calls it. Of the binding without names, the node of 1,512 bytes, by its size alone.
test_known_culprits() {
	local node binding
	node=$(example_node)
	for binding in debug release; do
		mkdir $binding
		HEAPTALLY_BINDING=$binding "$heaptally" run -o $binding -- "$node" "$example/build.js" --out "$PWD/out" \
			>$binding.log 2>&1 || fail "the build failed: $(tail -n 1 $binding.log)"
		"$heaptally" advise --json $binding/*.tally >$binding.json || fail "advise: exit code $?"
	done
	found() { # PATTERN FUNCTION [PLACE]
		jq -e --arg p "$1" --arg f "$2" --arg place "${3-}" '[.findings[] | select(.pattern == $p and
			(.function | contains($f)) and ($place == "" or (.place // "" | contains($place))))] | length > 0' \
			debug.json >/dev/null || fail "no $1 in $2"
	}
	found tiny-map ensure_owned_export_info BTreeMap
	found padded-or-empty 'JavascriptParser>::new' 'with_capacity(64)'
	found vec-regrowth 'BuildResultTask' all_dependencies
	found vec-regrowth 'ModuleGraph' 'grown by resize_with'
	found late-release fs_err::read "a module's source"
	jq -e '[.findings[] | select(.pattern == "tiny-map") | .figures[] | select(.key == "node_bytes" and .value == 1512)] |
		length == 1' release.json >/dev/null || fail "no node of 1,512 bytes without names"
	jq -e '[.findings[] | select((.function | contains("+0x")) and .naming == null)] | length == 0' release.json \
		>/dev/null || fail "a finding without names does not say what they would add"
}

# A build that is killed at a random moment, and its tally watched until then. Returns 1 when it had already ended.
totals="total.allocs total.reallocs total.frees alloc_bytes"
killed() {
	local delay=$1 host file before="" now key start polls=0 gone=0
	mkdir tallies
	env HEAPTALLY_OUT="$PWD/tallies" HEAPTALLY_MIN_SIZE=0 LD_PRELOAD="$shim" "$node" "$example/build.js" \
		--small --out "$PWD/out" >/dev/null 2>&1 &
	host=$!
	start=$(date +%s%N)
	while :; do
		if (($(date +%s%N) - start >= delay * 1000000)); then
			[ -n "$host" ] || break
			{
				kill -9 "$host" || gone=1
				wait "$host"
			} 2>/dev/null
			host= # once more, at rest
		fi
		for file in tallies/heaptally.node.*.tally; do
			[ -e "$file" ] || continue
			if ! now=$("$bin/dump" --header "$file" 2>reason); then
				[ -z "$before" ] && [ -n "$host" ] && continue # it is just being made
				fail "killed after $delay ms, read $polls times: $(cat reason)"
			fi
			for key in $totals; do
				[ -z "$before" ] || [ "$(value $key <<<"$now")" -ge "$(value $key <<<"$before")" ] ||
					fail "killed after $delay ms: $key went from $(value $key <<<"$before") to $(value $key <<<"$now")"
			done
			before=$now
			polls=$((polls + 1))
		done
		sleep 0.1
	done
	[ $polls -gt 0 ] || fail "killed after $delay ms: no tally"
	echo "killed after $delay ms, read $polls times, $(value total.allocs <<<"$before") allocations"
	rm -rf tallies out
	return $gone
}
test_kill_at_random() {
	local i start wall
	node=$(example_node)
	RANDOM=${SEED:=$((RANDOM))}
	start=$(date +%s%N)
	rspack whole LD_PRELOAD="$shim"
	wall=$((($(date +%s%N) - start) / 1000000))
	rm -rf tallies
	echo "SEED=$SEED, a whole build takes $wall ms"
	for ((i = 0; i < 20; i++)); do
		# not before the process image has started; heaptally sees nothing of a process that never allocated
		until killed $((50 + RANDOM % wall)); do
			wall=$((wall * 9 / 10 + 10))
		done
	done
}

if [ "${1-}" = --one ]; then
	"test_$2"
	exit
fi
need "$shim" "$bin/dump" "$example/setup.sh"
run_all "$0" $seconds "$@"
