#!/bin/sh
# SPDX-License-Identifier: MIT
# tools/arm64.sh BUILD: the core built for arm64 and run under an emulator, on whatever machine this is. Every NEON routine has to
# give scalar's bits, and whole results have to hash to what this machine's own build makes of the same requests. BUILD holds
# this machine's result_hash. The last line is "N passed, N failed".
set -u
cd "$(dirname "$0")/.."
export LC_ALL=C
unset MAKEFLAGS MFLAGS # jobs are chosen here, not by a make that called
native=$1
arm64=build/arm64
triple=aarch64-linux-gnu
jobs=$(getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2)
passed=0
failed=0
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

# report NAME STATUS LOG: prints the log where it failed.
report()
{
    if [ "$2" -eq 0 ]; then
        passed=$((passed + 1))
        echo "ok      $1"
    else
        failed=$((failed + 1))
        echo "FAILED  $1"
        head -n 60 "$3" | sed 's/^/    /'
    fi
}

emulate()
{
    qemu-aarch64 -L "/usr/$triple" "$@"
}

# What the formats have of their own is compiled only: their tests need libraries for arm64.
formats=$(for source in server/formats/simd/*.c; do
    case $source in */dispatch.c) ;; *) echo "$arm64/${source%.c}.neon.o" ;; esac
done)
${MAKE:-make} -s -j"$jobs" CC=$triple-gcc AR=$triple-ar DEVELOPER=1 SANITIZE= BUILD=$arm64 $arm64/libconvolve.so \
    $arm64/tests/simd/check_simd $arm64/tests/simd/result_hash $formats >"$folder/all" 2>&1
status=$?
grep -vE '^  (CC|AR|LINK) ' "$folder/all" >"$folder/build"
report "builds for arm64 without a warning" $status "$folder/build"
if [ $status -eq 0 ]; then
    emulate $arm64/tests/simd/check_simd >"$folder/check" 2>&1 &
    emulate $arm64/tests/simd/result_hash >"$folder/hash.arm64" 2>&1
    status=$?
    cat "$folder/hash.arm64"
    report "every set of arm64 gives the same results" $status "$folder/hash.arm64"
    "$native/tests/simd/result_hash" >"$folder/hash" 2>&1
    report "every set of this machine gives the same results" $? "$folder/hash"
    # Lines are "method dtype set hash"; a CPU without vectors prints fewer. Transforms in double start from roots of unity in
    # long double, which is wider on arm64: now and then one is rounded otherwise.
    awk '$1 ~ /^(fft|overlap_add)$/ && $2 ~ /^(float64|complex128)$/ { next }
        NR == FNR { here[$1, $2, $3] = $4; next }
        ($1, $2, $3) in here { found++; if (here[$1, $2, $3] != $4) print "differs:", $0, "here:", here[$1, $2, $3] }
        END { if (found < 5) print "only", found + 0, "results to compare" }' "$folder/hash" "$folder/hash.arm64" >"$folder/differences"
    [ ! -s "$folder/differences" ]
    report "arm64 gives this machine's results" $? "$folder/differences"
    wait $!
    status=$?
    grep -q '^neon: ' "$folder/check" || status=1
    report "every routine of neon gives scalar's bits" $status "$folder/check"
fi
printf '%d passed, %d failed\n' "$passed" "$failed"
[ $failed -eq 0 ]
