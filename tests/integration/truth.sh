#!/bin/bash
# SPDX-License-Identifier: MIT
# The pattern programs of examples/rust/patterns: each has a problem, its fix and a decoy, and counts itself.
#   truth.sh [GLOB…]      patterns; all without arguments
# tally: what heaptally recorded equals the program's own count, to the unit.
# advise: the problem is found at the culprit with the program's own figures, and each saving that the finding claims
# is within 20% of what the fix measures; neither fix nor decoy has such a finding.
# One line per program and check, in columns under the heading `table`, then the sum.
set -u
. "$(dirname "$0")/lib.sh"
within=0.2
seconds=20
passed=0 failed=0 found=no

programs="boxed-objects string-storm vec-regrowth map-regrowth map-per-object tiny-map tiny-map/tree padded-or-empty
	padded-or-empty/slack late-release churn clone-storm foreign-free"

# PATTERN[/KIND] VARIANT: the program, its argument, the directory of its run, its tally
program() { tr - _ <<<"${1%/*}"; }
argument() { case $1 in */*) echo "$2-${1#*/}" ;; *) echo "$2" ;; esac; }
run_of() { echo "$scratch/$(program "$1").$(argument "$1" "$2")"; }
tally_of() { echo "$(run_of "$1" "$2")"/*.tally; }
own() { value "$3" <"$(run_of "$1" "$2")/own"; }

record() {
	local dir
	dir=$(run_of "$1" "$2")
	mkdir -p "$dir"
	timeout $seconds "$heaptally" run --min-size=0 -o "$dir" -- \
		"$bin/patterns/$(program "$1")" "$(argument "$1" "$2")" >"$dir/own" 2>"$dir/stderr" ||
		echo "the program failed: $(tail -n 1 "$dir/stderr")"
}

# row VERDICT-REASON PATTERN VARIANT CHECK FOUND OWN FINDING ESTIMATE MEASURED RATIO: an empty reason is a pass
row() {
	local reason=$1 verdict=ok
	shift
	if [ -n "$reason" ]; then
		verdict=FAIL
		failed=$((failed + 1))
	else
		passed=$((passed + 1))
	fi
	# shellcheck disable=SC2059
	printf "$columns  %s\n" "$verdict" "$@" "$reason"
}
columns="%-5s %-22s %-8s %-20s %-7s %12s %12s %12s %12s %6s"

# --- the tally ------------------------------------------------------------------------------------------------------

bundle_keys="allocs alloc_bytes frees freed_bytes reallocs realloc_from_bytes realloc_to_bytes moved copied_bytes
	usable_bytes live_bytes peak_bytes"
culprit_keys="allocs alloc_bytes reallocs realloc_from_bytes realloc_to_bytes moved copied_bytes usable_bytes foreign_frees"

# Everything that both know, in one reason. agree PATTERN VARIANT SCOPE DUMP KEY…
agree() {
	local pattern=$1 variant=$2 scope=$3 seen=$4 key want got
	shift 4
	for key; do
		want=$(own "$pattern" "$variant" "$scope.$key")
		[ "$want" != absent ] || continue
		got=$(value "$key" <<<"$seen")
		[ "$got" = "$want" ] || printf '%s' "$scope.$key is $got, the program's own $want; "
	done
}

check_tally() {
	local pattern=$1 variant=$2 tally culprit except seen reason element
	tally=$(tally_of "$pattern" "$variant")
	culprit=$(own "$pattern" "$variant" culprit)
	except=$(own "$pattern" "$variant" except)
	seen=$("$bin/dump" --through "$culprit*" --not "$except" "$tally" 2>&1) || {
		row "$seen" "$pattern" "$variant" tally - - - - - -
		return
	}
	# shellcheck disable=SC2086
	reason=$(agree "$pattern" "$variant" culprit "$seen" $culprit_keys)
	# Threads start and end on the library's account, and in any order.
	if [ "${pattern%/*}" != foreign-free ]; then
		seen=$("$bin/dump" --through "$(program "$pattern")::bundle" --not 'ledger::outside*' "$tally" 2>&1)
		# shellcheck disable=SC2086
		reason+=$(agree "$pattern" "$variant" bundle "$seen" $bundle_keys)
	fi
	element=$(own "$pattern" "$variant" element)
	if [ "$variant" = problem ] && [ "$element" != absent ]; then
		"$bin/dump" --through "$culprit*" --not "$except" --stacks "$tally" | grep -q -F "$element" ||
			reason+="no stack of the culprit names $element; "
	fi
	seen=$("$bin/dump" --header "$tally")
	[ "$(value header.dropped <<<"$seen")$(value header.lost_frees <<<"$seen")" = 00 ] || reason+="events were dropped; "
	row "$reason" "$pattern" "$variant" tally - "$(own "$pattern" "$variant" culprit.allocs)" - - - -
}

# --- the advice -----------------------------------------------------------------------------------------------------

# The findings of the pattern that lie in the program's own code, as JSON: one a line.
findings() {
	local tally
	tally=$(tally_of "$1" "$2")
	"$heaptally" advise --json "$tally" >"$tally.json" 2>"$tally.error" || {
		echo "advise: $(head -n 1 "$tally.error")"
		return 1
	}
	jq -c --arg pattern "${1%/*}" --arg crate "$(program "$1")" \
		'.findings[] | select(.pattern == $pattern and (.crate == $crate or .crate == "ledger"))' "$tally.json"
}

# What a finding says of one saving: "allocs" and so on, or one that is only a figure.
estimate() {
	jq -r --arg key "$2" '.saving[$key] // ([.figures[] | select(.key == $key) | .value][0]) // "absent"' <<<"$1"
}

check_problem() {
	local pattern=$1 all finding culprit key want got what measured ratio reason
	found=no
	all=$(findings "$pattern" problem) || {
		row "$all" "$pattern" problem advise - - - - - -
		return
	}
	culprit=$(own "$pattern" problem culprit)
	finding=$(jq -c --arg culprit "$culprit" \
		'select(.function == $culprit or (.function | startswith($culprit + "::<")))' <<<"$all" | head -n 1)
	if [ -z "$finding" ]; then
		reason="no such finding at $culprit"
		[ -z "$all" ] || reason+=", but at $(jq -r .function <<<"$all" | tr '\n' ' ')"
		row "$reason" "$pattern" problem advise no - - - - -
		return
	fi

	found=yes
	got=$(jq -r .element <<<"$finding")
	want=$(own "$pattern" problem element)
	reason=
	[ "$want" = absent ] || [[ $got == *"$want"* ]] || reason="T is $got instead of $want"
	row "$reason" "$pattern" problem T yes - - - - -
	# figures that the program knows
	while read -r key want; do
		key=${key#figure.}
		got=$(jq -r --arg key "$key" '[.figures[] | select(.key == $key) | .value][0] // "absent"' <<<"$finding")
		reason=
		[ "$got" = "$want" ] || reason="differs"
		row "$reason" "$pattern" problem "$key" yes "$want" "$got" - - -
	done < <(grep '^figure\.' "$(run_of "$pattern" problem)/own")
	# what the fix saves
	while read -r what want; do
		what=${what#saves.}
		measured=$((want - $(own "$pattern" fix "saves.$what")))
		got=$(estimate "$finding" "$what")
		ratio=-
		reason="claims no such saving"
		if [[ $got =~ ^[0-9]+$ ]] && [ "$got" -gt 0 ]; then
			reason=
			ratio=$(awk -v e="$got" -v m=$measured 'BEGIN { if (m > 0) printf "%.2f", m / e; else print "-" }')
			awk -v e="$got" -v m=$measured -v w=$within 'BEGIN { exit !(m >= e * (1 - w) && m <= e * (1 + w)) }' ||
				reason="not within 20%"
		fi
		row "$reason" "$pattern" problem "saves $what" yes - - "$got" $measured "$ratio"
	done < <(grep '^saves\.' "$(run_of "$pattern" problem)/own")
	# and no more than that
	for what in peak_bytes allocs copied_bytes; do
		[ "$(own "$pattern" problem "saves.$what")" = absent ] || continue
		got=$(jq -r --arg key $what '.saving[$key]' <<<"$finding")
		[ "$got" = 0 ] || row "the fix saves no such thing" "$pattern" problem "saves $what" yes - - "$got" 0 -
	done
}

check_gone() {
	local pattern=$1 variant=$2 all reason=
	all=$(findings "$pattern" "$variant") || {
		row "$all" "$pattern" "$variant" advise - - - - - -
		return
	}
	# Where the problem is not seen either, its absence says nothing.
	[ $found = yes ] || reason="nor is the problem found"
	[ -z "$all" ] || reason="found at $(jq -r .function <<<"$all" | tr '\n' ' ')"
	row "$reason" "$pattern" "$variant" advise "$([ -z "$all" ] && echo no || echo yes)" - - - - -
}

# --- all of them ------------------------------------------------------------------------------------------------------

need "$shim" "$heaptally" "$bin/dump"
command -v jq >/dev/null || {
	echo "truth.sh: jq is missing" >&2
	exit 2
}
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# shellcheck disable=SC2059
printf "$columns  %s\n" table pattern variant check found own finding estimate measured ratio reason
for pattern in $programs; do
	wanted=$(($# == 0))
	for glob; do
		# shellcheck disable=SC2053
		[[ $pattern == $glob ]] && wanted=1
	done
	[ $wanted -eq 1 ] || continue
	need "$bin/patterns/$(program "$pattern")"
	for variant in problem fix decoy; do
		reason=$(record "$pattern" $variant)
		if [ -n "$reason" ]; then
			row "$reason" "$pattern" $variant record - - - - - -
			continue 2
		fi
		check_tally "$pattern" $variant
	done
	check_problem "$pattern"
	check_gone "$pattern" fix
	check_gone "$pattern" decoy
done
echo "$passed passed, $failed failed"
[ $failed -eq 0 ] && [ $passed -gt 0 ]
