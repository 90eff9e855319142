#!/bin/bash
# SPDX-License-Identifier: MIT
# Damaged input, under the sanitizers: the reader against mutated tallies, and the whole command against real tallies
# cut at many places. Leaks count.
set -u
. "$(dirname "$0")/lib.sh"
seconds=300

test_reader_on_mutations() { "$bin/fuzz_tally" 3000 1 >&2; }

# command EXPECTED ARGUMENT...: the sanitized command must end with one of the exit codes, and say one sentence if not 0
command_on() {
	local wanted=$1 code
	shift
	"$bin/heaptally-sanitized" "$@" >stdout 2>stderr
	code=$?
	[[ " $wanted " == *" $code "* ]] || fail "heaptally $* ended with $code: $(tail -n 3 stderr)"
	[ $code -eq 0 ] || [ "$(grep -c . stderr)" -eq 1 ] || fail "heaptally $* said: $(head -n 5 stderr)"
}

record() {
	mkdir out
	HEAPTALLY_OUT=$PWD/out HEAPTALLY_MIN_SIZE=0 LD_PRELOAD=$shim VICTIM_LEDGER=/dev/null "$bin/plain"
	cp out/heaptally.plain.*.tally raw.tally
}

test_whole_command() {
	record
	command_on 0 report raw.tally
	command_on 0 report --json raw.tally
	command_on 0 report --phase start raw.tally
	command_on 0 report --phase start --json raw.tally
	command_on 2 report --phase nowhere raw.tally
	command_on 0 advise --phase start raw.tally
	command_on 0 advise --phase start --json raw.tally
	command_on 2 advise --phase nowhere raw.tally
	command_on 0 flame raw.tally -o flame.svg
	command_on 0 flame --phase start raw.tally -o flame.svg
	command_on 0 flame raw.tally --folded --all-frames -o folded
	command_on 0 finish raw.tally
	command_on 0 report raw.tally
	[ "$(stat -c %s raw.tally)" -lt 300000 ] || fail "the finished tally has $(stat -c %s raw.tally) bytes"
}

test_cut_files() {
	record
	cp raw.tally finished.tally
	command_on 0 finish finished.tally
	local kind size at
	for kind in raw finished; do
		size=$(stat -c %s $kind.tally)
		for at in 0 1 7 8 100 415 416 4095 4096 5000 $((size / 4)) $((size / 2)) $((size - 1)); do
			[ "$at" -lt "$size" ] || continue
			head -c "$at" $kind.tally >cut.tally
			# what is cut behind the last record is not missed
			command_on "0 2" report cut.tally
			[ "$at" -gt 4096 ] || command_on 2 report cut.tally
			command_on "0 2" flame cut.tally -o flame.svg
		done
	done
	head -c "$(($(stat -c %s finished.tally) / 2))" finished.tally >cut.tally
	command_on 2 report cut.tally
}

test_foreign_files() {
	echo "not a tally" >foreign
	command_on 2 report foreign
	command_on 2 report /bin/ls
	command_on 2 report missing
	command_on 2 report .
	command_on 2 finish foreign
	[ "$(cat foreign)" = "not a tally" ] || fail "finish changed a file that is none of its own"
	record
	printf '\377' | dd of=raw.tally bs=1 seek=8 conv=notrunc status=none
	command_on 2 report raw.tally
	grep -q "newer" stderr || fail "a newer version is called: $(cat stderr)"
	printf '\001' | dd of=raw.tally bs=1 seek=8 conv=notrunc status=none
	command_on 2 report raw.tally
	grep -q "older" stderr || fail "an older version is called: $(cat stderr)"
}

case ${1-} in --one) "test_$2"; exit ;; esac
need "$shim" "$bin/fuzz_tally" "$bin/heaptally-sanitized" "$bin/plain"
run_all "$0" $seconds "$@"
