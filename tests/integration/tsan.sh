#!/bin/bash
# SPDX-License-Identifier: MIT
# The shim's modules without the hooks, under the thread sanitizer (tests/tsan/driver.c): no data race, sums as they are.
#   tsan.sh [GLOB…]
set -u
. "$(dirname "$0")/lib.sh"
seconds=120

# The sanitizer wants its place in the address space: no randomness where that can be had.
fixed=
setarch -R true 2>/dev/null && fixed="setarch -R"

clean() {
	mkdir -p out
	# shellcheck disable=SC2086
	env HEAPTALLY_OUT="$PWD/out" HEAPTALLY_MIN_SIZE=0 TSAN_OPTIONS=exitcode=66 \
		$fixed "$bin/tsan" "$@" >stdout 2>stderr
	local code=$? races
	races=$(grep -c '^WARNING: ThreadSanitizer' stderr)
	[ "$races" -eq 0 ] || {
		cat stderr
		fail "$races reports: $(grep -m 1 '^SUMMARY' stderr)"
	}
	[ $code -eq 0 ] || fail "exit code $code: $(tail -n 1 stderr)"
	[ -n "$(ls out)" ] || fail "no tally"
}
test_threads() { clean 3; }
test_threads_and_modules() { clean 2 "$bin/module_one.so"; }
test_sampled() {
	export HEAPTALLY_SAMPLE=4096
	clean 3
}

if [ "${1-}" = --one ]; then
	"test_$2"
	exit
fi
need "$bin/tsan" "$bin/module_one.so"
run_all "$0" $seconds "$@"
