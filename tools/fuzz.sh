#!/bin/sh
# SPDX-License-Identifier: MIT
# tools/fuzz.sh BUILD SECONDS NAME...: runs each fuzzer for that long, from the corpus beside its source where there is one
# (tests/fuzz/NAME_corpus/) and with its dictionary (tests/fuzz/NAME.dict). What is found new stays in BUILD. FUZZ_SEED, a number,
# repeats a run. The last line is "N passed, N failed".
set -u
build=$1
seconds=$2
shift 2
passed=0
failed=0
for name in "$@"; do
    corpus=$build/corpus/$(basename "$name")
    mkdir -p "$corpus"
    seeds=${name%_fuzz}_corpus
    [ -d "$seeds" ] || seeds=
    dictionary=${name%_fuzz}.dict
    [ -f "$dictionary" ] || dictionary=
    if "$build/$name" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 \
        ${FUZZ_SEED:+-seed=$FUZZ_SEED} ${dictionary:+-dict=$dictionary} \
        -artifact_prefix="$build/" "$corpus" $seeds >"$build/fuzz.log" 2>&1 </dev/null; then
        passed=$((passed + 1))
        runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$build/fuzz.log")
        printf 'ok      %-40s %s runs\n' "$name" "$runs"
    else
        failed=$((failed + 1))
        printf 'FAILED  %s\n' "$name"
        tail -n 60 "$build/fuzz.log"
    fi
done
printf '%d passed, %d failed\n' "$passed" "$failed"
[ $failed -eq 0 ]
