#!/bin/bash
# SPDX-License-Identifier: MIT
# Is a stack what libunwind finds? The shim's own objects with a judge in between (tests/judge/judge.c), on victims whose
# stacks are hard to walk or change between two events, and on real builds.
#   judge.sh [GLOB…]
#   judge.sh --full      the whole rspack build instead: a million stacks at least; prints the verdict
set -u
. "$(dirname "$0")/lib.sh"
seconds=120
judge=$build/tests/libheaptally-judge.so

# under COMMAND…: runs it under the judge; ./verdict is what that found. $below is preloaded beneath.
below=
under() {
	mkdir -p out
	rm -f verdict
	env HEAPTALLY_OUT="$PWD/out" HEAPTALLY_MIN_SIZE=0 HEAPTALLY_JUDGE="$PWD/verdict" \
		VICTIM_LEDGER="$PWD/ledger" LD_PRELOAD="$judge${below:+ $below}" "$@" 2>stderr
}
found() { value "$1" <verdict; }

# The verdict is whole: every event judged, every kind counted, nothing that libunwind could not follow.
whole() {
	local judged
	judged=$(found judged)
	[ "$judged" -ge "$1" ] || fail "only $judged stacks judged"
	[ $(($(found events) - judged)) -le 2 ] || fail "$judged of $(found events) events judged"
	is "$(cat verdict)" not_found 0
	is "$(cat verdict)" judge_lost 0
}
# agrees LEAST COMMAND…: and what the shim cuts short, libunwind does too.
agrees() {
	local least=$1 code
	shift
	HEAPTALLY_JUDGE_EVERY=1 under "$@"
	code=$?
	[ $code -ne 77 ] || skip "the victim cannot run here"
	[ $code -eq 0 ] || fail "exit code $code: $(tail -n 1 stderr)"
	whole "$least"
	is "$(cat verdict)" disagreed 0
	is "$(cat verdict)" cut_broken 0
}
all_same() {
	agrees "$@"
	is "$(cat verdict)" same "$(found judged)"
}

# leaf frames, alloca, over-aligned frames, tail calls, signal frames on either stack, callbacks, threads
for flags in O2 O0 Os O3 fp nopie; do
	eval "test_stacks_$flags() { all_same 20 '$bin/stacks-$flags'; }"
done
test_longjmp() { all_same 50000 "$bin/longjmp"; }
test_frames_that_make_up_for_each_other() { all_same 2000 "$bin/sliding"; }
test_exceptions() { all_same 50000 "$bin/exceptions"; }
test_threads() { all_same 1000 "$bin/threads"; }
test_reload_at_same_address() { all_same 2000 "$bin/dlopen" "$bin/module_one.so" "$bin/module_two.so"; }
# A handler that allocates while the thread is anywhere, the shim included.
test_signals() {
	below=$bin/bump.so
	all_same 10000 "$bin/signals"
}
# Any instruction interrupted; rules that are expressions, which the shim leaves to libunwind.
test_interrupted() {
	all_same 1000 "$bin/interrupted" 1000
	[ "$(found by_libunwind)" -gt 100 ] || fail "only $(found by_libunwind) stacks took the slow path"
}
# libunwind too finds no more than the start of a coroutine.
test_swapped_stacks() {
	agrees 2000 "$bin/ucontext"
	is "$(cat verdict)" cut_by_both "$(section_sum allocs)"
}
section_sum() { awk -v key="$1" '/^section / { all = $2 == "all" } all && $1 == key { print $2 }' ledger; }
# Of code without frame pointers neither knows the caller; all else is whole. One stack in 160 has no JIT code.
test_jit() {
	agrees 8000 "$bin/jit"
	local blind
	blind=$(awk '/^section / { at = $2 } at == "victim_no_frames" && $1 == "allocs" { print $2 }' ledger)
	[ "${blind:-0}" -gt 0 ] || fail "no ledger of the stacks without frame pointers"
	is "$(cat verdict)" cut_by_both "$blind"
	[ "$(found through_jit)" -ge $((($(found judged) - blind) * 95 / 100)) ] || fail "through_jit $(found through_jit)"
}
test_deeper_than_the_limit() {
	export HEAPTALLY_DEPTH=32
	agrees 1000 "$bin/longjmp"
	[ "$(found cut_deep)" -gt 1000 ] || fail "cut_deep $(found cut_deep)"
	is "$(cat verdict)" same $(($(found judged) - $(found cut_deep)))
}
# Would a wrong frame be noticed?
test_mistakes_are_seen() {
	HEAPTALLY_JUDGE_EVERY=1 HEAPTALLY_JUDGE_MISTAKES=100 under "$bin/exceptions" || fail "exit code $?"
	whole 10000
	is "$(cat verdict)" disagreed $(($(found judged) / 100))
	grep -q '^example: differs at frame 1 ' verdict || fail "no example of a stack without its second frame"
}

# rspack_build BINDING [OPTION]
rspack_build() {
	local node
	node=$(example_node)
	[ -x "$node" ] || fail "setup.sh gave no node"
	HEAPTALLY_BINDING=$1 under "$node" "$example/build.js" ${2:+"$2"} --out "$PWD/dist" >stdout ||
		fail "the build failed: $(tail -n 1 stderr)"
}
# one_in_100000 LEAST: fewer disagree
one_in_100000() {
	[ "$(found judged)" -ge "$1" ] || fail "only $(found judged) stacks judged"
	[ $(($(found disagreed) * 100000)) -lt "$(found judged)" ] ||
		fail "$(found disagreed) of $(found judged) stacks differ: $(grep -A 2 '^example: ' verdict | head -n 3)"
}
test_rspack_debug() {
	rspack_build debug --small
	one_in_100000 50000
}
# Its tables are missing: there the tally says so, and is right up to there.
test_rspack_release() {
	rspack_build release --small
	one_in_100000 10000
	[ "$(found cut_no_tables)" -gt 10000 ] || fail "cut_no_tables $(found cut_no_tables)"
}

case ${1-} in
--one)
	"test_$2"
	exit
	;;
--full)
	need "$judge"
	scratch=$(mktemp -d)
	trap 'rm -rf "$scratch"' EXIT
	cd "$scratch" || exit 2
	(rspack_build debug) || exit 1
	head -n 1 stdout
	cat verdict
	one_in_100000 1000000
	exit
	;;
esac
need "$judge" "$bin"/{jit,interrupted,sliding,stacks-O2}
run_all "$0" $seconds "$@"
