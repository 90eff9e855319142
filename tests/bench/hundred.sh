#!/bin/bash
# SPDX-License-Identifier: MIT
# The release binding is adopted in many small builds in a row: counts those that crash, hang, write something else than
# a build without the shim, or are not adopted. Exit status 1 if there is one.
#   BUILDS=100
set -u
root=$(cd "$(dirname "$0")/../.." && pwd)
build=${HEAPTALLY_BUILD:-$root/build}
example=$root/examples/rspack
shim=$build/libheaptally.so
builds=${BUILDS:-100}
export HEAPTALLY_BINDING=release
unset LD_PRELOAD HEAPTALLY_OUT HEAPTALLY_ONLY HEAPTALLY_MIN_SIZE HEAPTALLY_DEPTH HEAPTALLY_RUN

die() { echo "hundred.sh: $*" >&2; exit 2; }
[[ $builds =~ ^[1-9][0-9]*$ ]] || die "BUILDS is '$builds', but must be a number from 1"
for file in "$shim" "$build/tests/dump"; do
	[ -e "$file" ] || die "$file is missing; build it first"
done
node=$("$example/setup.sh" | tail -n 1)
[ -x "$node" ] || die "$example/setup.sh gave no node; its messages are above"
scratch=$(mktemp -d) || exit 2
trap 'rm -rf "$scratch"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP PIPE

small() { timeout -k 2 60 "$@" "$node" "$example/build.js" --small --out "$scratch/dist" >"$scratch/log" 2>&1; }
small env || die "the build fails without the shim: $(tail -n 1 "$scratch/log")"
mv "$scratch/dist" "$scratch/plain"
crashed=0 hung=0 differ=0 unseen=0
for ((i = 0; i < builds; i++)); do
	[ ! -t 2 ] || printf '\r\033[Kbuild %d of %d' $((i + 1)) "$builds" >&2
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
[ ! -t 2 ] || printf '\r\033[K' >&2
echo "$builds builds under adoption: $crashed crashed, $hung hung, $differ wrote something else, $unseen not adopted"
[ $((crashed + hung + differ + unseen)) -eq 0 ]
