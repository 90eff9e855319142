#!/bin/bash
# SPDX-License-Identifier: MIT
# Runs the victims under the shim and compares each tally with the victim's own ledger, to the unit.
#   run.sh [GLOB…]         tests whose names match; all of them without arguments
#   run.sh --native        runs the victims without the shim: are their own ledgers and checks sound?
# Needs build/libheaptally.so, build/heaptally and what tests/Makefile builds. One line per test, then the sum.
set -u
. "$(dirname "$0")/lib.sh"
seconds=30

# --- inside one test: in a fresh directory, with ledger.* and tallies of its own -----------------------------------

# Runs a command under the shim, and under the library $below if that is set; the tallies go to ./out.
below=
traced() {
	mkdir -p out
	env HEAPTALLY_OUT="$PWD/out" HEAPTALLY_MIN_SIZE=0 VICTIM_LEDGER="$PWD/ledger" \
		LD_PRELOAD="$shim${below:+ $below}" "$@" 2>stderr
}

# The same, and the exit code has to be this.
expect() {
	local want=$1 got
	shift
	traced "$@"
	got=$?
	[ $got -eq "$want" ] || fail "exit code $got instead of $want: $(tail -n 1 stderr)"
	[ ! -s stderr ] || fail "on stderr: $(head -n 1 stderr)"
}

# The one tally of a program.
tally_of() {
	local files=(out/heaptally."$1".*.tally)
	[ ${#files[@]} -eq 1 ] && [ -e "${files[0]}" ] || fail "${#files[@]} tallies of $1: $(ls out | tr '\n' ' ')"
	echo "${files[0]}"
}

# The keys of one section of a ledger.
section() { awk -v name="$2" '/^section / { in_it = $2 == name; next } in_it' "$1"; }
sections() { sed -n 's/^section //p' "$1" | grep -vx -e all -e notes; }

exact="allocs alloc_bytes frees freed_bytes reallocs realloc_from_bytes realloc_to_bytes moved copied_bytes live_count live_bytes usable_bytes"

# same LEDGER-TEXT DUMP-TEXT WHERE KEY…
same() {
	local ledger=$1 seen=$2 where=$3 key want got
	shift 3
	for key in "$@"; do
		want=$(value "$key" <<<"$ledger")
		got=$(value "$key" <<<"$seen")
		[ "$want" != absent ] || fail "$where: no $key in the ledger"
		[ "$got" = "$want" ] || fail "$where: $key is $got, the program's own $want"
	done
}

# Every section of the ledger against the buckets through the function of its name. compare LEDGER TALLY [KEY…]
compare() {
	local ledger=$1 tally=$2 name n=0
	shift 2
	[ -s "$ledger" ] || fail "no ledger"
	for name in $(sections "$ledger"); do
		# shellcheck disable=SC2086
		same "$(section "$ledger" "$name")" "$(dump --through "$name" "$tally")" "$name" ${*:-$exact}
		n=$((n + 1))
	done
	[ $n -gt 0 ] || fail "the ledger has no sections"
	no_drops "$tally"
}

no_drops() {
	local header
	header=$(dump --header "$1")
	is "$header" header.dropped 0
	is "$header" header.lost_frees 0
}

# A victim with nothing special about its running: exit code 0, all sections, whole peak.
simple() {
	local name=$1
	shift
	expect 0 "$bin/$name" "$@"
	compare ledger "$(tally_of "$name")"
}

peak() {
	local tally
	tally=$(tally_of "$1")
	same "$(section ledger all)" "$(dump --through 'victim_*' "$tally")" victim_* peak_bytes peak_count
	is "$(dump --header "$tally")" header.peak_bytes "$(section ledger all | value peak_bytes)"
}

# --- the tests ------------------------------------------------------------------------------------------------------

test_family() {
	simple family
	peak family
	local tally
	tally=$(tally_of family)
	compare ledger "$tally" min_bytes max_bytes
	# nothing else allocates in this program, so the whole is known as well
	same "$(section ledger all)" "$(dump "$tally")" whole $exact min_bytes max_bytes
	is "$(dump --header "$tally")" header.unknown_frees 0
	is "$(dump --header "$tally")" header.failures 0
	is "$(dump --through victim_free_null "$tally")" allocs 0
}
test_zero() {
	simple zero
	is "$(dump --header "$(tally_of zero)")" header.zero_sizes "$(section ledger all | value zero_sizes)"
	compare ledger "$(tally_of zero)" min_bytes max_bytes
}
test_failing() {
	simple failing
	local header
	header=$(dump --header "$(tally_of failing)")
	is "$header" header.failures "$(section ledger all | value failures)"
	is "$header" header.failed_bytes "$(section ledger all | value failed_bytes)"
}
# Overflowing products count as failures; an alignment that is none may.
test_failing_senseless() {
	simple failing senseless
	local got want invalid
	got=$(dump --header "$(tally_of failing)" | value header.failures)
	want=$(section ledger all | value failures)
	invalid=$(section ledger notes | value invalid)
	[ "$got" -eq "$want" ] || [ "$got" -eq $((want + invalid)) ] ||
		fail "$got failures instead of $want (or $invalid more)"
}
test_errno() { simple errno; }
test_usable() { simple usable; }
test_c23() {
	simple c23
	is "$(section ledger notes)" provided 1
}
test_alignment() {
	simple alignment
	local tally align
	tally=$(tally_of alignment)
	for function in posix_memalign aligned_alloc; do
		dump --through victim_$function --buckets "$tally" >buckets
		for ((align = 32; align <= 1 << 20; align *= 2)); do
			grep -q " align $align " buckets || fail "$function: no bucket with alignment $align"
		done
	done
}
test_new() { simple new; }
test_new_failing() { simple new_failing; }
on_allocator() {
	below=$(ldconfig -p | sed -n "s/.*$1.* => //p" | head -n 1)
	[ -n "$below" ] || skip "$1 is not installed"
	case $2 in
	fork) test_fork ;;
	threads) simple threads ;;
	*) simple "$2" foreign ;;
	esac
}
for allocator in jemalloc.so.2 mimalloc.so.2 tcmalloc_minimal.so.4; do
	for victim in new family threads fork; do
		eval "test_${victim}_on_${allocator%%.*}() { on_allocator lib$allocator $victim; }"
	done
done
test_temporary() {
	simple temporary
	compare ledger "$(tally_of temporary)" temporary
}
# Of few events, but of those exactly: see victims/probes.c for what it writes and frees.
test_probes() {
	simple probes
	local seen name
	seen=$(dump --through victim_half "$(tally_of probes)")
	is "$seen" unwritten_bytes $(($(value filled_bytes <<<"$seen") / 2))
	for name in half two_contents; do
		seen=$(dump --through victim_$name "$(tally_of probes)")
		# 20,000 blocks: one in 128 filled, one in 32 looked into, of 40,000 calls one in 1000 timed; 6 deviations
		between "$seen" content_frees 475 775
		between "$seen" timed_calls 5 80
	done
	is "$seen" contents 2
	seen=$(dump --through victim_half "$(tally_of probes)")
	between "$seen" filled_bytes $((80 * 1024)) $((240 * 1024))
	seen=$(dump --through victim_many_contents "$(tally_of probes)")
	is "$seen" contents 64 # as many as are kept of a bucket
	seen=$(dump --through victim_grown "$(tally_of probes)")
	[ "$(value filled_bytes <<<"$seen")" -gt 0 ] || fail "no chain was filled"
	is "$seen" unwritten_bytes $(($(value filled_bytes <<<"$seen") * 3 / 4))
}
# Each life of few blocks, or of big ones, is timed, between the program's readings of the same clock; births of blocks that
# grow old are rounded. Of many, one in 16 is timed, and of the first events of a bucket all; 6 deviations.
# A call whose own time is taken, one in a thousand, ends the light record that has every life timed: then once more.
test_lives() {
	local seen name notes tries
	for tries in 1 2 3 4; do
		rm -rf out
		simple lives
		seen=$(for name in few old; do dump --through victim_$name --not victim_other "$(tally_of lives)"; done)
		[ "$(awk '$1 == "timed_calls" { n += $2 } END { print n + 0 }' <<<"$seen")" -gt 0 ] || break
	done
	notes=$(section ledger notes)
	for name in few:5 big:40 old:5; do
		seen=$(dump --through "victim_${name%:*}" --not victim_other "$(tally_of lives)")
		is "$seen" lifetimes "${name#*:}"
		between "$seen" lifetime_ticks $(($(value "${name%:*}_inside" <<<"$notes") * 999 / 1000)) \
			$(($(value "${name%:*}_outside" <<<"$notes") * 1001 / 1000))
	done
	between "$(dump --through victim_many "$(tally_of lives)")" lifetimes 1740 2275
}
# Pages touched, estimated from a sample of them: see victims/locality.c. The last look has to be at the last state, for which
# a point of the timeline must come in time: if none did, again with more of it.
test_locality() {
	local tally name seen every pages got want
	for seconds_spun in 1 4 12; do
		rm -rf out
		expect 0 "$bin/locality" $seconds_spun
		tally=$(tally_of locality)
		seen=$(dump --through victim_large "$tally")
		# the large blocks are in it, so that the small ones to be freed are gone
		[ "$(value snapshot_bytes <<<"$seen")" -lt "$(section ledger notes | value snapshot_least_bytes)" ] || break
	done
	is "$seen" seen_pages 0 # they are no smaller than a page
	is "$(dump --through victim_freed "$tally")" seen_blocks 0
	every=$(value page_every <<<"$seen")
	[ "$every" -gt 1 ] || fail "every page was looked at: no sample"
	for name in dense scattered rare; do
		seen=$(dump --through victim_$name "$tally")
		for key in pages blocks bytes; do
			got=$(value seen_$key <<<"$seen")
			want=$(section ledger notes | value ${name}_$key)
			# One page in `every` is drawn, by itself: six deviations of the sum over pages, whose values are at most
			# `most` each.
			pages=$(section ledger notes | value ${name}_pages)
			awk -v got="$got" -v want="$want" -v every="$every" -v pages="$pages" \
				-v squares="$(section ledger notes | value ${name}_${key}_squares)" 'BEGIN {
				deviation = sqrt(every * squares * (1 - 1 / every))
				exit !(got * every > want - 6 * deviation && got * every < want + 6 * deviation && got > 20)
			}' || fail "$name: $got $key on one page in $every, $want in truth"
		done
	done
	"$heaptally" report --json "$tally" >report.json || fail "no report"
}
# Every estimate within six standard deviations of the truth; what is freed is gone to the unit.
test_sampled() {
	export HEAPTALLY_SAMPLE=16384
	expect 0 "$bin/sampled"
	local tally name seen
	tally=$(tally_of sampled)
	for name in $(sections ledger); do
		seen=$(dump --through "$name" "$tally")
		estimate "$(section ledger "$name")" "$seen" "$name" 16384
		[ "$(value alloc_bytes <<<"$seen")" -eq $(($(value allocs <<<"$seen") * $(value max_bytes <<<"$seen"))) ] ||
			fail "$name: its bytes are not its blocks' bytes"
		case $name in *_freed) is "$seen" live_count 0 && is "$seen" live_bytes 0 ;; esac
	done
	is "$seen" temporary "$(value frees <<<"$seen")" # the last section's blocks are all temporary
	is "$(dump --header "$tally" | sed 's/^header\.//')" sample_bytes 16384
}
# estimate LEDGER DUMP WHERE R: a section's allocations are of one size.
estimate() {
	awk -v n="$(value allocs <<<"$1")" -v all="$(value alloc_bytes <<<"$1")" -v got="$(value allocs <<<"$2")" -v r="$4" 'BEGIN {
		s = all / n; p = 1 - exp(-(s + 16) / r); d = sqrt(n * (1 - p) / p + n / 4)
		exit !(got >= n - 6 * d && got <= n + 6 * d) }' ||
		fail "$3: $(value allocs <<<"$2") allocations are too far from $(value allocs <<<"$1")"
}
test_chains() {
	simple chains
	local seen
	seen=$(dump --through victim_chains "$(tally_of chains)")
	same "$(section ledger notes)" "$seen" victim_chains chains_now chains_ended chain_regrows
	same "$(section ledger victim_chains)" "$(sed 's/^chain_copied_bytes/copied/' <<<"$seen")" victim_chains copied_bytes
	is "$(dump --through victim_plain "$(tally_of chains)")" chains_ended 0
}
test_peak() {
	simple peak
	peak peak
}
test_maps() {
	expect 0 "$bin/maps"
	same "$(section ledger notes)" "$(dump --header "$(tally_of maps)" | sed 's/^header\.//')" header \
		map_calls map_bytes unmap_calls unmap_bytes madvise_calls madvise_bytes
}
# Above 16 MiB the peak may be off by 1/256, and what a function held there by 1% of it; FORMAT.md says why.
test_peak_bound() {
	expect 0 "$bin/summit" >stdout
	local tally peak left
	tally=$(tally_of summit)
	peak=$(value peak_bytes <stdout)
	left=$(value left_at_peak <stdout)
	[ "$peak" -gt 50000000 ] || fail "the summit is only $peak bytes high"
	awk -v a="$peak" -v b="$(dump --header "$tally" | value header.peak_bytes)" 'BEGIN {
		exit !((a > b ? a - b : b - a) <= a / 256) }' || fail "peak is $(dump --header "$tally" | value header.peak_bytes), the program's own $peak"
	awk -v a="$left" -v p="$peak" -v b="$(dump --through victim_left "$tally" | value peak_bytes)" 'BEGIN {
		exit !((a > b ? a - b : b - a) <= p / 100) }' || fail "victim_left held $(dump --through victim_left "$tally" | value peak_bytes) at the peak, the program's own $left"
	[ "$(dump --header "$tally" | value header.n_points)" -ge 200 ] || fail "the timeline has $(dump --header "$tally" | value header.n_points) points"
}
test_threads() {
	simple threads
	local tally seen
	tally=$(tally_of threads)
	compare ledger "$tally" foreign_frees
	seen=$(dump "$tally")
	is "$seen" thread.victim-worker.threads 8
	# the threads' own records add up to what the sections say
	is "$seen" thread.victim-worker.allocs "$(section ledger all | value allocs)"
	is "$seen" thread.victim-worker.frees "$(section ledger all | value frees)"
	is "$seen" thread.victim-worker.reallocs "$(section ledger all | value reallocs)"
}
test_threads_in_turn() {
	simple threads_in_turn
	local bytes
	bytes=$(stat -c '%b' "$(tally_of threads_in_turn)")
	[ "$bytes" -lt 20480 ] || fail "the tally grew with the number of threads: $bytes blocks"
}
test_tls_key() { simple tls_key; }
test_tls_cxx() { simple tls_cxx; }
test_early() { simple early; }
test_early_lib() {
	below=$bin/early_lib.so
	expect 7 "$bin/plain"
	compare ledger.lib "$(tally_of plain)"
	compare ledger "$(tally_of plain)"
}
# Tallies of a program by generation.
generation() {
	local f
	for f in out/*.tally; do
		[ "$(dump --header "$f" | value header.generation)" = "$1" ] && echo "$f"
	done
}
test_fork() {
	expect 0 "$bin/fork"
	local n=0 suffix tally
	[ "$(ls out | wc -l)" -eq 3 ] || fail "not three tallies: $(ls out | tr '\n' ' ')"
	for suffix in "" .child .grandchild; do
		tally=$(generation $n)
		[ -e "$tally" ] || fail "no tally of generation $n"
		compare "ledger$suffix" "$tally"
		[ -z "$suffix" ] || is "$(dump --header "$tally")" header.inherited_frees \
			"$(section "ledger$suffix" notes | value inherited)"
		is "$(dump --header "$tally")" header.unknown_frees 0
		n=$((n + 1))
	done
	[ "$(dump --header "$(generation 1)" | value header.parent_pid)" = \
		"$(dump --header "$(generation 0)" | value header.pid)" ] || fail "the child's parent is not the parent"
}
test_fork_storm() {
	expect 0 "$bin/fork_storm"
	local children parent
	children=$(section ledger notes | value children)
	[ "$(ls out | wc -l)" -eq $((children + 1)) ] || fail "$(ls out | wc -l) tallies for $children children"
	parent=$(generation 0)
	[ -e "$parent" ] || fail "no tally of the parent"
	# handlers run in child and parent: two of three calls are the parent's
	compare ledger "$parent"
	mkdir parent
	mv "$parent" parent
	dump --through victim_child out/*.tally >seen
	is "$(cat seen)" allocs $((children * 10))
	is "$(cat seen)" live_count $((children * 5))
	dump --through victim_handler out/*.tally >seen
	is "$(cat seen)" allocs "$children"
}
spawned() {
	expect 0 "$bin/spawn" "$1" "$bin/plain"
	compare ledger.parent "$(tally_of spawn)"
	local files=(out/heaptally.plain.*.tally) f
	[ ${#files[@]} -eq 3 ] || fail "${#files[@]} tallies of the children"
	for f in "${files[@]}"; do
		# the ledger is the last child's, and where realloc moves differs from one to the next
		compare ledger "$f" allocs alloc_bytes frees freed_bytes reallocs realloc_to_bytes live_bytes
	done
}
test_vfork_exec() { spawned vfork; }
test_posix_spawn() { spawned spawn; }
test_exec_chain() {
	expect 0 "$bin/exec_chain" 5
	local n=5 names base
	base=out/$(ls out | grep -v -- '-[0-9].tally' | sed 's/\.tally$//')
	for names in "" -2 -3 -4 -5 -6; do
		[ -e "$base$names.tally" ] || fail "no $base$names.tally in: $(ls out | tr '\n' ' ')"
		compare ledger.$n "$base$names.tally"
		n=$((n - 1))
	done
}
for how in return:3 exit:3 _exit:3 quick_exit:3 abort:134 kill:137 term:143 fault:139 thread:3 pthread_exit:0; do
	eval "test_ending_${how%:*}() {
		ulimit -c 0
		expect ${how#*:} '$bin/ending' ${how%:*} 
		compare ledger \"\$(tally_of ending)\"
	}"
done
test_signals() {
	below=$bin/bump.so
	expect 0 "$bin/signals"
	local tally seen events own
	tally=$(tally_of signals)
	# what the interrupted threads did is complete; of the handlers' events those that came too close are counted
	# shellcheck disable=SC2086
	same "$(section ledger victim_work)" "$(dump --through victim_work --not victim_handler "$tally")" victim_work $exact
	seen=$(dump --through 'victim_*' "$tally")
	events=$(($(value allocs <<<"$seen") + $(value frees <<<"$seen") + $(value reallocs <<<"$seen") +
		$(value header.dropped.reentered <<<"$seen") + $(value header.unknown_frees <<<"$seen")))
	seen=$(section ledger all)
	own=$(($(value allocs <<<"$seen") + $(value frees <<<"$seen") + $(value reallocs <<<"$seen")))
	[ $events -eq $own ] || fail "$events events recorded or dropped, $own made"
	[ "$(dump --header "$tally" | value header.dropped)" = \
		"$(dump --header "$tally" | value header.dropped.reentered)" ] || fail "events dropped for other reasons"
	is "$(dump --header "$tally")" header.unknown_frees 0
}
test_longjmp() { simple longjmp; }
test_sliding() { simple sliding; }
test_interrupted() { simple interrupted; }
test_jit() { simple jit; }
test_exceptions() { simple exceptions; }
test_dlopen() {
	expect 0 "$bin/dlopen" "$bin/module_one.so" "$bin/module_two.so"
	[ "$(section ledger notes | value same_address)" -gt 0 ] || skip "the loader never used the address again"
	compare ledger "$(tally_of dlopen)"
}
# The loader must see the host as the caller, or it searches along another's run path.
test_run_path() { simple run_path module_one.so; }
deep() {
	ulimit -s unlimited
	simple deep "$1"
	dump --through victim_bottom --raw-stacks "$(tally_of deep)" >raw
	dump --through victim_bottom --stacks "$(tally_of deep)" >names
	[ "$(wc -l <raw)" -eq 1 ] || fail "$(wc -l <raw) stacks instead of one"
}
test_deep_250() {
	deep 250
	[ "$(wc -w <raw)" -eq 250 ] || fail "$(wc -w <raw) frames instead of 250"
	read -r -a name <names
	[ ${#name[@]} -eq 250 ] || fail "${#name[@]} names instead of 250"
	[ "${name[0]} ${name[249]}" = "victim_bottom _start" ] || fail "from ${name[0]} to ${name[249]}"
	local i
	for ((i = 2; i < 245; i++)); do
		case "${name[i - 1]} ${name[i]}" in
		"victim_even victim_odd" | "victim_odd victim_even") ;;
		*) fail "frame $i is ${name[i]} after ${name[i - 1]}" ;;
		esac
	done
	is "$(dump --header "$(tally_of deep)")" header.deep_stacks 0
	is "$(dump --header "$(tally_of deep)")" header.cut_stacks 0
}
test_deep_100k() {
	deep 100000
	local depth
	depth=$(dump --header "$(tally_of deep)" | value header.stack_depth)
	[ "$depth" -ge 256 ] || fail "stacks are cut at $depth frames"
	grep -q '\[truncated\]$' raw || fail "the stack does not say that it was cut"
	[ "$(wc -w <names)" -eq $((depth + 1)) ] || fail "$(($(wc -w <names) - 1)) frames instead of $depth"
	[ "$(dump --header "$(tally_of deep)" | value header.deep_stacks)" -ge 1 ] || fail "no deep stack counted"
}
test_depth_option() {
	export HEAPTALLY_DEPTH=20
	simple deep 200
	dump --through victim_bottom --raw-stacks "$(tally_of deep)" | sed 's/ \[truncated\]$//' >raw
	[ "$(wc -w <raw)" -eq 20 ] || fail "$(wc -w <raw) frames instead of 20"
}
# Return addresses against glibc's backtrace at the same place: all but the innermost, which is another call.
stacks() {
	expect 0 "$bin/stacks-$1"
	[ "$(wc -l <ledger)" -ge 13 ] || fail "the ledger has $(wc -l <ledger) stacks"
	local tally function frames bad=0
	tally=$(tally_of "stacks-$1")
	while read -r _ function frames; do
		dump --through "$function" --raw-stacks "$tally" >raw
		# outermost frames equal; the innermost one is in the same function, or in one called from it by a jump
		awk -v want="$frames" '
			BEGIN { n = split(want, w) }
			{
				split($0, s)
				for (extra = 0; extra <= 1; extra++) {
					if (NF != n + extra)
						continue
					equal = 1
					for (i = 2; i <= n; i++)
						equal = equal && s[i + extra] == w[i]
					found = found || equal
				}
			}
			END { exit !found }' raw || {
			echo "$function: backtrace has $frames"
			sed "s/^/$function: tally has /" raw
			bad=$((bad + 1))
		} >>details
	done <ledger
	[ $bad -eq 0 ] || fail "$bad of $(wc -l <ledger) stacks differ from backtrace's
$(cat details)"
	is "$(dump --header "$tally")" header.cut_stacks 0
}
for flags in O2 O0 Os O3 fp nopie; do
	eval "test_stacks_$flags() { stacks $flags; }"
done
test_ucontext() { simple ucontext; }

# Worlds that change under the shim. The host's exit code is 7, its ledger exact.
plain() {
	expect 7 "$bin/plain" "$@"
	compare ledger "$(tally_of plain)"
}
test_plain() { plain; }
test_closed_fds() {
	plain closefds
	[ "$(cat daemon.log)" = intact ] || fail "the host's own file was written to"
}
test_chdir() {
	mkdir elsewhere
	plain chdir elsewhere
	[ -z "$(ls elsewhere)" ] || fail "files in the new directory: $(ls elsewhere)"
}
test_chroot() {
	[ "$(id -u)" -eq 0 ] || skip "chroot needs root"
	mkdir empty
	plain chroot empty
	[ -z "$(ls empty)" ] || fail "files in the new root: $(ls empty)"
}
# A relative output directory is meant from where the program started.
test_relative_out() {
	mkdir elsewhere out
	env HEAPTALLY_OUT=out HEAPTALLY_MIN_SIZE=0 LD_PRELOAD="$shim" "$bin/plain" fork "$PWD/elsewhere"
	[ $? -eq 7 ] || fail "the host failed"
	[ "$(ls out | wc -l)" -eq 2 ] || fail "$(ls out | wc -l) tallies in out instead of 2"
	[ -z "$(ls elsewhere)" ] || fail "files elsewhere: $(ls elsewhere)"
}
test_default_out() {
	env HEAPTALLY_MIN_SIZE=0 LD_PRELOAD="$shim" "$bin/plain"
	[ $? -eq 7 ] || fail "the host failed"
	ls heaptally.plain.*.tally >/dev/null 2>&1 || fail "no tally in the current directory"
}
# Where a limit forbids the tally to grow, the host must not notice. What was not recorded is counted.
unharmed() {
	expect 7 "$@"
	local f
	for f in out/*.tally; do
		[ ! -e "$f" ] || dump --header "$f" >/dev/null
	done
}
test_rlimit_fsize() { unharmed "$bin/plain" fsize; }
test_rlimit_nofile() { plain nofile; }
test_rlimit_as() { unharmed "$bin/plain" as; }
limited() {
	mkdir out
	(
		ulimit "$1" "$2" || exit 77
		env -u VICTIM_LEDGER HEAPTALLY_OUT="$PWD/out" HEAPTALLY_MIN_SIZE=0 LD_PRELOAD="$shim" "$bin/plain" 2>&1
	)
	case $? in
	7) ;;
	77) skip "ulimit $1 $2 is refused" ;;
	*) fail "exit code $? under ulimit $1 $2" ;;
	esac
	for f in out/*.tally; do
		[ ! -e "$f" ] || dump --header "$f" >/dev/null
	done
}
test_start_fsize_0() { limited -f 0; }
test_start_fsize_8() { limited -f 8; }
test_start_fsize_200() { limited -f 200; }
test_start_as_20M() { limited -v 20000; }
test_start_as_60M() { limited -v 60000; }
test_start_as_1G() { limited -v 1000000; }
no_out() {
	env HEAPTALLY_OUT="$1" HEAPTALLY_MIN_SIZE=0 VICTIM_LEDGER="$PWD/ledger" LD_PRELOAD="$shim" "$bin/plain" >stdout 2>stderr
	[ $? -eq 7 ] || fail "the host failed"
	[ ! -s stdout ] || fail "on stdout: $(head -n 1 stdout)"
	[ "$(wc -l <stderr)" -le 1 ] || fail "$(wc -l <stderr) lines on stderr"
}
test_out_missing() {
	no_out "$PWD/none/such"
	[ ! -e none ] || [ -n "$(ls none/such 2>/dev/null)" ] || fail "a directory and nothing in it"
}
test_out_is_a_file() {
	echo mine >file
	no_out "$PWD/file"
	[ "$(cat file)" = mine ] || fail "the file was touched"
}
test_out_unwritable() {
	no_out /proc/self
}
full() {
	[ "$(id -u)" -eq 0 ] || skip "a small file system needs root"
	mkdir tiny
	mount -t tmpfs -o "size=$1" none tiny || skip "no tmpfs"
	trap 'umount tiny' EXIT
	no_out "$PWD/tiny"
	for f in tiny/*.tally; do
		[ ! -e "$f" ] || "$bin/dump" --header "$f" >/dev/null || fail "the tally on the full disk cannot be read"
	done
}
test_out_full_8k() { full 8k; }
test_out_full_64k() { full 64k; }
test_out_full_1M() { full 1M; }
test_out_full_4M() { full 4M; }
test_static_program() {
	expect 7 "$bin/plain-static"
	[ -z "$(ls out)" ] || fail "a tally of a static program: $(ls out)"
}
test_setuid_program() {
	[ "$(id -u)" -eq 0 ] || skip "needs root"
	id nobody >/dev/null 2>&1 || skip "no user nobody"
	cp "$bin/plain" setuid
	chown nobody setuid
	chmod 4755 setuid
	traced env -u VICTIM_LEDGER ./setuid
	[ $? -eq 7 ] || fail "the program failed"
	[ -z "$(ls out | grep setuid)" ] || fail "a setuid program was recorded"
}
test_min_size() {
	export HEAPTALLY_OUT=$PWD LD_PRELOAD=$shim
	"$bin/zero"
	HEAPTALLY_MIN_SIZE=10000000000 "$bin/family"
	unset LD_PRELOAD
	[ -z "$(ls heaptally.zero.* heaptally.family.* 2>/dev/null)" ] || fail "small tallies are kept: $(ls)"
}
test_only() {
	export HEAPTALLY_ONLY='fam*'
	expect 0 "$bin/zero"
	expect 0 "$bin/family"
	[ "$(ls out | sed 's/\.[0-9]*\.tally//')" = heaptally.family ] || fail "kept: $(ls out | tr '\n' ' ')"
}
# One call in a thousand is timed in a process that is not recorded too: a long one must not ask for what is not there.
test_only_others() {
	export HEAPTALLY_ONLY='fam*'
	expect 0 "$bin/long_calls"
	[ -z "$(ls out)" ] || fail "kept: $(ls out | tr '\n' ' ')"
}
# Totals of a running process never go back.
test_watch() {
	mkdir out
	env HEAPTALLY_OUT="$PWD/out" HEAPTALLY_MIN_SIZE=0 LD_PRELOAD="$shim" "$bin/threads_in_turn" &
	local host=$! last=0 now polls=0 f
	while kill -0 $host 2>/dev/null; do
		f=(out/*.tally)
		if [ -e "${f[0]}" ]; then
			now=$("$bin/dump" --header "${f[0]}" 2>watch-error | value total.allocs)
			if [ "$now" = absent ]; then
				# only just made: there is no header yet
				[ $last -eq 0 ] || fail "became unreadable: $(cat watch-error)"
			else
				[ "$now" -ge $last ] || fail "allocs went from $last back to $now"
				last=$now
				polls=$((polls + 1))
			fi
		fi
		sleep 0.05
	done
	wait $host || fail "the host failed"
	[ $polls -ge 3 ] || fail "only $polls polls"
}
truth() {
	VICTIM_LEDGER=$PWD/ledger "$bin/truth-counting" || fail "the counting build failed"
	rm -f out/*
	mv ledger counted
	expect 0 "$bin/$1"
	# formulas beside the counting: 1000 circles of 104 and 2000 squares of 40 bytes; strings of 1 to 999
	is "$(section counted '*truth_boxed_objects')" alloc_bytes $((1000 * 104 + 2000 * 40))
	is "$(section counted '*truth_strings')" alloc_bytes $((999 * 1000 / 2))
	compare counted "$(tally_of "$1")" allocs alloc_bytes frees freed_bytes reallocs realloc_to_bytes live_count
}
test_rust_truth() { truth truth; }
test_rust_truth_counting() { truth truth-counting; }
test_rust_truth_v0() { truth truth-v0; }

# --- the command ----------------------------------------------------------------------------------------------------

export VICTIM_LEDGER=$PWD/ledger
run() { "$heaptally" run -o out --min-size=0 "$@" >stdout 2>stderr; }
test_run() {
	mkdir out
	run -- "$bin/plain"
	local code=$?
	[ $code -eq 7 ] || fail "exit code $code instead of the program's 7"
	compare ledger "$(tally_of plain)"
	is "$(dump --header "$(tally_of plain)")" header.state 3
	# names are in the file: another machine would show the same
	cp "$bin/plain" gone
	run -- ./gone
	rm gone
	compare ledger "$(tally_of gone)"
}
# Flags win over the environment, but what no flag says stays as the environment has it.
test_run_environment() {
	mkdir out other
	HEAPTALLY_OUT=$PWD/out HEAPTALLY_MIN_SIZE=0 "$heaptally" run -- "$bin/zero" >stdout 2>stderr
	compare ledger "$(tally_of zero)"
	HEAPTALLY_OUT=$PWD/other HEAPTALLY_MIN_SIZE=1000000000 run -- "$bin/plain"
	compare ledger "$(tally_of plain)"
	[ -z "$(ls other)" ] || fail "-o did not win over HEAPTALLY_OUT"
}
test_run_signal() {
	ulimit -c 0
	mkdir out
	run -- "$bin/ending" kill
	local code=$?
	[ $code -eq 137 ] || fail "exit code $code instead of 137"
	compare ledger "$(tally_of ending)"
}
# Children and what they become are recorded and finished too.
test_run_children() {
	mkdir out
	run -- sh -c "'$bin/fork' && '$bin/exec_chain' 2" || fail "exit code $?"
	local f n=0
	for f in out/heaptally.fork.*.tally out/heaptally.exec_chain.*.tally; do
		# finished; exec is no exit
		[ $(($(dump --header "$f" | value header.state) & 2)) -ne 0 ] || fail "$f is not finished"
		n=$((n + 1))
	done
	[ $n -eq 6 ] || fail "$n tallies instead of 6: $(ls out | tr '\n' ' ')"
}
test_run_no_such_program() {
	"$heaptally" run -- ./none >stdout 2>stderr
	local code=$?
	[ $code -ne 0 ] || fail "exit code 0"
	[ "$(wc -l <stderr)" -eq 1 ] || fail "$(wc -l <stderr) lines instead of one sentence"
	[ -z "$(ls ./*.tally 2>/dev/null)" ] || fail "a tally of nothing"
}
# Whole, cut at every 16th of its length, and with noise in it: a report or one sentence and exit code 2.
test_damaged() {
	expect 0 "$bin/chains"
	local tally size i code
	tally=$(tally_of chains)
	size=$(stat -c %s "$tally")
	for i in $(seq 0 15); do
		head -c $((size * i / 16)) "$tally" >cut.tally
		timeout 10 "$heaptally" report cut.tally >stdout 2>stderr
		code=$?
		[ $code -eq 0 ] || [ $code -eq 2 ] || fail "cut to $i/16: exit code $code"
		[ $code -eq 0 ] || [ "$(wc -l <stderr)" -eq 1 ] || fail "cut to $i/16: $(wc -l <stderr) lines on stderr"
	done
	for i in $(seq 1 20); do
		cp "$tally" noisy.tally
		printf '\377\177\377\377' | dd of=noisy.tally bs=1 seek=$((i * 211 % (size < 16384 ? size : 16384))) conv=notrunc 2>/dev/null
		timeout 10 "$heaptally" report noisy.tally >stdout 2>stderr
		code=$?
		[ $code -eq 0 ] || [ $code -eq 2 ] || fail "noise $i: exit code $code"
	done
	echo "not a tally" >foreign.tally
	"$heaptally" report foreign.tally >stdout 2>stderr
	[ $? -eq 2 ] && [ "$(wc -l <stderr)" -eq 1 ] || fail "a foreign file is not told apart"
}

# --- without the shim -----------------------------------------------------------------------------------------------------

# Each victim's own checks hold, and its ledger adds up.
native() {
	local v bad=0 n=0
	check() {
		local name=$1 want=$2 code
		shift 2
		n=$((n + 1))
		rm -f ledger*
		VICTIM_LEDGER=$PWD/ledger timeout $seconds "$@" 2>stderr
		code=$?
		if [ $code -ne "$want" ]; then
			echo "FAIL $name: exit code $code instead of $want: $(tail -n 1 stderr)"
			bad=$((bad + 1))
			return
		fi
		local l wrong=0
		for l in ledger*; do
			[ -e "$l" ] || continue
			awk -v name="$name" '
				function close_section() {
					if (!("allocs" in k) || section == "notes")
						return
					bytes = k["alloc_bytes"] + k["realloc_to_bytes"]
					bytes -= k["realloc_from_bytes"] + k["freed_bytes"]
					if (k["allocs"] - k["frees"] != k["live_count"] || bytes != k["live_bytes"]) {
						print "FAIL " name ": section " section " does not add up"
						wrong = 1
					}
					if (section != "all")
						sum += k["allocs"]
					else
						all = k["allocs"]
				}
				/^section / { close_section(); delete k; section = $2; next }
				{ k[$1] = $2 }
				END {
					close_section()
					if (all != "" && sum != all) {
						print "FAIL " name ": sections do not add up to all"
						wrong = 1
					}
					exit wrong
				}' "$l" || wrong=1
		done
		[ "$wrong" -eq 0 ] && echo "ok $name"
		bad=$((bad + wrong))
	}
	cd "$(mktemp -d)" || exit 1
	ulimit -c 0
	mkdir empty
	for v in family zero failing errno usable c23 alignment temporary chains peak maps threads threads_in_turn \
		tls_key early fork fork_storm longjmp sliding interrupted jit ucontext new new_failing tls_cxx exceptions; do
		check $v 0 "$bin/$v"
	done
	check failing-senseless 0 "$bin/failing" senseless
	for v in O2 O0 Os O3 fp nopie; do
		check stacks-$v 0 "$bin/stacks-$v"
	done
	check exec_chain 0 "$bin/exec_chain" 5
	check vfork 0 "$bin/spawn" vfork "$bin/plain"
	check spawn 0 "$bin/spawn" spawn "$bin/plain"
	check deep-250 0 "$bin/deep" 250
	check deep-100k 0 bash -c "ulimit -s unlimited; '$bin/deep' 100000"
	check dlopen 0 "$bin/dlopen" "$bin/module_one.so" "$bin/module_two.so"
	check signals 0 env LD_PRELOAD="$bin/bump.so" "$bin/signals"
	check early_lib 7 env LD_PRELOAD="$bin/early_lib.so" "$bin/plain"
	for v in "" closefds "chdir empty" "chroot empty" fsize nofile as "fork empty"; do
		# shellcheck disable=SC2086
		check "plain $v" 7 "$bin/plain" $v
	done
	for v in return:3 exit:3 _exit:3 quick_exit:3 abort:134 kill:137 term:143 fault:139 thread:3 pthread_exit:0; do
		check "ending ${v%:*}" "${v#*:}" "$bin/ending" "${v%:*}"
	done
	check plain-static 7 "$bin/plain-static"
	rm -rf "$PWD"
	echo "$((n - bad)) passed, $bad failed"
	return $((bad > 0))
}

case ${1-} in
--one)
	"test_$2"
	exit
	;;
--native)
	native
	exit
	;;
esac

need "$shim" "$bin/dump" "$bin/plain"
run_all "$0" $seconds "$@"
