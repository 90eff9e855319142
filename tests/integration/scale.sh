#!/bin/bash
# SPDX-License-Identifier: MIT
# heaptally scale on a program whose growth is known, and on arguments that make no sense.
set -u
. "$(dirname "$0")/lib.sh"
seconds=120

# refused WORDS ARGUMENT...: exit code 2 and one sentence with these words
refused() {
	local words=$1 code
	shift
	"$heaptally" scale "$@" >stdout 2>stderr
	code=$?
	[ $code -eq 2 ] || fail "scale $*: exit code $code instead of 2"
	[ ! -s stdout ] || fail "scale $*: it wrote to standard output"
	grep -v '^running at' stderr >said
	[ "$(grep -c . said)" -eq 1 ] || fail "scale $* said: $(cat said)"
	grep -qF -e "$words" said || fail "scale $* said '$(cat said)', not '$words'"
}

test_known_growth() {
	mkdir tmp
	TMPDIR=$PWD/tmp "$heaptally" scale --at=2000,500,1000,4000 --project=10000 -- "$bin/growing" {n} >stdout 2>stderr ||
		fail "exit code $?: $(tail -n 1 stderr)"
	# 10 * 4000^2 / 100 and 10 * 10000^2 / 100
	grep -qE '^ +quadratic +1\.60 MB +10\.0 MB .* victim_square$' stdout || fail "victim_square is not called out: $(cat stdout)"
	! grep -q -e victim_line -e victim_fixed stdout || fail "linear and constant sites are called out: $(cat stdout)"
	# and 1000 * 10000 and 1000000 more
	grep -qE '^  peak of the heap +21\.0 MB .*quadratic$' stdout || fail "the peak is not 21 MB: $(cat stdout)"
	[ "$(awk '/^Runs/ { runs = 1 } runs && $1 ~ /^[0-9]+$/ { print $1 }' stdout | paste -s -d ' ')" = "500 1000 2000 4000" ] ||
		fail "runs: $(cat stdout)"
	[ -z "$(ls tmp)" ] || fail "left behind: $(ls tmp)"
}

test_arguments() {
	refused "which command" --at 1,2,3 --project 9
	refused "{n}" --at 1,2,3 --project 9 -- true
	refused "sizes or more" --at 1,2 --project 9 -- true {n}
	refused "sizes or more" --project 9 -- true {n}
	refused "Give --project" --at 1,2,3 -- true {n}
	refused "not '1,,3'" --at 1,,3 --project 9 -- true {n}
	refused "not '-1'" --at 1,2,3 --project -1 -- true {n}
	refused "not '0'" --at 1,2,3 --project 0 -- true {n}
	refused "1 twice" --at 1,2,1 --project 9 -- true {n}
}

test_failing_command() {
	mkdir tmp
	export TMPDIR=$PWD/tmp
	refused "size 5, with exit code 3: growing: as you wish" --at 5,6,7 --project 9 -- "$bin/growing" {n} fail
	refused "size 5, with exit code 127" --at 5,6,7 --project 9 -- ./missing {n}
	refused "no tally at size 5" --at 5,6,7 --project 9 -- true {n}
	[ -z "$(ls tmp)" ] || fail "left behind: $(ls tmp)"
	TMPDIR=$PWD/nowhere "$heaptally" scale --at 5,6,7 --project 9 -- true {n} 2>stderr && fail "it ran without a place"
	grep -q nowhere stderr || fail "it said $(cat stderr)"
}

case ${1-} in --one) "test_$2"; exit ;; esac
need "$heaptally" "$shim" "$bin/growing"
run_all "$0" $seconds "$@"
