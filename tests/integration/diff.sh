#!/bin/bash
# SPDX-License-Identifier: MIT
# diff and check on real builds: two runs of one build are no change, another allocator is none of the program, a
# larger program is; budgets pass and fail.
#   diff.sh [GLOB…]
set -u
. "$(dirname "$0")/lib.sh"
seconds=300

# record BINDING FILE [NODE-OPTION…]: the small build as FILE
record() {
	local binding=$1 file=$2
	shift 2
	mkdir -p run
	HEAPTALLY_BINDING=$binding "$heaptally" run -o run -- \
		"$node" "$@" "$example/build.js" --small --out "$PWD/out" >log 2>&1 ||
		fail "the build failed: $(tail -n 1 log)"
	mv run/heaptally.node.*.tally "$file" || fail "there is not one tally"
	rm -rf run out
}

# rows FILE FILE [OPTION…]: how many changes
rows() {
	"$heaptally" diff --json "$@" >diff.json || fail "diff failed"
	"$node" -p 'JSON.parse(require("fs").readFileSync("diff.json")).rows.length'
}
field() { "$node" -p "JSON.parse(require('fs').readFileSync('diff.json')).$1"; }

# Ten pairs each of runs one after the other.
same_build() {
	local i n by
	record "$1" 0.tally
	for ((i = 1; i <= 10; i++)); do
		record "$1" $i.tally
		for by in "" --by=temporary --by=leaked; do
			n=$(rows $((i - 1)).tally $i.tally $by)
			[ "$n" -eq 0 ] || fail "pair $i $by: $n changes, first $(field rows[0].name) by $(field rows[0].metric)"
		done
		[ "$(field verdict)" = null ] || fail "pair $i: $(field verdict)"
	done
	"$heaptally" diff 0.tally 10.tally >text || fail "diff failed"
	grep -q '^Nothing changed beyond what two runs' text || fail "the text says otherwise: $(sed -n 8p text)"
	# but something did
	[ "$(rows 0.tally 10.tally --threshold=0)" -gt 10 ] || fail "nothing differs at all between two runs"
}
for binding in debug release; do
	eval "test_same_build_$binding() { same_build $binding; }"
done

# One version, its debug binding on the C library's allocator and its release binding on mimalloc: names and slack
# differ, what the program holds does not.
test_another_binding() {
	record debug before.tally
	record release after.tally
	[ "$(rows before.tally after.tally)" -eq 0 ] || fail "a change: $(field rows[0].name)"
	[ "$(field heap.changed)" = false ] || fail "the heap changed"
	[ "$(field slack.changed)" = true ] || fail "the slack did not change"
	[[ $(field verdict) == *"live heap did not change"* ]] || fail "no such sentence: $(field verdict)"
}

# RSS moves, the live heap does not, and the diff says just that.
rss_alone() {
	[ "$(rows before.tally after.tally)" -eq 0 ] || fail "a change: $(field rows[0].name)"
	[ "$(field rss.changed)" = true ] || fail "RSS did not change: $(field rss.before), $(field rss.after)"
	[ "$(field heap.changed)" = false ] || fail "the heap changed: $(field heap.before), $(field heap.after)"
	[[ $(field verdict) == "RSS rose by "*" while the live heap did not change: "* ]] || fail "it says: $(field verdict)"
}

# One build whose allocator takes memory earlier, and in huge pages.
test_an_allocator_that_takes_more() {
	grep -q '\[never\]' /sys/kernel/mm/transparent_hugepage/enabled && skip "this system has no huge pages"
	record debug before.tally
	MALLOC_TOP_PAD_=268435456 GLIBC_TUNABLES=glibc.malloc.hugetlb=1 record debug after.tally
	rss_alone
}

# One build in a process that maps 80 MB beside its heap.
test_memory_beside_the_heap() {
	echo 'globalThis.m = new WebAssembly.Memory({ initial: 1280 }); new Uint8Array(m.buffer).fill(1);' >beside.cjs
	record debug before.tally
	record debug after.tally --require "$PWD/beside.cjs"
	rss_alone
}

# victim COUNT FILE: a program that allocates COUNT blocks of 3,000 bytes
victim() {
	mkdir -p run
	"$heaptally" run -o run -- "$node" -e "
		const keep = [];
		for (let i = 0; i < $1; i++) keep.push(Buffer.allocUnsafeSlow(30000));
	" >log 2>&1 || fail "the program failed: $(tail -n 1 log)"
	mv run/heaptally.node.*.tally "$2"
	rm -rf run
}

test_more_blocks() {
	victim 100 before.tally
	victim 1100 after.tally
	[ "$(rows before.tally after.tally --by=bytes)" -gt 0 ] || fail "30 MB more are no change"
	"$node" -e '
		const r = JSON.parse(require("fs").readFileSync("diff.json")).rows[0], d = r.after.bytes - r.before.bytes;
		if (d < 29.9e6 || d > 30.3e6) { console.error(`${r.name}: ${d} bytes`); process.exit(1); }
	' || fail "the first line is not the 30,000,000 bytes"
	"$heaptally" diff before.tally after.tally -o diff.svg >/dev/null || fail "no flame graph"
	grep -q '^</svg>' diff.svg || fail "the flame graph is not whole"
}

test_unwritten() {
	victim 10 a.tally
	"$heaptally" diff a.tally a.tally -o nowhere/diff.svg >/dev/null 2>err
	[ $? -eq 1 ] || fail "no exit code 1 for a folder that is not there"
	[ "$(wc -l <err)" -eq 1 ] || fail "not one sentence: $(cat err)"
	[ -x /dev/full ] || [ -e /dev/full ] || return 0
	"$heaptally" diff a.tally a.tally >/dev/full 2>err
	[ $? -eq 1 ] || fail "no exit code 1 for a full device"
	"$heaptally" check --budget=<(echo '[limits]
peak = 1') a.tally >/dev/full 2>err
	[ $? -eq 2 ] || fail "check on a full device is a verdict"
}

# wrong EXPECTED-TEXT ARGUMENT…: exit code 2, one sentence
wrong() {
	local text=$1
	shift
	"$heaptally" "$@" >out 2>err
	[ $? -eq 2 ] || fail "$*: exit code is not 2"
	[ ! -s out ] || fail "$*: output"
	grep -qF -- "$text" err || fail "$*: $(head -n 1 err)"
}

test_wrong_arguments() {
	victim 10 a.tally
	echo nonsense >bad.tally
	wrong "two tallies" diff a.tally
	wrong "two tallies at a time" diff a.tally a.tally a.tally
	wrong "--by takes" diff --by=size a.tally a.tally
	wrong "--threshold takes" diff --threshold=-1 a.tally a.tally
	wrong "--threshold takes" diff --threshold=nan a.tally a.tally
	wrong "bad.tally" diff a.tally bad.tally
	wrong "standard output has the diff" diff -o - a.tally a.tally
	wrong "which budget" check a.tally
	wrong "which tally" check --budget=x.toml
	wrong "x.toml: No such file" check --budget=x.toml a.tally
	printf '[limits]\npeek = 1\n' >b.toml
	wrong "b.toml:2: no limit 'peek'" check --budget=b.toml a.tally
	printf '[baseline]\ntally = "none.tally"\ntolerance = 5\n' >b.toml
	wrong "none.tally" check --budget=b.toml a.tally
}

test_budget() {
	local peak
	victim 10 a.tally
	victim 1000 b.tally
	peak=$("$heaptally" report --json a.tally | "$node" -p 'JSON.parse(require("fs").readFileSync(0)).summary.peak_bytes')
	printf '[limits]\npeak = %d\n' "$peak" >b.toml
	"$heaptally" check --budget=b.toml a.tally >out || fail "its own peak is exceeded: $(cat out)"
	"$heaptally" check --budget=b.toml b.tally >out
	[ $? -eq 1 ] || fail "no exit code 1 for 30 MB more"
	grep -q '1 of 1 limits exceeded' out || fail "no table: $(cat out)"
	printf '[baseline]\ntally = "a.tally"\ntolerance = "5%%"\n' >b.toml
	"$heaptally" check --budget=b.toml a.tally >out || fail "it exceeds itself: $(cat out)"
	"$heaptally" check --budget=b.toml --json b.tally >out
	[ $? -eq 1 ] || fail "no exit code 1 against the baseline"
	"$node" -e '
		const c = JSON.parse(require("fs").readFileSync("out"));
		const by = Object.fromEntries(c.limits.map((l) => [l.limit, l.exceeded]));
		if (c.exceeded < 2 || !by.peak || !by.bytes) { console.error(c); process.exit(1); }
	' || fail "peak and bytes are not exceeded"
	"$heaptally" check --budget="$root/examples/ci/heaptally.toml" a.tally >out || fail "the sample: $(cat out)"
}

if [ "${1-}" = --one ]; then
	node=$(example_node)
	"test_$2"
	exit
fi
need "$heaptally" "$shim" "$example/setup.sh"
run_all "$0" $seconds "$@"
