#!/bin/bash
# SPDX-License-Identifier: MIT
# Static allocators: shared objects with one inside, stripped, that count what they do; and the rspack binding as it is
# published. What was adopted must agree with the program's own count; what was not must be left alone and said so.
set -u
. "$(dirname "$0")/lib.sh"
example=$root/examples/rspack
seconds=300
export XDG_CACHE_HOME=$PWD/cache

# host [needed] MODULE…: under the shim; its lines go to ./ledger, its tally to ./out
host() {
	local program=host
	[ "$1" != needed ] || program=host-needed
	mkdir -p out cache
	HEAPTALLY_OUT=$PWD/out HEAPTALLY_MIN_SIZE=0 LD_PRELOAD=$shim \
		GLIBC_TUNABLES=glibc.rtld.optional_static_tls=65536 "$bin/adopt/$program" "$@" >ledger 2>stderr ||
		fail "the host failed: $(tail -n 1 stderr)"
}

# Sums a key over the ledger's lines.
own() { awk -v key="$1" '{ for (i = 2; i < NF; i += 2) if ($i == key) n += $(i + 1) } END { print n + 0 }' ledger; }

exact() {
	host "$@"
	agrees
}

agrees() {
	local seen
	seen=$(dump --adopted out/heaptally.host*.tally)
	is "$seen" allocs $(($(own allocs) + $(own zeroed)))
	is "$seen" reallocs "$(own reallocs)"
	is "$seen" frees "$(own deallocs)"
	is "$seen" live_count 0
	is "$seen" live_bytes 0
	[ $(($(value alloc_bytes <<<"$seen") + $(value realloc_to_bytes <<<"$seen"))) -eq "$(own bytes)" ] ||
		fail "bytes differ from the program's own $(own bytes)"
	is "$seen" header.unknown_frees 0
	is "$seen" header.lost_frees 0
	is "$seen" header.dropped 0
	# one call in a thousand is timed, but for those whose block was not known: six deviations
	local calls=$(($(own allocs) + $(own zeroed) + $(own reallocs) + $(own deallocs)))
	between "$seen" timed_calls "$(awk -v n="$calls" 'BEGIN { n = n / 1008 - 6 * sqrt(n / 1008); print (n > 1 ? int(n) : 1) }')" \
		"$(awk -v n="$calls" 'BEGIN { n /= 1000; print int(n + 6 * sqrt(n) + 2) }')"
}

# An older rustc puts more between a small module's code and its allocator than can be seen through. Such a module is
# left alone as a whole, and said to be.
exact_from_rust() {
	local version=1.95
	host "$1"
	if [ "$(dump --adopted out/heaptally.host*.tally | value allocs)" -gt 0 ] ||
		printf '%s\n' "rustc $version" "$(rustc --version)" | sort -C -V; then
		agrees
		return
	fi
	local seen
	seen=$(dump --adopted out/heaptally.host*.tally)
	is "$seen" frees 0
	is "$seen" reallocs 0
	is "$seen" header.unknown_frees 0
	{ "$heaptally" report out/heaptally.host.*.tally && "$heaptally" scan "$1"; } >said
	grep -qE "left alone: |nothing to adopt: " said || fail "neither report nor scan says that it was left alone"
	skip "left alone and said so: $(rustc --version) made it, $version or later is needed"
}

needs_mimalloc() {
	[ -e "$bin/adopt/mimalloc-c-slot-frames.so" ] || skip "$(head -n 1 "$bin/adopt/mimalloc.why")"
}

for module in {toy,jemalloc,mimalloc}-{c,rust}-{slot,direct}; do
	[ $module != toy-c-direct ] || continue # it is left alone, see below
	for frames in frames noframes; do
		test=exact
		[[ $module != *-rust-* ]] || test=exact_from_rust
		[[ $module != mimalloc-* ]] || test="needs_mimalloc; $test"
		eval "test_${module//-/_}_$frames() { $test $bin/adopt/$module-$frames.so; }"
	done
done

# Offline, of the same modules: nothing in them has a name, and yet whose they are is told, and what they call.
test_mimalloc_scan() {
	needs_mimalloc
	local module version by
	version=$(awk '$1 == "#define" && $2 == "MI_MALLOC_VERSION" { print substr($3, 1, 1) }' "$bin/adopt/mimalloc/include/mimalloc.h")
	for module in "$bin"/adopt/mimalloc-*.so; do
		[ "$(nm -D --defined-only "$module" | awk '{ print $3 }')" = adopt_work ] || fail "$module exports more than its work"
		"$heaptally" scan "$module" >scan
		grep -qx "  allocator: mimalloc v$version" scan || fail "of $module scan says $(grep allocator: scan)"
		grep -q "symbols: none" scan || fail "$module has symbols"
		[[ $module != *-rust-* ]] || continue # an older rustc's may be left alone
		[ "$(awk '$1 ~ /^(alloc|alloc_zeroed|realloc|dealloc)$/ { print $1 }' scan | sort | tr '\n' ' ')" = \
			"alloc alloc_zeroed dealloc realloc " ] || fail "scan does not have the four entry points of $module"
		case $module in *-slot-*) by="its slot" ;; *) by="its first instructions" ;; esac
		[ "$(grep -c "adoptable by $by" scan)" -eq 4 ] || fail "scan does not say that $module is adoptable by $by"
	done
}

# Estimates within six standard deviations of the program's own counts. An allocation of s bytes adds less than R / 16
# to the variance of the count and sR to that of the bytes, and as much by the rounding of its weight. Entries that
# call each other, and of which each took its samples, would give half as much again, or more.
estimated() {
	local HEAPTALLY_SAMPLE=128 seen
	export HEAPTALLY_SAMPLE
	host "$1"
	seen=$(dump --adopted out/heaptally.host*.tally)
	awk -v r=$HEAPTALLY_SAMPLE -v got_n="$(value allocs <<<"$seen")" -v got="$(value alloc_bytes <<<"$seen")" \
		-v n=$(($(own allocs) + $(own zeroed) + $(own reallocs))) -v bytes="$(own bytes)" '
		function near(name, got, want, unit) {
			d = sqrt(2 * r * want * unit)
			printf "%d %s, %d in truth, deviation %d; ", got, name, want, d
			return want > 12 * d && got > want - 6 * d && got < want + 6 * d
		}
		BEGIN { exit !(near("allocations", got_n, n, 1 / 16) + near("bytes", got, bytes, 1) == 2) }' >&2 ||
		fail "the estimate is too far off"
	is "$seen" live_count 0
	is "$seen" live_bytes 0
	is "$seen" header.lost_frees 0
	is "$seen" header.dropped 0
}
for module in toy-c-slot jemalloc-{c,rust}-{slot,direct} mimalloc-{c,rust}-{slot,direct}; do
	test=estimated
	[[ $module != mimalloc-* ]] || test="needs_mimalloc; $test"
	eval "test_sampled_${module//-/_}() { $test $bin/adopt/$module-frames.so; }"
done

# Loaded and closed again and again, 20 times as often as there are hooks: what was made for a hook goes with its module.
test_closed() {
	local HOST_CLOSE=1 HEAPTALLY_SAMPLE
	export HOST_CLOSE
	# shellcheck disable=SC2046
	set -- $(yes "$bin/adopt/toy-c-slot-frames.so" | head -n 320)
	exact "$@"
	rm -r out
	HEAPTALLY_SAMPLE=128
	export HEAPTALLY_SAMPLE
	host "$@"
	is "$(dump --adopted out/heaptally.host*.tally)" header.dropped 0
	[ "$(own executable)" -eq 0 ] || fail "$(own executable) mappings are left"
}

# Their constructors map memory, which makes another thread look at a module before it is loaded to its end. Nobody may go
# on with it until that is done.
test_busy_threads() {
	local i
	export HOST_BUSY=1
	for i in 1 2 3 4 5; do
		rm -rf out cache
		exact "$bin"/adopt/{toy-c-slot,jemalloc-c-slot,jemalloc-c-direct}-frames.so
	done
}

# What an adopted allocator maps, it maps inside of calls that are recorded: it is its module's all the same.
test_maps() {
	local name=toy-c-slot-frames.so
	host "$bin/adopt/$name"
	"$heaptally" report --json out/heaptally.host.*.tally >report.json || fail "no report"
	local mapped live
	mapped=$(jq ".coverage[] | select(.module == \"$name\") | .map_bytes" report.json)
	live=$(dump --adopted out/heaptally.host.*.tally | value peak_bytes)
	[ "${mapped:-0}" -ge "$live" ] || fail "it mapped ${mapped:-nothing}, and had $live in use"
}

# In a library that the program was linked with, from its first allocation on.
test_needed_library() { exact needed; }

# Something in the command looks like an allocator and aborts when it is tried, with a word on stderr. Nobody may hear it.
test_trial_is_silent() {
	mkdir -p out
	HEAPTALLY_OUT=$PWD/out HEAPTALLY_MIN_SIZE=0 LD_PRELOAD=$shim "$heaptally" --version >said 2>&1 || fail "it failed"
	[ "$(wc -l <said)" -eq 1 ] || fail "it said: $(head -n 1 said)"
	[ -z "$(find . -name 'core*')" ] || fail "it left a core"
}

# In a namespace of its own, with a C library of its own.
test_namespace() { HOST_NAMESPACE=1 exact "$bin/adopt/toy-c-slot-frames.so"; }

# Two allocators, and two copies of one, in a process.
test_two_at_once() {
	exact "$bin/adopt/toy-c-slot-frames.so" "$bin/adopt/jemalloc-c-slot-noframes.so" "$bin/adopt/toy-c-slot-noframes.so"
}

# Its entry points are too short to be hooked: nothing of it may be touched, and nothing counted.
test_left_alone() {
	host "$bin/adopt/toy-c-direct-frames.so"
	is "$(dump --adopted out/heaptally.host.*.tally)" allocs 0
	"$heaptally" scan "$bin/adopt/toy-c-direct-frames.so" >scan
	grep -q "not adoptable" scan || fail "scan does not say that it cannot be adopted"
	"$heaptally" report out/heaptally.host.*.tally >report
	grep -q "left alone: an entry point is too short" report || fail "the report does not say why"
}

# Calls go past its alloc in a way that does not show what they ask for: half of it would be worse than nothing.
test_refused_when_gone_round() {
	host "$bin/adopt/toy-c-round-frames.so"
	is "$(dump --adopted out/heaptally.host.*.tally)" allocs 0
	"$heaptally" scan "$bin/adopt/toy-c-round-frames.so" >scan
	grep -q "nothing to adopt: calls go round" scan || fail "scan does not say why"
	"$heaptally" report out/heaptally.host.*.tally >report
	grep -q "left alone: calls go round" report || fail "the report does not say why"
}

# The second process takes what the first found from the cache, also when the cache is damaged in between.
test_cache() {
	exact "$bin/adopt/jemalloc-c-slot-frames.so"
	[ -n "$(ls cache/heaptally)" ] || fail "nothing was remembered"
	rm -r out
	exact "$bin/adopt/jemalloc-c-slot-frames.so"
	local file
	for file in cache/heaptally/*; do
		printf 'x' | dd of="$file" bs=1 seek=$((RANDOM % 4000)) conv=notrunc status=none
	done
	rm -r out
	exact "$bin/adopt/jemalloc-c-slot-frames.so"
	for file in cache/heaptally/*; do
		: >"$file"
	done
	rm -r out
	exact "$bin/adopt/jemalloc-c-slot-frames.so"
}

# The published binding against the one with symbols, which allocates through libc: the same Rust code does the same.
test_rspack_release() {
	local node binding
	node=$("$example/setup.sh" 2>/dev/null | tail -n 1)
	mkdir out cache
	for binding in debug release; do
		HEAPTALLY_BINDING=$binding HEAPTALLY_OUT=$PWD/out LD_PRELOAD=$shim "$node" "$example/build.js" --small \
			--out "$PWD/$binding" >log 2>&1 || fail "the $binding build failed: $(tail -n 1 log)"
		mv out/heaptally.node.*.tally $binding.tally
	done
	HEAPTALLY_BINDING=release "$node" "$example/build.js" --small --out "$PWD/plain" >log 2>&1
	diff -r plain release >&2 || fail "the build wrote something else under the shim"
	local a b
	a=$(dump --through '*rspack.linux-x64-gnu.node*' debug.tally 2>/dev/null | value total.allocs)
	b=$(dump --header release.tally | value total.allocs)
	awk -v a="$a" -v b="$b" 'BEGIN { printf "debug %d, release %d: %+.2f%%\n", a, b, (b - a) * 100 / a
		exit !(b > a * 0.98 && b < a * 1.02) }' >&2 || fail "$b allocations, the debug binding makes $a"
	[ "$(dump --adopted release.tally | value allocs)" -gt 100000 ] || fail "the binding was not adopted"
}

case ${1-} in --one) "test_$2"; exit ;; esac
need "$shim" "$heaptally" "$bin/dump" "$bin/adopt/host"
run_all "$0" $seconds "$@"
