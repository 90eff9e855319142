#!/bin/bash
# SPDX-License-Identifier: MIT
# Runs every suite, also when one fails, and closes with the sum of all.
set -u
cd "$(dirname "$0")/.." || exit 2
passed=0 failed=0 skipped=0
log=$(mktemp)
trap 'rm -f "$log"' EXIT

add() { passed=$((passed + $1)) failed=$((failed + $2)) skipped=$((skipped + $3)); }

# suite NAME COMMAND...: its last line says "N passed, M failed[, K skipped]", or Criterion's synthesis does.
suite() {
	local name=$1 code sum
	shift
	echo "== $name"
	"$@" >"$log" 2>&1 </dev/null
	code=$?
	sum=$(sed -n 's/.*Tested: [0-9]* | Passing: \([0-9]*\) | Failing: \([0-9]*\) | Crashing: \([0-9]*\).*/\1 passed, \2 failed, \3 crashed/p
		/^[0-9]* passed, [0-9]* failed/p' "$log" | tail -n 1)
	grep -E '^(ok|FAIL|skip|table) ' "$log" || [ $code -eq 0 ] || cat "$log"
	if [[ $sum =~ ^([0-9]+)\ passed,\ ([0-9]+)\ failed(,\ ([0-9]+)\ ([a-z]+))? ]]; then
		case ${BASH_REMATCH[5]-} in
		crashed) add "${BASH_REMATCH[1]}" $((BASH_REMATCH[2] + BASH_REMATCH[4])) 0 ;;
		*) add "${BASH_REMATCH[1]}" "${BASH_REMATCH[2]}" "${BASH_REMATCH[4]:-0}" ;;
		esac
		[ $code -eq 0 ] || [ "${BASH_REMATCH[2]}" -gt 0 ] || add 0 1 0
	else
		echo "FAIL $name: it did not run to its end"
		tail -n 5 "$log"
		add 0 1 0
	fi
	echo "   ${sum:-no sum}"
}

suite unit build/unit
suite fuzz tests/integration/fuzz.sh
for script in symbols man claims run judge tsan marks scale adopt debug_file stripped plugin truth rspack diff; do
	suite "$script" "tests/integration/$script.sh"
done
echo "$passed passed, $failed failed, $skipped skipped"
[ $failed -eq 0 ] && [ $passed -gt 0 ]
