#!/bin/sh
# SPDX-License-Identifier: MIT
# tools/check.sh: what a reviewer should not have to look for. Format, who may include whom, the files under config/, headers that
# compile alone, builds of everything by gcc and by clang without a warning, and the library as installed. The last line is "N passed, N failed".
set -u
cd "$(dirname "$0")/.."
export LC_ALL=C
unset MAKEFLAGS MFLAGS # jobs are chosen here, not by a make that called
jobs=$(getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2)
passed=0
failed=0
log=$(mktemp)
trap 'rm -rf "$log" "$log.all" "$log.found" "$log.installed"' EXIT

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

sources=$(find core server tests examples -name '*.[ch]' | sort)
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
includes 'gnutls/' $sources | grep -vE '^(server/(tls|listener[a-z_]*)|tests/http/tls)\.c:' >"$log"
expect_none "only tls.c, the listener and the test's client include GnuTLS"
includes 'zlib\.h' $core $(find server -name '*.[ch]') | grep -v '^server/formats/gzip\.c:' >"$log"
expect_none "only gzip.c and tests include zlib"
includes 'png\.h' $core $(find server -name '*.[ch]') | grep -v '^server/formats/image_png\.c:' >"$log"
expect_none "only image_png.c and tests include libpng"
includes '(jpeglib|jerror)\.h' $core $(find server -name '*.[ch]') | grep -vE '^server/formats/image_jpeg[a-z_]*\.[ch]:' >"$log"
expect_none "only image_jpeg.c, its memory and tests include libjpeg"
includes 'seccomp\.h' $sources | grep -v '^server/confine\.c:' >"$log"
expect_none "only confine.c includes libseccomp"
includes '(cmocka|curl/)' $core $(find server -name '*.[ch]') >"$log"
expect_none "only tests include cmocka and libcurl"
grep -nE '\b(setlocale|strtod|atof|atoi|sprintf|strcat|gets|alloca)\(' $core $(find server -name '*.[ch]') /dev/null |
    grep -vE '^server/formats/number_read\.c:.*strtod' >"$log"
expect_none "no function that obeys the locale or knows no bounds"

. tools/check_config.sh

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
# What gcc warns of hangs on how far it optimises, and .ci/run tests what it builds here. What clang warns of does not, and the
# fuzzers are all of the same code optimised by clang.
for compiler in gcc clang; do
    optimize=
    [ $compiler = gcc ] || optimize=OPTIMIZE=-O0
    ${MAKE:-make} -s -j"$jobs" CC=$compiler DEVELOPER=1 SANITIZE= $optimize BUILD="build/check-$compiler" all tests >"$log.all" 2>&1
    status=$?
    grep -vE '^  (CC|AR|LINK) ' "$log.all" >"$log"
    report "$compiler builds all of it without a warning" $status
done

# ---- The library as installed -------------------------------------------------------------------------------------------------
# In a folder of its own, under a prefix that no compiler looks at by itself.
built=build/check-gcc
installed=$log.installed
${MAKE:-make} -s CC=gcc DEVELOPER=1 SANITIZE= BUILD=$built PREFIX=/opt/convolve DESTDIR="$installed" install >"$log" 2>&1
report "it installs" $?
library=$installed/opt/convolve/lib
export PKG_CONFIG_LIBDIR="$library/pkgconfig" PKG_CONFIG_SYSROOT_DIR="$installed"
run_example()
{
    gcc -Wall -Wextra -Werror examples/blur.c -o "$installed/blur" "$@" >"$log" 2>&1 &&
        LD_LIBRARY_PATH=$library "$installed/blur" >"$log" 2>&1 && [ "$(cat "$log")" = "0 0 0.25 0.75 1 1" ]
}
run_example $(pkg-config --cflags --libs convolve)
report "the example runs with the shared library" $?
readelf -d "$installed/blur" 2>/dev/null | grep -o 'NEEDED.*libconvolve\.so\..*' >"$log"
grep -q '\[libconvolve\.so\.[0-9]*\]' "$log"
report "what is linked asks for a numbered library" $?
run_example -static $(pkg-config --static --cflags --libs convolve)
report "the example runs with the static library" $?

# A declaration is a line that begins with the function's type; what follows the name may be on the next one.
sed -n 's/^[a-z].*[ *]\(convolve_[a-z_]*\)(.*/\1/p' core/convolve.h | sort -u >"$log.all"
nm -D --defined-only "$library/libconvolve.so" | sed 's/.* //' | sort >"$log.found"
diff "$log.all" "$log.found" >"$log" 2>&1
report "the shared library exports what its header declares" $?
if command -v g++ >/dev/null 2>&1; then
    printf '#include <convolve.h>\nint main() { return convolve_dtype_bytes(CONVOLVE_FLOAT64) == 8 ? 0 : 1; }\n' >"$installed/use.cc"
    g++ -Wall -Wextra -Werror "$installed/use.cc" -o "$installed/use" $(pkg-config --cflags --libs convolve) >"$log" 2>&1 &&
        LD_LIBRARY_PATH=$library "$installed/use" >>"$log" 2>&1
    report "C++ links to the library" $?
fi
${MAKE:-make} -s CC=gcc DEVELOPER=1 SANITIZE= BUILD=$built PREFIX=/opt/convolve DESTDIR="$installed" uninstall >"$log" 2>&1
find "$installed/opt" ! -type d >>"$log"
expect_none "it uninstalls without a trace"
printf '%d passed, %d failed\n' "$passed" "$failed"
[ $failed -eq 0 ]
