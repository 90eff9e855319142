#!/bin/bash
# SPDX-License-Identifier: MIT
# Does a long run cost more for each event, or leave a bigger tally? The same loop for 1 M, 10 M, 100 M and 1 G events.
# Prints a table, judges nothing.
#   MOST=1000000000
set -u
export LC_ALL=C
root=$(cd "$(dirname "$0")/../.." && pwd)
build=${HEAPTALLY_BUILD:-$root/build}
shim=$build/libheaptally.so
most=${MOST:-1000000000}
unset LD_PRELOAD HEAPTALLY_OUT HEAPTALLY_ONLY HEAPTALLY_MIN_SIZE HEAPTALLY_DEPTH HEAPTALLY_RUN HEAPTALLY_SAMPLE

die() { echo "billion.sh: $*" >&2; exit 2; }
[[ $most =~ ^[1-9][0-9]*$ ]] || die "MOST is '$most', but must be a number from 1"
for file in "$shim" "$build/heaptally" "$build/bench/steady"; do
	[ -e "$file" ] || die "$file is missing; \`make billion\` builds it"
done
scratch=$(mktemp -d) || exit 2
trap 'rm -rf "$scratch"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP PIPE

printf '%12s %20s %20s %12s %18s\n' events "ns each, no profiler" "ns each, heaptally" "tally bytes" "finished, bytes"
for ((n = 1000000; n <= most; n *= 10)); do
	[ ! -t 2 ] || printf '\r\033[K%d events' $n >&2
	rm -rf "$scratch/out"
	mkdir "$scratch/out"
	plain=$("$build/bench/steady" $n) || die "the loop failed"
	ours=$(env LD_PRELOAD="$shim" HEAPTALLY_OUT="$scratch/out" "$build/bench/steady" $n) ||
		die "the loop failed under heaptally"
	tally=("$scratch"/out/*.tally)
	[ -e "${tally[0]}" ] || die "no tally"
	raw=$(stat -c %s "${tally[0]}")
	"$build/heaptally" finish "${tally[0]}" >/dev/null || die "the tally cannot be finished"
	[ ! -t 2 ] || printf '\r\033[K' >&2
	printf '%12d %20s %20s %12d %18d\n' $n "$plain" "$ours" "$raw" "$(stat -c %s "${tally[0]}")"
done
