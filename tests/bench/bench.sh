#!/bin/bash
# SPDX-License-Identifier: MIT
# What recording costs: the rspack example as it is, under heaptally and under its peers, in turns; then one malloc/free
# pair by itself. Prints tables, judges nothing.
#   ROUNDS=9  VARIANT=full|small  BINDING=debug|release|both
#   TOOLS="sampled_shim ..."  only these beside the baseline: more rounds in the same time, for what costs little
# Needs build/heaptally, build/libheaptally.so and what the Makefile builds from this folder.
set -u
. "$(dirname "$0")/lib.sh"
rounds=${ROUNDS:-9} variant=${VARIANT:-full}
bindings=${BINDING:-debug}
sample=524288
unset MALLOC_CONF
unset DISPLAY WAYLAND_DISPLAY # heaptrack would open a window, were its viewer installed

a_number ROUNDS "$rounds"
[[ $variant =~ ^(full|small)$ ]] || die "VARIANT is '$variant', but must be 'full' or 'small'"
[[ $bindings =~ ^(debug|release|both)$ ]] || die "BINDING is '$bindings', but must be 'debug', 'release' or 'both'"
[ "$bindings" = both ] && bindings="debug release"
need bench "$shim" "$build/heaptally" "$build"/bench/{measure,micro,empty_hook.so}
need_node

# --- the tools: each runs the command behind its name, profile files go to $profile ---------------------------------

profile=$scratch/profile
baseline() { measure "$@"; }
baseline_again() { measure "$@"; } # how far apart two rows of the same are
heaptally_shim() { measure env LD_PRELOAD="$shim" HEAPTALLY_OUT="$profile" "$@"; }
heaptally_run() { measure "$build/heaptally" run -o "$profile" -- "$@"; }
sampled_shim() { measure env LD_PRELOAD="$shim" HEAPTALLY_OUT="$profile" HEAPTALLY_SAMPLE=$sample "$@"; }
sampled_run() { measure "$build/heaptally" run --sample=$sample -o "$profile" -- "$@"; }
heaptrack_raw() { measure heaptrack --raw -o "$profile/heaptrack" "$@"; }
heaptrack_whole() { measure heaptrack $record_only -o "$profile/heaptrack" "$@"; }
jemalloc() {
	measure env LD_PRELOAD="$libjemalloc" \
		MALLOC_CONF="prof:true,lg_prof_sample:19,prof_final:true,prof_prefix:$profile/jemalloc" "$@"
}
measure() { "$build/bench/measure" "$scratch/measured" "$@"; }

tools=(baseline baseline_again heaptally_shim heaptally_run sampled_shim sampled_run)
record_only=
notes=()
if command -v heaptrack >/dev/null; then
	help=$(heaptrack --help 2>&1)
	# since 1.5: do not open the viewer; 1.4 writes the same file without being asked
	[[ $help == *--record-only* ]] && record_only=--record-only
	[[ $help == *--raw* ]] && tools+=(heaptrack_raw)
	tools+=(heaptrack_whole)
	notes+=("peer: $(heaptrack --version)")
else
	notes+=("heaptrack is not installed, its rows are left out (Debian: apt-get install heaptrack)")
fi
libjemalloc=$(PATH=$PATH:/sbin:/usr/sbin ldconfig -p | sed -n 's/.*libjemalloc\.so\.2 .* => //p' | head -n 1)
if [ -z "$libjemalloc" ]; then
	notes+=("jemalloc is not installed, its row is left out (Debian: apt-get install libjemalloc2)")
elif ! env LD_PRELOAD="$libjemalloc" MALLOC_CONF=abort_conf:true,prof:true true 2>/dev/null; then
	notes+=("this jemalloc was built without profiling, its row is left out")
else
	tools+=(jemalloc)
	notes+=("peer: jemalloc, one sample in 512 KiB")
fi

if [ -n "${TOOLS-}" ]; then
	for tool in $TOOLS; do
		[[ " ${tools[*]} " == *" $tool "* ]] || die "TOOLS has '$tool', but can have: ${tools[*]:2}"
	done
	# shellcheck disable=SC2206
	tools=(baseline baseline_again $TOOLS)
fi

# --- rounds ---------------------------------------------------------------------------------------------------------

declare -A failed
arguments=("$example/build.js" --out "$scratch/dist")
[ "$variant" = small ] && arguments+=(--small)

# run_once ROUND TOOL: adds a line to $scratch/results, or a reason to failed[TOOL].
run_once() {
	local round=$1 tool=$2 code bytes
	progress "round $round of $rounds: $tool"
	rm -rf "$profile" "$scratch/dist" "$scratch/measured"
	mkdir "$profile"
	(cd "$profile" && "$tool" "$node" "${arguments[@]}") >"$scratch/said" 2>&1 </dev/null
	code=$?
	if [ $code -ne 0 ]; then
		failed[$tool]="exit code $code; it said: $(grep -v '^$' "$scratch/said" | tail -n 1 | cut -c 1-200)"
		return 1
	fi
	bytes=$(find "$profile" -type f -printf '%s\n' | awk '{ sum += $1 } END { printf "%.0f", sum }')
	if [[ $tool != baseline* ]] && [ "$bytes" -eq 0 ]; then
		failed[$tool]="it left no profile"
		return 1
	fi
	echo "$round $tool $(cat "$scratch/measured") $bytes" >>"$scratch/results"
}

must() { run_once "$@" || die "the build fails without any tool: ${failed[baseline]}"; }

# all_rounds: of the binding that HEAPTALLY_BINDING says, into $scratch/results.
all_rounds() {
	local round i tool
	failed=()
	must 0 baseline # not counted: fills the caches, and its output is the one to compare with
	rm -rf "$scratch/dist.baseline"
	mv "$scratch/dist" "$scratch/dist.baseline"
	build_line=$(head -n 1 "$scratch/said")
	: >"$scratch/results"
	same="not compared, as it failed or was left out"
	for ((round = 1; round <= rounds; round++)); do
		for ((i = 0; i < ${#tools[@]}; i++)); do
			# everyone comes first once
			tool=${tools[(i + round - 1) % ${#tools[@]}]}
			[ -z "${failed[$tool]-}" ] || continue
			if [ "$tool" = baseline ]; then
				must "$round" baseline
				continue
			fi
			run_once "$round" "$tool"
			if [ "$tool" = heaptally_shim ] && [ "$round" -eq 1 ] && [ -z "${failed[$tool]-}" ]; then
				if diff -r "$scratch/dist.baseline" "$scratch/dist" >/dev/null; then
					same="identical to the baseline's"
				else
					same="DIFFERENT from the baseline's"
				fi
			fi
		done
	done
	progress
}

# --- tables ---------------------------------------------------------------------------------------------------------

table() {
	echo
	echo "work      rspack, $variant, $HEAPTALLY_BINDING binding: ${build_line%, *}"
	echo "rounds    $rounds, tools in turns, after one build to warm up"
	echo "output    heaptally's is $same"
	echo
	for tool in "${tools[@]}"; do
		echo "tool $tool ${failed[$tool]:+failed}"
	done >"$scratch/tools"
	awk '
		function title(tool) {
			if (tool == "baseline_again") return "baseline again"
			if (tool == "heaptally_shim") return "heaptally, recording"
			if (tool == "heaptally_run") return "heaptally run"
			if (tool == "sampled_shim") return "sampled, recording"
			if (tool == "sampled_run") return "run --sample"
			if (tool == "heaptrack_raw") return "heaptrack --raw"
			if (tool == "heaptrack_whole") return "heaptrack"
			if (tool == "jemalloc") return "jemalloc sampling"
			return tool
		}
		# median, least and greatest of column k, as themselves (scale) or against the same round of the baseline
		function spread(tool, k, scale, format,    n, i, j, v, a) {
			n = 0
			for (i = 1; i <= rounds; i++) {
				if (!((i, tool) in seen))
					continue
				v = value[i, tool, k] / (scale ? scale : value[i, "baseline", k])
				for (j = n++; j > 0 && a[j] > v; j--)
					a[j + 1] = a[j]
				a[j + 1] = v
			}
			v = n % 2 ? a[(n + 1) / 2] : (a[n / 2] + a[n / 2 + 1]) / 2
			return sprintf(format " " format "-" format, v, a[1], a[n])
		}
		$1 == "tool" { tools[++n_tools] = $2; failed[$2] = $3 != ""; next }
		{
			seen[$1, $2] = 1
			if ($1 > rounds)
				rounds = $1
			for (k = 3; k <= 6; k++)
				value[$1, $2, k] = $k
		}
		END {
			row = "%-20s %19s %19s %19s\n"
			printf row, "median, least-most", "wall s", "CPU s", "peak RSS MB"
			for (i = 1; i <= n_tools; i++) {
				t = tools[i]
				if (failed[t])
					printf row, title(t), "failed", "-", "-"
				else
					printf row, title(t), spread(t, 3, 1, "%.2f"), spread(t, 4, 1, "%.2f"), spread(t, 5, 1e6, "%.0f")
			}
			printf "\n" row, "against baseline", "wall", "CPU", "peak RSS"
			for (i = 2; i <= n_tools; i++) {
				t = tools[i]
				if (failed[t])
					printf row, title(t), "failed", "-", "-"
				else
					printf row, title(t), spread(t, 3, 0, "%.2f"), spread(t, 4, 0, "%.2f"), spread(t, 5, 0, "%.2f")
			}
			printf "\n%-20s %19s\n", "profile", "MB"
			for (i = 3; i <= n_tools; i++) {
				t = tools[i]
				printf "%-20s %19s\n", title(t), failed[t] ? "failed" : spread(t, 6, 1e6, "%.2f")
			}
		}' "$scratch/tools" "$scratch/results"
	for tool in "${tools[@]}"; do
		[ -z "${failed[$tool]-}" ] || echo "failed: $tool: ${failed[$tool]}"
	done
}

echo "machine   $(nproc) cores, $(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1)"
echo "system    $(uname -sr), $(getconf GNU_LIBC_VERSION), node $("$node" --version)"
for note in "${notes[@]}"; do
	case $note in
	peer:*) echo "peer     ${note#peer:}" ;;
	*) echo "note      $note" ;;
	esac
done
for HEAPTALLY_BINDING in $bindings; do
	export HEAPTALLY_BINDING
	all_rounds
	table
done
cat <<'EOF'

A ratio is the median of the rounds' ratios, each against the baseline of its
round. CPU is user + system of all processes; peak RSS is that of the biggest
process. "baseline again" is the same once more in each round: how far its ratios
are from 1 is noise. "heaptally, recording" is the preloaded shim alone;
"heaptally run" also names, compresses and sums up. "heaptrack --raw" records;
"heaptrack" interprets meanwhile. "sampled" takes one sample in 512 KiB, as
jemalloc does here. MB are 10^6 bytes.
EOF

# --- one pair -------------------------------------------------------------------------------------------------------

pair() {
	local label=$1
	shift
	# a working directory of its own, because a tally is left there
	(cd "$scratch" && env "$@" "$build/bench/micro" "$label") 2>/dev/null ||
		printf '%-18s  failed\n' "$label"
}
echo
printf '%-18s %7s %10s %10s %10s %10s\n' "ns per malloc/free" threads "depth 1" 8 32 128
progress "malloc/free pairs"
pair "nothing preloaded" PATH="$PATH"
progress
pair "empty hook" LD_PRELOAD="$build/bench/empty_hook.so"
pair "heaptally" LD_PRELOAD="$shim" HEAPTALLY_OUT="$scratch"
pair "heaptally sampled" LD_PRELOAD="$shim" HEAPTALLY_OUT="$scratch" HEAPTALLY_SAMPLE=$sample
echo
echo "Of one core, the least of three rounds; an empty hook is the floor for any tool"
echo "that is preloaded."
