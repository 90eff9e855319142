#!/bin/bash
# SPDX-License-Identifier: MIT
# --debug-file for modules that have no build-id: files that gcc, rustc, strip and objcopy make, those that belong to the
# module and those that only look like it. The victims say how often each of their functions allocates.
set -u
. "$(dirname "$0")/lib.sh"
seconds=60
victims=$root/tests/victims/adopt

# compile NAME FLAG…: NAME.full, and NAME.so and NAME.debug made of it
compile() {
	local name=$1
	shift
	gcc -std=gnu11 -O2 -g -fPIC -fvisibility=hidden -fno-toplevel-reorder -shared -Wl,--build-id=none "$@" \
		-o "$name.full" "$victims/names.c" || fail "gcc failed"
	split "$name"
}

split() {
	strip --strip-all -o "$1.so" "$1.full" && objcopy --only-keep-debug "$1.full" "$1.debug" || fail "it cannot be split"
}

# record MODULE…: to ./tally
record() {
	mkdir -p out
	HEAPTALLY_OUT=$PWD/out HEAPTALLY_MIN_SIZE=0 LD_PRELOAD=$shim GLIBC_TUNABLES=glibc.rtld.optional_static_tls=65536 \
		"$bin/adopt/host" "${@/#/$PWD/}" >/dev/null ||
		fail "the host failed"
	mv out/heaptally.host.*.tally tally
}

# folded FILE…: the stacks and how often they allocate, to ./stacks, named with these debug files
folded() {
	"$heaptally" flame --folded --metric=count -o stacks "${@/#/--debug-file=}" tally >stdout 2>stderr ||
		fail "flame: exit code $?: $(cat stderr)"
}

# allocates NAME TIMES
allocates() {
	local times
	times=$(awk -v name="$1" '{ n = split($0, frames, ";") } { for (i = 1; i <= n; i++) { sub(/ [0-9]+$/, "", frames[i])
		if (frames[i] == name) { sum += $NF; next } } } END { print sum + 0 }' stacks)
	[ "$times" -eq "$2" ] || fail "$1 allocates $times times, not $2: $(grep -m 3 names stacks)"
}

named() {
	allocates names_short $((100 * ${1:-1}))
	allocates names_long $((300 * ${1:-1}))
}

# refused FILE WORDS: not used, which is one sentence with these words, and nothing is written
refused() {
	local code
	rm -f stacks
	"$heaptally" flame --folded -o stacks "--debug-file=$1" tally >stdout 2>stderr
	code=$?
	[ $code -eq 2 ] || fail "$1: exit code $code instead of 2"
	[ ! -s stdout ] && [ ! -e stacks ] || fail "$1: something was written"
	[ "$(grep -c . stderr)" -eq 1 ] || fail "$1: said $(cat stderr)"
	grep -qF "$1 is not used: " stderr && grep -qF -e "$2" stderr || fail "$1: said '$(cat stderr)', not '$2'"
}

frames=-fasynchronous-unwind-tables
no_frames=-fno-asynchronous-unwind-tables

test_c() {
	local tables
	for tables in $frames $no_frames; do
		compile names $tables
		record names.so
		folded
		! grep -q names_ stacks || fail "it was not stripped"
		grep -qF 'names.so+0x' stacks || fail "it is not in the stacks"
		folded names.debug
		named
		folded names.full
		named
	done
}

test_rust() {
	local version
	rustc --edition 2021 -O -g --crate-type cdylib --crate-name names -C link-arg=-Wl,--build-id=none -o names.full \
		"$victims/names.rs" || fail "rustc failed"
	split names
	rustc --edition 2021 -O -g --crate-type cdylib --crate-name names -C link-arg=-Wl,--build-id=none --cfg longer \
		-o longer.full "$victims/names.rs" || fail "rustc failed"
	split longer
	record names.so
	folded
	! grep -q names:: stacks || fail "it was not stripped"
	folded names.debug
	allocates names::boxes 100
	allocates names::strings 300
	refused longer.debug "is not placed or sized as"
}

test_other_tools_split_it() {
	compile names $frames
	record names.so
	objcopy --only-keep-debug --compress-debug-sections=zlib names.full compressed.debug
	folded compressed.debug
	named
	command -v eu-strip >/dev/null || skip "there is no eu-strip"
	cp names.full copy
	eu-strip -f eu.debug -o names.so copy
	objcopy --remove-section=.gnu_debuglink names.so
	folded eu.debug
	named
}

# Another build: more code, the same code elsewhere, the same code but for a number.
test_other_builds() {
	local tables
	for tables in $frames $no_frames; do
		compile names $tables
		compile longer $tables -DLONGER
		compile swapped $tables -DSWAPPED
		compile bytes $tables -DBYTES=49
		[ "$(readelf -SW swapped.so)" = "$(readelf -SW names.so)" ] || fail "swapped code shows in the section table"
		record names.so
		refused longer.debug "is not placed or sized as"
		refused longer.full "than that of"
		if [ $tables = $frames ]; then
			refused swapped.debug "starts in the middle of a function of"
		else
			refused swapped.debug "is not what the code of"
		fi
		refused swapped.full "has other contents than that of"
		refused bytes.full "its .text has other contents than that of"
	done
}

test_exports_moved() {
	compile names $frames
	cp names.debug moved.debug
	objcopy --redefine-sym adopt_work=adopt_play moved.debug
	record names.so
	refused moved.debug "it does not have adopt_work where"
	objcopy --strip-all names.full bare.debug
	objcopy --only-keep-debug bare.debug
	refused bare.debug "it has no functions to compare"
}

# A link in the module says which file is meant: its checksum decides, also of one that has another name.
test_debug_link() {
	compile names $frames
	objcopy --add-gnu-debuglink=names.debug names.so
	mv names.debug renamed.debug
	record names.so
	folded renamed.debug
	named
	cp renamed.debug touched.debug
	printf x >>touched.debug
	refused touched.debug "its checksum is not the one in the debug link of"
	folded names.full
	named
}

test_build_ids() {
	compile names $frames -Wl,--build-id
	compile none $frames
	record names.so
	folded names.debug
	named
	refused none.debug "it has no build-id, and all modules"
	record none.so
	refused names.debug "has its build-id"
	folded none.debug
	named
}

# Copies of one file are one; two builds that the debug file could be of are not.
test_several_modules() {
	compile names $frames
	compile bytes $frames -DBYTES=49
	cp names.so copy.so
	record names.so copy.so
	folded names.debug
	named 2
	record names.so bytes.so
	refused names.debug "names.so and $PWD/bytes.so both are as it tells, and differ"
	folded bytes.full # of which one has all bytes
	named
	grep -qF 'names.so+0x' stacks || fail "names.so has got the names of another build"
}

test_the_module_is_gone() {
	compile names $frames
	echo 'char bulk[100000];' >bulk.c
	compile larger $frames bulk.c
	record names.so
	mv names.so other.so
	refused names.debug "names.so, which it may be of, cannot be read (No such file or directory)"
	cp larger.so names.so
	refused larger.debug "names.so is not the file that ran"
}

# Under the sanitizers: bytes of the debug file and of the module changed at random. A file is used, or refused in a sentence.
test_damaged_files() {
	local round file code
	compile names $frames
	cp names.so whole.so
	cp names.debug whole.debug
	record names.so
	for round in {1..60}; do
		cp whole.so names.so
		cp whole.debug names.debug
		file=names.debug
		[ $((round % 3)) -gt 0 ] || file=names.so
		awk -v seed="$round" -v size="$(stat -c %s $file)" \
			'BEGIN { srand(seed); for (i = 0; i < 12; i++) print 64 + int(rand() * (size - 64)), int(rand() * 256) }' >where
		while read -r at byte; do
			printf '%b' "\\x$(printf %02x "$byte")" | dd of=$file bs=1 seek="$at" conv=notrunc status=none
		done <where
		"$bin/heaptally-sanitized" flame --folded -o stacks --debug-file=names.debug tally >stdout 2>stderr
		code=$?
		[ $code -eq 0 ] || { [ $code -eq 2 ] && [ "$(grep -c . stderr)" -eq 1 ]; } ||
			fail "round $round: exit code $code: $(head -n 3 stderr)"
	done
}

case ${1-} in --one) "test_$2"; exit ;; esac
need "$heaptally" "$shim" "$bin/adopt/host" "$bin/heaptally-sanitized"
run_all "$0" $seconds "$@"
