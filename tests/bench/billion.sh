#!/bin/bash
# SPDX-License-Identifier: MIT
# Does a long run cost more for each event, or leave a bigger tally? The same loop for 1 M, 10 M, 100 M and 1 G events.
# Prints a table, judges nothing.
#   MOST=1000000000
set -u
. "$(dirname "$0")/lib.sh"
most=${MOST:-1000000000}

a_number MOST "$most"
need billion "$shim" "$build/heaptally" "$build/bench/steady"

printf '%12s %20s %20s %12s %18s\n' events "ns each, no profiler" "ns each, heaptally" "tally bytes" "finished, bytes"
for ((n = 1000000; n <= most; n *= 10)); do
	progress "$n events"
	rm -rf "$scratch/out"
	mkdir "$scratch/out"
	plain=$("$build/bench/steady" $n) || die "the loop failed"
	ours=$(env LD_PRELOAD="$shim" HEAPTALLY_OUT="$scratch/out" "$build/bench/steady" $n) ||
		die "the loop failed under heaptally"
	tally=("$scratch"/out/*.tally)
	[ -e "${tally[0]}" ] || die "no tally"
	raw=$(stat -c %s "${tally[0]}")
	"$build/heaptally" finish "${tally[0]}" >/dev/null || die "the tally cannot be finished"
	progress
	printf '%12d %20s %20s %12d %18d\n' $n "$plain" "$ours" "$raw" "$(stat -c %s "${tally[0]}")"
done
