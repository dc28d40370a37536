#!/bin/sh
# SPDX-License-Identifier: MIT
# tools/fuzz.sh BUILD SECONDS NAME...: runs each fuzzer for that long, from the corpus beside its source where there is one
# (tests/fuzz/NAME_corpus/) and with its dictionary (tests/fuzz/NAME.dict). What is found new stays in BUILD. FUZZ_SEED, a number,
# repeats a run. The last line is "N passed, N failed".
set -u
build=$1
seconds=$2
shift 2
at_once=$(getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2)
passed=0
failed=0

run()
{
    corpus=$build/corpus/$(basename "$1")
    mkdir -p "$corpus"
    seeds=${1%_fuzz}_corpus
    [ -d "$seeds" ] || seeds=
    dictionary=${1%_fuzz}.dict
    [ -f "$dictionary" ] || dictionary=
    "$build/$1" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 \
        ${FUZZ_SEED:+-seed=$FUZZ_SEED} ${dictionary:+-dict=$dictionary} \
        -artifact_prefix="$build/" "$corpus" $seeds >"$build/$1.log" 2>&1 </dev/null
}

# As many at a time as there are processors.
while [ $# -gt 0 ]; do
    names=
    while [ $# -gt 0 ] && [ "$(set -- $names; echo $#)" -lt "$at_once" ]; do
        names="$names $1"
        shift
    done
    pids=
    for name in $names; do
        run "$name" &
        pids="$pids $!"
    done
    for name in $names; do
        pid=${pids# }
        pid=${pid%% *}
        pids=${pids# "$pid"}
        if wait "$pid"; then
            passed=$((passed + 1))
            runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$build/$name.log")
            printf 'ok      %-40s %s runs\n' "$name" "$runs"
        else
            failed=$((failed + 1))
            printf 'FAILED  %s\n' "$name"
            tail -n 60 "$build/$name.log"
        fi
    done
done
printf '%d passed, %d failed\n' "$passed" "$failed"
[ $failed -eq 0 ]
