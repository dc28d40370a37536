#!/bin/sh
# SPDX-License-Identifier: MIT
# tools/check.sh: what a reviewer should not have to look for. Format, who may include whom, headers that compile alone, and builds
# of everything by gcc and by clang without a warning. The last line is "N passed, N failed".
set -u
cd "$(dirname "$0")/.."
export LC_ALL=C
unset MAKEFLAGS MFLAGS # jobs are chosen here, not by a make that called
jobs=$(getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2)
passed=0
failed=0
log=$(mktemp)
trap 'rm -f "$log" "$log.all"' EXIT

# report NAME STATUS: prints what is in the log where it failed.
report()
{
    if [ "$2" -eq 0 ]; then
        passed=$((passed + 1))
        echo "ok      $1"
    else
        failed=$((failed + 1))
        echo "FAILED  $1"
        head -n 60 "$log" | sed 's/^/    /'
    fi
}

# expect_none NAME: the log must be empty.
expect_none()
{
    [ ! -s "$log" ]
    report "$1" $?
}

# includes PATTERN FILE...: the #include lines of the files that match.
includes()
{
    pattern=$1
    shift
    [ $# -eq 0 ] || grep -nE "^#include [<\"]$pattern" /dev/null "$@"
}

sources=$(find core server tests -name '*.[ch]' | sort)
headers=$(find core server -name '*.h' | sort)
core=$(find core -name '*.[ch]')
per_isa=$(find core/simd -name '*.c' ! -name dispatch.c)
formats=$(find server/formats -name '*.[ch]')
server_itself=$(find server -maxdepth 1 -name '*.[ch]')

clang-format --dry-run -Werror $sources >"$log" 2>&1
report "clang-format" $?

for file in $sources $(find core server -name '*.def') Makefile dev $(find tools tests -name '*.sh' -o -name '*.py'); do
    head -n 3 "$file" | grep -q 'SPDX-License-Identifier: MIT' || echo "$file"
done >"$log"
expect_none "every file names its licence"

# ---- Who includes whom -----------------------------------------------------------------------------------------------------
includes '\.\.?/' $sources >"$log"
expect_none "paths start at the top"
includes '(server|tests)/' $core >"$log"
expect_none "core includes nothing of server"
includes '"?(core/[a-z_]*\.h|core/simd/dispatch)' $per_isa >"$log"
expect_none "routines of an instruction set include nothing of core but core/simd"
includes 'server/' $formats | grep -vE '"server/(formats/|arena\.h|nearest\.h)' >"$log"
expect_none "formats include nothing of server but formats, the arena and the nearest name"
includes 'core/' $(find server -name '*.[ch]') | grep -vE '"core/convolve\.h"' >"$log"
expect_none "server includes nothing of core but its public header"
includes 'server/endpoints/' $server_itself $formats >"$log"
expect_none "nothing includes an endpoint"
includes 'microhttpd\.h' $sources | grep -vE '^(server/listener[a-z_]*\.[ch]|tests/bench/)' >"$log"
expect_none "only the listener includes libmicrohttpd"
includes 'cjson/' $core $(find server -name '*.[ch]') | grep -v '^server/formats/json_read\.c:' >"$log"
expect_none "only json_read.c and tests include cJSON"
includes 'gnutls/' $sources | grep -vE '^server/(tls|listener[a-z_]*)\.c:' >"$log"
expect_none "only tls.c and the listener include GnuTLS"
includes '(cmocka|curl/)' $core $(find server -name '*.[ch]') >"$log"
expect_none "only tests include cmocka and libcurl"
grep -nE '\b(setlocale|strtod|atof|atoi|sprintf|strcat|gets|alloca)\(' $core $(find server -name '*.[ch]') /dev/null |
    grep -vE '^server/formats/number_read\.c:.*strtod' >"$log"
expect_none "no function that obeys the locale or knows no bounds"

# ---- Headers alone, and whole builds -----------------------------------------------------------------------------------------
for compiler in gcc clang; do
    : >"$log"
    status=0
    for header in $headers; do
        printf '#include "%s"\n' "$header" |
            $compiler -std=gnu17 -D_GNU_SOURCE -I. -Wall -Wextra -Werror -Wno-psabi -DISA=scalar -DISA_scalar=1 -DHAVE_ISA_scalar=1 \
                -fsyntax-only -x c - >>"$log" 2>&1 || status=1
    done
    report "each header compiles alone with $compiler" $status
done
for compiler in gcc clang; do
    ${MAKE:-make} -s -j"$jobs" CC=$compiler DEVELOPER=1 SANITIZE= BUILD="build/check-$compiler" all tests >"$log.all" 2>&1
    status=$?
    grep -vE '^  (CC|AR|LINK) ' "$log.all" >"$log"
    report "$compiler builds all of it without a warning" $status
done
printf '%d passed, %d failed\n' "$passed" "$failed"
[ $failed -eq 0 ]
