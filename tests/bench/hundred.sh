#!/bin/bash
# SPDX-License-Identifier: MIT
# The release binding is adopted in many small builds in a row: counts those that crash, hang, write something else than
# a build without the shim, or are not adopted. Exit status 1 if there is one.
#   BUILDS=100
set -u
. "$(dirname "$0")/lib.sh"
builds=${BUILDS:-100}
export HEAPTALLY_BINDING=release

a_number BUILDS "$builds"
need hundred "$shim" "$build/tests/dump"
need_node

small() { timeout -k 2 60 "$@" "$node" "$example/build.js" --small --out "$scratch/dist" >"$scratch/log" 2>&1; }
small env || die "the build fails without the shim: $(tail -n 1 "$scratch/log")"
mv "$scratch/dist" "$scratch/plain"
crashed=0 hung=0 differ=0 unseen=0
for ((i = 0; i < builds; i++)); do
	progress "build $((i + 1)) of $builds"
	# every tenth has to find the entry points again
	[ $((i % 10)) -ne 0 ] || rm -rf "$scratch/cache"
	rm -rf "$scratch/dist" "$scratch/out"
	mkdir -p "$scratch/out" "$scratch/cache"
	small env LD_PRELOAD="$shim" HEAPTALLY_OUT="$scratch/out" XDG_CACHE_HOME="$scratch/cache"
	case $? in
	0)
		diff -r "$scratch/plain" "$scratch/dist" >/dev/null || differ=$((differ + 1))
		seen=$("$build/tests/dump" --adopted "$scratch"/out/*.tally | awk '$1 == "allocs" { print $2 }')
		[ "${seen:-0}" -gt 0 ] || unseen=$((unseen + 1))
		;;
	124 | 137) hung=$((hung + 1)) ;;
	*) crashed=$((crashed + 1)) ;;
	esac
done
progress
echo "$builds builds under adoption: $crashed crashed, $hung hung, $differ wrote something else, $unseen not adopted"
[ $((crashed + hung + differ + unseen)) -eq 0 ]
