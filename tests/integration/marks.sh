#!/bin/bash
# SPDX-License-Identifier: MIT
# Marks and phases: what the shim has of each phase against the victim's own counts, to the unit; and Node's marks.
set -u
. "$(dirname "$0")/lib.sh"
seconds=60

traced() {
	mkdir -p out
	env HEAPTALLY_OUT="$PWD/out" HEAPTALLY_MIN_SIZE=0 VICTIM_LEDGER="$PWD/ledger" LD_PRELOAD="$shim" "$@" 2>stderr ||
		fail "exit code $?: $(tail -n 1 stderr)"
	[ ! -s stderr ] || fail "on stderr: $(head -n 1 stderr)"
}

tally_of() {
	local files=(out/heaptally."$1".*.tally)
	[ ${#files[@]} -eq 1 ] && [ -e "${files[0]}" ] || fail "${#files[@]} tallies of $1"
	echo "${files[0]}"
}

# compare_marks TALLY: every "K.field value" of the ledger's sections
compare_marks() {
	local name key want got seen n=0
	for name in $(sed -n 's/^section //p' ledger | sort -u | grep -vx -e all -e notes); do
		seen=$(dump --marks --through "$name" "$1")
		while read -r key want; do
			got=$(value "$key" <<<"$seen")
			[ "$got" = "$want" ] || fail "$name: $key is $got, the program's own $want"
			n=$((n + 1))
		done < <(awk -v name="$name" '/^section / { in_it = $2 == name; next } in_it && $1 ~ /^[0-9]\.[a-z_]+$/' ledger)
	done
	[ $n -ge 20 ] || fail "the ledger has $n figures of marks"
}

test_threads() {
	traced "$bin/marks" threads
	local tally seen k
	tally=$(tally_of marks)
	compare_marks "$tally"
	seen=$(dump --marks "$tally")
	is "$seen" marks 7
	is "$seen" lost_marks 0
	is "$seen" mark.0.name start
	is "$seen" mark.2.name seal
	is "$seen" mark.2.numbers "modules=5&chunks=2"
	is "$seen" mark.3.name seal
	# the mark's own figure and the sum over all buckets are told by different code
	for k in 1 2 3 4 5 6; do
		is "$seen" $k.live_bytes "$(value mark.$k.live_bytes <<<"$seen")"
	done
	is "$(dump --header "$tally")" header.dropped 0
}

test_finished() {
	traced "$bin/marks" threads
	local tally before
	tally=$(tally_of marks)
	before=$(dump --marks "$tally")
	"$heaptally" finish "$tally" || fail "finish failed"
	[ "$(dump --marks "$tally")" = "$before" ] || fail "the finished tally has other marks"
	compare_marks "$tally"
}

test_peak_of_phase() {
	traced "$bin/marks" single
	local tally seen k base own
	tally=$(tally_of marks)
	compare_marks "$tally"
	seen=$(dump --marks "$tally")
	# what the C library holds besides is there all the time
	base=$(($(value mark.1.live_bytes <<<"$seen") - $(value 1.live_bytes <ledger)))
	for k in 1 2 3 4 5 6; do
		own=$(value $k.peak <ledger)
		is "$seen" mark.$k.peak_bytes $((own + base))
	done
}

test_no_marks() {
	traced "$bin/temporary"
	local seen
	seen=$(dump --marks "$(tally_of temporary)")
	is "$seen" marks 1
	is "$seen" phases 0
}

test_too_many() {
	traced "$bin/marks" many
	local seen
	seen=$(dump --marks "$(tally_of marks)")
	is "$seen" marks 1024
	is "$seen" lost_marks $((1100 - 1023))
	is "$seen" mark.1023.name again
}

test_fork() {
	traced "$bin/marks" fork
	local files=(out/*.tally) file seen child=0
	[ ${#files[@]} -eq 2 ] || fail "${#files[@]} tallies"
	for file in "${files[@]}"; do
		seen=$(dump --marks "$file")
		case $(value mark.1.name <<<"$seen") in
		before) is "$seen" marks 3 && is "$seen" mark.2.name after ;;
		child) is "$seen" marks 2 && child=1 ;;
		*) fail "a first mark $(value mark.1.name <<<"$seen")" ;;
		esac
	done
	[ $child = 1 ] || fail "the child's mark is missing"
}

test_odd_paths() {
	traced "$bin/marks" odd
	local seen x
	x=$(printf 'x%.0s' $(seq 127))
	seen=$(dump --marks "$(tally_of marks)")
	is "$seen" marks 6
	is "$seen" mark.1.name kept
	is "$seen" mark.2.name plain
	is "$seen" mark.3.name "$x"
	is "$seen" mark.4.name a_b
	is "$seen" mark.4.numbers "n=1?2"
	is "$seen" mark.5.name ""
}

# The same victim is sound and silent without the shim.
test_without_shim() {
	local mode
	for mode in threads single many fork odd; do
		"$bin/marks" $mode || fail "$mode: exit code $?"
	done
}

case ${1-} in --one) "test_$2"; exit ;; esac
need "$shim" "$heaptally" "$bin/marks" "$bin/temporary" "$bin/dump"
run_all "$0" $seconds "$@"
