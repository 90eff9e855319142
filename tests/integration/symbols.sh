#!/bin/bash
# SPDX-License-Identifier: MIT
# What the shim takes from others and gives to others. A call of printf or malloc in it would show here.
set -u
. "$(dirname "$0")/lib.sh"
seconds=30

names() { nm -D "$@" "$shim" | awk '{ sub(/@.*/, "", $NF); print $NF }' | sort -u; }
list() { sed 's/#.*//; s/[ \t]*$//; /^$/d' "$root/preload/$1" | sort -u; }

test_takes_only_what_is_allowed() {
	names --undefined-only >takes
	list allowed-symbols.txt >allowed
	comm -23 takes allowed >more
	[ ! -s more ] || fail "not on the list: $(tr '\n' ' ' <more)"
	comm -13 takes allowed >fewer
	[ ! -s fewer ] || fail "on the list and not used: $(tr '\n' ' ' <fewer)"
}

test_gives_only_hooks() {
	names --defined-only >gives
	list exported-symbols.txt >wanted
	diff wanted gives >&2 || fail "the exported names are others"
}

test_needs_only_libc() {
	local libraries
	libraries=$(objdump -p "$shim" | awk '$1 == "NEEDED" { print $2 }' | tr '\n' ' ')
	[ "$libraries" = "libc.so.6 ld-linux-x86-64.so.2 " ] || fail "it needs $libraries"
}

case ${1-} in --one) "test_$2"; exit ;; esac
need "$shim"
run_all "$0" $seconds "$@"
