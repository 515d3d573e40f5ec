# SPDX-License-Identifier: Apache-2.0
#
# The part of tests/run that takes long; read by it, with its functions build, unit_tests, python_tests.

long_tests() {
	title "Crash rounds and other long tests"
	local args=(--only-long --durations=10)
	[ "$peers" = yes ] || args+=(--no-peers)
	python_tests "long" build "${args[@]}"
}

# Sanitized programs are some three times slower; limits and deadlines of the tests stretch with them.
sanitized() { # LABEL DIRECTORY SANITIZERS PYTEST_ARGUMENTS...
	local label=$1 dir=$2 sanitizers=$3
	shift 3
	title "$label"
	if ! build "$dir" -Db_sanitize="$sanitizers" -Db_lundef=false -Dbuildtype=debug -Doptimization=1; then
		step_failed "$label: does not build"
		return
	fi
	# ThreadSanitizer of older compilers does not know all places where newer kernels put programs.
	if [ "$sanitizers" = thread ] && setarch "$(uname -m)" -R true 2>/dev/null; then
		runner=(setarch "$(uname -m)" -R)
	fi
	# Crash rounds have their own 200: here they show only what the sanitizers think of them.
	export KESFS_TEST_SLOWNESS=4 KESFS_TEST_SANITIZED=$sanitizers KESFS_TEST_CRASH_SECONDS=1
	unit_tests "$label: unit and contract tests" "$dir"
	[ $# -eq 0 ] || python_tests "$label: pytest" "$dir" --no-peers "$@"
	unset KESFS_TEST_SLOWNESS KESFS_TEST_SANITIZED KESFS_TEST_CRASH_SECONDS
	runner=()
}

fuzz() {
	title "Fuzzers"
	local dir=build-fuzz target name targets=() seconds=${KESFS_FUZZ_SECONDS:-60} each good=0
	if ! command -v clang >/dev/null; then
		left_out+=("fuzzers: no clang")
		return
	fi
	if ! CC=clang build "$dir" -Dfuzz=true -Db_sanitize=address,undefined -Db_lundef=false -Dbuildtype=debug -Doptimization=1; then
		step_failed "fuzzers: do not build"
		return
	fi
	mapfile -t targets < <(find "$dir/tests/fuzz" -maxdepth 1 -type f -executable -name 'fuzz*' | sort)
	if [ ${#targets[@]} = 0 ]; then
		left_out+=("fuzzers: none built")
		return
	fi
	each=$((seconds / ${#targets[@]}))
	[ $each -ge 3 ] || each=3
	for target in "${targets[@]}"; do
		name=${target##*/}
		mkdir -p "$work/corpus-$name" "tests/fuzz/corpus/${name#fuzz_}"
		if (cd "$work" && timeout -k 10 $((each * 4 + 60)) "$top/$target" -max_total_time=$each -timeout=20 -rss_limit_mb=1024 \
			-print_final_stats=0 "$work/corpus-$name" "$top/tests/fuzz/corpus/${name#fuzz_}") >"$work/$name.log" 2>&1; then
			good=$((good + 1))
			printf '  %s: %s\n' "$name" "$(grep -E '^(Done|#[0-9]+.*DONE)' "$work/$name.log" | tail -n 1)"
		else
			tail -n 60 "$work/$name.log"
			step_failed "fuzzer $name"
		fi
	done
	ran+=("fuzzers: $good passed, $((${#targets[@]} - good)) failed, $each s each")
	passed=$((passed + good))
}

long_tests
sanitized "AddressSanitizer and UBSan" build-asan address,undefined tests
sanitized "ThreadSanitizer" build-tsan thread tests
fuzz
