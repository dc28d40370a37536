# SPDX-License-Identifier: MIT
# make             build/convolved, build/libconvolve.a, build/libconvolve.so
# make test        every test; TESTS="tests/core/geometry_test tests/http/..." for some
# make test-long   numbers and their texts, exhaustively: some two hours
# make run         the daemon on 127.0.0.1:8080; ARGS="--listen 127.0.0.1:9000" for its options
# make demo        the README's requests against a daemon on a free port
# make check       format, include rules, headers alone, warnings as errors in gcc and clang
# make soak        traffic of every kind for an hour, or SECONDS; make valgrind runs a short suite under it
# make check-simd  every routine of every instruction set against scalar
# make bench       ratios against peers and floors; BENCH_ARGS="--rows 1-D --seconds 3" is for the filters' table
# make bench-wire  reading and writing numbers, beside cJSON, simdjson and std::to_chars; ARGS="512 float32" for a smaller one
# make bench-auto  how well `auto` chooses; make calibrate measures anew what it goes by (core/cost_table_*.inc), for the CPU
# make calibrate-fft prints what this CPU's transforms take: core/fft_cost_table.inc lies between two such tables
# make bench-peers installs the libraries that bench compares with
# make arm64       the core for arm64, under an emulator, against this machine's results
# make fuzz        every fuzzer for SECONDS (10) each; needs clang
# make install     the daemon and the library: PREFIX (/usr/local), DESTDIR; make uninstall
# Options: SANITIZE=address|undefined|thread|address,undefined  DEVELOPER=1 (warnings are errors)  CC=clang  V=1 (show commands)
# BUILD=folder says where everything goes. `./dev` does the same and installs what is missing first.

comma := ,
empty :=
space := $(empty) $(empty)
ifeq ($(origin CC),default)
CC := gcc
endif
PREFIX ?= /usr/local
PKG_CONFIG ?= pkg-config
SECONDS ?= 10
BUILD ?= build$(if $(SANITIZE),/$(subst $(comma),-,$(SANITIZE)))
Q := $(if $(V),,@)

WARNINGS := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wwrite-strings -Wvla $(if $(DEVELOPER),-Werror)
OPTIMIZE ?= -O2
# A sanitizer's report needs lines only; where every variable is, gcc takes a third longer to tell.
DEBUG_INFO ?= $(if $(SANITIZE),-g1,-g)
# Contraction stays off everywhere: fusing is written out, so that every instruction set rounds alike. gcc 12 drops a rounding
# to float and back where it vectorises two of them in straight-line code (-ftree-slp-vectorize), so it does not.
SANITIZE_FLAGS := $(if $(SANITIZE),-fsanitize=$(SANITIZE) -fno-omit-frame-pointer -fno-sanitize-recover=all)
CFLAGS_ALL = -std=gnu17 $(OPTIMIZE) $(DEBUG_INFO) -ffp-contract=off -fno-tree-slp-vectorize -fno-math-errno -fvisibility=hidden -fPIC -pthread $(WARNINGS) \
	$(SANITIZE_FLAGS) $(CFLAGS)
LDFLAGS_ALL = -pthread $(SANITIZE_FLAGS) $(LDFLAGS)
SERVER_PACKAGES := libmicrohttpd libcjson gnutls zlib libseccomp libpng libjpeg
SERVER_LIBS := $(shell $(PKG_CONFIG) --libs $(SERVER_PACKAGES) 2>/dev/null || echo -lmicrohttpd -lcjson -lgnutls -lz -lseccomp -lpng -ljpeg) -lm
SERVER_CFLAGS := $(shell $(PKG_CONFIG) --cflags $(SERVER_PACKAGES) 2>/dev/null)
TEST_LIBS := -lcmocka -lcurl

# ---- Instruction sets: one source, compiled once per set -----------------------------------------------------------------
MACHINE := $(shell $(CC) -dumpmachine)
ifneq ($(filter x86_64%,$(MACHINE)),)
ISAS := scalar avx2 avx512
else ifneq ($(filter aarch64% arm64%,$(MACHINE)),)
ISAS := scalar neon
else
ISAS := scalar
endif
FLAGS_scalar :=
FLAGS_avx2 := -mavx2 -mfma -mbmi -mbmi2 -mlzcnt
FLAGS_avx512 := -mavx512f -mavx512bw -mavx512dq -mavx512vl -mfma -mbmi -mbmi2 -mlzcnt -mprefer-vector-width=512
FLAGS_neon :=
CPPFLAGS_ALL = -I. -D_GNU_SOURCE $(foreach isa,$(ISAS),-DHAVE_ISA_$(isa)=1) $(SERVER_CFLAGS) $(CPPFLAGS)

# Strips fetch lines that will be stored to, as every CPU with avx512 can.
$(BUILD)/core/simd/strips%: FLAGS_avx512 += -mprfchw

# Reading numbers uses more under avx512; server/formats/simd/dispatch.c looks whether the CPU has it.
$(BUILD)/server/formats/simd/read%: FLAGS_avx512 += -mavx512vbmi -mavx512vbmi2

# ---- What is built of what -----------------------------------------------------------------------------------------------
SIMD_SOURCES := $(filter-out core/simd/dispatch.c,$(wildcard core/simd/*.c))
CORE_SOURCES := $(wildcard core/*.c core/simd/dispatch.c)
SERVER_SOURCES := $(wildcard server/*.c server/endpoints/*.c server/formats/*.c server/formats/simd/dispatch.c)
FORMATS_SIMD_SOURCES := $(filter-out %/dispatch.c,$(wildcard server/formats/simd/*.c))
TEST_SOURCES := $(wildcard tests/*/*_test.c)
FUZZ_SOURCES := $(wildcard tests/fuzz/*_fuzz.c)

CORE_OBJECTS := $(CORE_SOURCES:%.c=$(BUILD)/%.o) $(foreach isa,$(ISAS),$(SIMD_SOURCES:%.c=$(BUILD)/%.$(isa).o))
SERVER_OBJECTS := $(SERVER_SOURCES:%.c=$(BUILD)/%.o) \
	$(foreach isa,$(ISAS),$(FORMATS_SIMD_SOURCES:%.c=$(BUILD)/%.$(isa).o))
TEST_NAMES := $(TEST_SOURCES:%.c=%)
TESTS ?= $(TEST_NAMES)
# They start no thread, so there is nothing for TSan to see, and it would take minutes.
CHECK_SIMD := $(if $(filter thread,$(SANITIZE)),,tests/simd/check_simd tests/simd/result_hash)
FUZZERS := $(FUZZ_SOURCES:%.c=$(BUILD)/%)

.PHONY: all lib test test-long tests soak valgrind check check-simd arm64 bench bench-auto bench-wire bench-peers calibrate calibrate-fft demo run fuzz fuzzers install install-lib uninstall clean
.DELETE_ON_ERROR:
.SECONDARY:
all: $(BUILD)/convolved lib
lib: $(BUILD)/libconvolve.a $(BUILD)/libconvolve.so

$(BUILD)/libconvolve.a: $(CORE_OBJECTS)
	@echo "  AR      $@"
	$(Q)rm -f $@ && $(AR) rcs $@ $^

# A program linked to it asks for libconvolve.so.SOVERSION, which goes up with each release that breaks its callers.
SOVERSION := 0
$(BUILD)/libconvolve.so.$(SOVERSION): $(CORE_OBJECTS)
	@echo "  LINK    $@"
	$(Q)$(CC) $(LDFLAGS_ALL) -shared -Wl,-soname,libconvolve.so.$(SOVERSION) -Wl,-Bsymbolic-functions $(if $(SANITIZE),,-Wl,-z,defs) -o $@ $^ -lm

$(BUILD)/libconvolve.so: $(BUILD)/libconvolve.so.$(SOVERSION)
	$(Q)ln -sf $(<F) $@

$(BUILD)/libserver.a: $(filter-out $(BUILD)/server/main.o,$(SERVER_OBJECTS))
	@echo "  AR      $@"
	$(Q)rm -f $@ && $(AR) rcs $@ $^

$(BUILD)/convolved: $(BUILD)/server/main.o $(BUILD)/libserver.a $(BUILD)/libconvolve.a
	@echo "  LINK    $@"
	$(Q)$(CC) $(LDFLAGS_ALL) -o $@ $^ $(SERVER_LIBS)

$(BUILD)/%.o: %.c Makefile
	@mkdir -p $(@D)
	@echo "  CC      $<"
	$(Q)$(CC) $(CPPFLAGS_ALL) $(CFLAGS_ALL) -MMD -MP -c $< -o $@

$(BUILD)/server/embedded.o: $(wildcard web/*)

define SIMD_RULE
$$(BUILD)/%.$(1).o: %.c Makefile
	@mkdir -p $$(@D)
	@echo "  CC      $$< ($(1))"
	$$(Q)$$(CC) $$(CPPFLAGS_ALL) $$(CFLAGS_ALL) $$(OPTIMIZE:-O2=-O3) $$(FLAGS_$(1)) $$(if $$(filter core/%,$$<),$$(CORE_SIMD_FLAGS)) -DISA=$(1) -DISA_$(1)=1 -MMD -MP -c $$< -o $$@
endef
$(foreach isa,$(ISAS),$(eval $(call SIMD_RULE,$(isa))))

# ---- Tests: each *_test.c is a program; what else lies in its folder is linked into all of that folder ---------------------
TEST_FOLDERS := $(sort $(patsubst %/,%,$(dir $(TEST_SOURCES))))
define TEST_RULE
$$(BUILD)/$(1)/%_test: $$(BUILD)/$(1)/%_test.o \
		$(patsubst %.c,$$(BUILD)/%.o,$(filter-out %_test.c,$(wildcard $(1)/*.c))) \
		$(if $(filter tests/core tests/simd,$(1)),,$$(BUILD)/libserver.a) $$(BUILD)/libconvolve.a
	@echo "  LINK    $$@"
	$$(Q)$$(CC) $$(LDFLAGS_ALL) -o $$@ $$^ $$(TEST_LIBS) $(if $(filter tests/core tests/simd,$(1)),-lm,$$(SERVER_LIBS))
endef
$(foreach folder,$(TEST_FOLDERS),$(eval $(call TEST_RULE,$(folder))))

$(CHECK_SIMD:%=$(BUILD)/%): %: %.o $(BUILD)/libconvolve.a
	@echo "  LINK    $@"
	$(Q)$(CC) $(LDFLAGS_ALL) -o $@ $^ -lm

# Preloaded into the daemon by tests/http/faults_test.
FAILING_MALLOC := $(BUILD)/tests/faults/failing_malloc.so
$(FAILING_MALLOC): tests/faults/failing_malloc.c Makefile
	@mkdir -p $(@D)
	@echo "  CC      $@"
	$(Q)$(CC) $(CPPFLAGS_ALL) $(filter-out $(SANITIZE_FLAGS),$(CFLAGS_ALL)) -shared -o $@ $<

tests: $(FAILING_MALLOC) $(TESTS:%=$(BUILD)/%) $(CHECK_SIMD:%=$(BUILD)/%) $(BUILD)/convolved

# How much longer than on its own everything may take: sanitizers are slow.
export TEST_SLOWNESS ?= $(if $(SANITIZE),5,1)
test: tests
	$(Q)tests/run $(BUILD) $(CHECK_SIMD) $(TESTS)

LONG_TESTS := number_every_test number_read_test json_runs_test
test-long: $(LONG_TESTS:%=$(BUILD)/tests/formats/%)
	$(Q)tests/long $(BUILD)

# An hour of everything at once; SECONDS says how long.
soak: $(BUILD)/tests/http/soak_test $(BUILD)/convolved
	$(Q)CONVOLVED=$(BUILD)/convolved SOAK_SECONDS=$(if $(filter file,$(origin SECONDS)),3600,$(SECONDS)) $<

# Neither errors nor memory that nobody points to any more. The emulation knows no AVX-512, and is slow: tests that take long there are
# left out, but the daemon's own are there.
VALGRIND := valgrind -q --error-exitcode=99 --leak-check=full --show-leak-kinds=definite --errors-for-leak-kinds=definite
VALGRIND_TESTS ?= $(addprefix tests/core/,tensor_test boundary_test named_kernels_test layer_golden_test golden_test) \
	$(addprefix tests/formats/,base64_test image_test json_members_test json_syntax_test json_tensor_test) \
	$(addprefix tests/server/,access_test append_test config_test guard_test log_test metrics_test problem_test router_test) \
	$(addprefix tests/http/,tls_test metrics_test members_test)
valgrind: tests
	$(Q)TEST_SLOWNESS=15 TEST_UNDER="$(VALGRIND)" tests/run $(BUILD) $(VALGRIND_TESTS)

check-simd: $(BUILD)/tests/simd/check_simd
	$(Q)$<

arm64: $(BUILD)/tests/simd/result_hash
	$(Q)MAKE="$(MAKE)" tools/arm64.sh $(BUILD)

check:
	$(Q)MAKE="$(MAKE)" tools/check.sh

run: $(BUILD)/convolved
	$(Q)exec $(BUILD)/convolved $(ARGS)

demo: $(BUILD)/convolved
	$(Q)tests/demo $(BUILD)/convolved README.md

# ---- Fuzzers: the formats and the core again, built by clang with coverage ------------------------------------------------
# What is fuzzed are the formats. clang takes minutes over the core's widest blocks when it adds the checks of both sanitizers.
fuzzers:
	$(Q)$(MAKE) --no-print-directory CC=clang SANITIZE=address,undefined,fuzzer-no-link \
		CORE_SIMD_FLAGS=-fno-sanitize=all BUILD=build/fuzz fuzzers-linked

fuzzers-linked: $(FUZZERS)
.PHONY: fuzzers-linked
$(BUILD)/tests/fuzz/%_fuzz: $(BUILD)/tests/fuzz/%_fuzz.o $(BUILD)/libserver.a $(BUILD)/libconvolve.a
	@echo "  LINK    $@"
	$(Q)$(CC) $(subst fuzzer-no-link,fuzzer,$(LDFLAGS_ALL)) -o $@ $^ $(SERVER_LIBS)

fuzz: fuzzers
	$(Q)tools/fuzz.sh build/fuzz $(SECONDS) $(FUZZ_SOURCES:%.c=%)

# ---- Bench: each program prints its own table; peers in C++ are built where there is a compiler for it ---------------------
BENCH_SOURCES := tests/bench/http_bench.c tests/bench/load_bench.c tests/bench/wire_bench.c tests/bench/bench_core.c tests/bench/bench_threads.c
BENCH_PROGRAMS := $(patsubst %.c,$(BUILD)/%,$(wildcard $(BENCH_SOURCES)))
CXX_FOUND := $(shell command -v $(CXX) 2>/dev/null)
WIRE_PEERS := $(BUILD)/tests/bench/wire_peer_cjson.o $(if $(CXX_FOUND),$(BUILD)/tests/bench/wire_peers.o)
$(BUILD)/tests/bench/wire_bench $(BUILD)/tests/bench/http_bench: $(WIRE_PEERS)
$(BUILD)/tests/bench/http_bench $(BUILD)/tests/bench/load_bench: $(BUILD)/tests/bench/bench_daemon.o
$(BUILD)/tests/bench/http_bench: $(BUILD)/tests/bench/http_bare.o $(BUILD)/tests/bench/http_peers.o
$(BUILD)/tests/bench/bench_threads: $(BUILD)/tests/bench/peers_layers.o
$(BENCH_PROGRAMS): %: %.o $(BUILD)/libserver.a $(BUILD)/libconvolve.a
	@echo "  LINK    $@"
	$(Q)$(if $(filter %wire_peers.o,$^),$(CXX),$(CC)) $(LDFLAGS_ALL) -o $@ $(filter %.o,$^) $(filter %.a,$^) -lcurl $(SERVER_LIBS) $(if $(filter %wire_peers.o,$^),$(shell $(PKG_CONFIG) --libs simdjson 2>/dev/null))
$(BUILD)/tests/bench/%.o: tests/bench/%.cc Makefile
	@mkdir -p $(@D)
	@echo "  CXX     $<"
	$(Q)$(CXX) $(CPPFLAGS_ALL) -std=c++17 $(OPTIMIZE) $(DEBUG_INFO) -MMD -MP -c $< -o $@

# The filters' table: Python calls our side, a plain loop and FFTW in one library beside OpenCV, SciPy and NumPy.
FFTW_LIBS := $(shell $(PKG_CONFIG) --libs fftw3 fftw3f 2>/dev/null)
PEER_OBJECTS := $(patsubst %.c,$(BUILD)/%.o,$(wildcard tests/bench/peers_*.c))
$(PEER_OBJECTS): CFLAGS_ALL += -fvisibility=default
$(BUILD)/tests/bench/peers_plain.o: CFLAGS_ALL += -O3 -march=native -ffp-contract=fast
$(BUILD)/tests/bench/peers_fftw.o: CFLAGS_ALL += -O3 -march=native -ffp-contract=fast $(if $(FFTW_LIBS),-DHAVE_FFTW=1)
$(BUILD)/tests/bench/libpeers.so: $(PEER_OBJECTS) $(BUILD)/libconvolve.a
	@echo "  LINK    $@"
	$(Q)$(CC) $(LDFLAGS_ALL) -shared -o $@ $^ $(FFTW_LIBS) -lm

# The layers' table: float32 beside oneDNN in C, float64 beside PyTorch in Python, which calls libpeers.so.
DNNL_FOUND := $(wildcard /usr/include/oneapi/dnnl/dnnl.h)
$(BUILD)/tests/bench/layer_dnnl.o: CFLAGS_ALL += $(if $(DNNL_FOUND),-DHAVE_DNNL=1)
$(BUILD)/tests/bench/bench_layers: %: %.o $(BUILD)/tests/bench/peers_layers.o $(BUILD)/tests/bench/layer_dnnl.o $(BUILD)/libconvolve.a
	@echo "  LINK    $@"
	$(Q)$(CC) $(LDFLAGS_ALL) -o $@ $^ $(if $(DNNL_FOUND),-ldnnl) -lm

bench: $(BENCH_PROGRAMS) $(BUILD)/tests/bench/bench_layers $(BUILD)/tests/bench/libpeers.so $(BUILD)/convolved
	$(Q)tests/bench/run $(BUILD) $(BENCH_ARGS)

bench-wire: $(BUILD)/tests/bench/wire_bench
	$(Q)$< $(ARGS)

bench-peers:
	$(Q)./dev bench-peers

# What auto goes by, and how well it chooses.
$(BUILD)/tests/bench/calibrate $(BUILD)/tests/bench/calibrate_fft $(BUILD)/tests/bench/bench_auto: %: %.o $(BUILD)/libconvolve.a
	@echo "  LINK    $@"
	$(Q)$(CC) $(LDFLAGS_ALL) -o $@ $^ -lm

calibrate: $(BUILD)/tests/bench/calibrate
	$(Q)for set in $(ISAS); do \
		$< $$set > $(BUILD)/cost_table.inc && cp $(BUILD)/cost_table.inc core/cost_table_$$set.inc; done; true

calibrate-fft: $(BUILD)/tests/bench/calibrate_fft
	$(Q)$<

bench-auto: $(BUILD)/tests/bench/bench_auto
	$(Q)$<

# ---- Install -------------------------------------------------------------------------------------------------------------
VERSION = $(shell sed -n 's/^.define CONVOLVED_VERSION "\(.*\)"/\1/p' server/daemon.h)
TO := $(DESTDIR)$(PREFIX)
install: $(BUILD)/convolved install-lib
	install -d $(TO)/bin
	install -m 755 $(BUILD)/convolved $(TO)/bin/convolved

install-lib: lib
	install -d $(TO)/lib/pkgconfig $(TO)/include
	install -m 644 core/convolve.h $(TO)/include/convolve.h
	install -m 644 $(BUILD)/libconvolve.a $(TO)/lib/libconvolve.a
	install -m 755 $(BUILD)/libconvolve.so.$(SOVERSION) $(TO)/lib/libconvolve.so.$(SOVERSION)
	ln -sf libconvolve.so.$(SOVERSION) $(TO)/lib/libconvolve.so
	printf '%s\n' 'prefix=$(PREFIX)' 'Name: convolve' 'Description: N-dimensional convolution' 'Version: $(VERSION)' \
		'Cflags: -I$${prefix}/include' 'Libs: -L$${prefix}/lib -lconvolve' 'Libs.private: -lm -pthread' \
		> $(TO)/lib/pkgconfig/convolve.pc

uninstall:
	rm -f $(TO)/bin/convolved $(TO)/lib/libconvolve.a $(TO)/lib/libconvolve.so $(TO)/lib/libconvolve.so.$(SOVERSION) \
		$(TO)/include/convolve.h $(TO)/lib/pkgconfig/convolve.pc

clean:
	rm -rf $(BUILD)

-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)
