# SPDX-License-Identifier: MIT
# make             build/convolved, build/libconvolve.a
# make test        every test; TESTS="tests/core/geometry_test tests/http/..." for some
# make check       format, include rules, headers alone, warnings as errors in gcc and clang
# make check-simd  every routine of every instruction set against scalar
# make bench       ratios against peers and floors
# make demo        the README's requests against a daemon on a free port
# Options: SANITIZE=address|undefined|thread|address,undefined  DEVELOPER=1 (warnings are errors)  CC=clang  V=1 (show commands)

CC ?= gcc
ifeq ($(origin CC),default)
CC = gcc
endif
BUILD := build$(if $(SANITIZE),/$(subst $(comma),-,$(SANITIZE)))
comma := ,
PKG_CONFIG ?= pkg-config
Q := $(if $(V),,@)

WARNINGS := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wwrite-strings -Wvla $(if $(DEVELOPER),-Werror)
OPTIMIZE ?= -O2
CPPFLAGS += -I. -D_GNU_SOURCE
# Contraction stays off everywhere: fusing is written out, so that every instruction set rounds alike.
CFLAGS_ALL := -std=gnu17 $(OPTIMIZE) -g -ffp-contract=off -fno-math-errno -fvisibility=hidden -fPIC -pthread $(WARNINGS) \
	$(if $(SANITIZE),-fsanitize=$(SANITIZE) -fno-omit-frame-pointer -fno-sanitize-recover=all) $(CFLAGS)
LDFLAGS_ALL := -pthread $(if $(SANITIZE),-fsanitize=$(SANITIZE)) $(LDFLAGS)
SERVER_LIBS := $(shell $(PKG_CONFIG) --libs libmicrohttpd libcjson 2>/dev/null || echo -lmicrohttpd -lcjson) -lm
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
FLAGS_avx2 := -mavx2 -mfma -mbmi2
FLAGS_avx512 := -mavx512f -mavx512bw -mavx512dq -mavx512vl -mfma -mbmi2 -mprefer-vector-width=512
FLAGS_neon :=
CPPFLAGS += $(foreach isa,$(ISAS),-DHAVE_ISA_$(isa)=1)

SIMD_SOURCES := $(filter-out core/simd/dispatch.c,$(wildcard core/simd/*.c))
CORE_SOURCES := $(wildcard core/*.c) $(wildcard core/simd/dispatch.c)
SERVER_SOURCES := $(wildcard server/*.c server/endpoints/*.c server/formats/*.c)

CORE_OBJECTS := $(CORE_SOURCES:%.c=$(BUILD)/%.o) $(foreach isa,$(ISAS),$(SIMD_SOURCES:%.c=$(BUILD)/%.$(isa).o))
SERVER_OBJECTS := $(SERVER_SOURCES:%.c=$(BUILD)/%.o)
TEST_HELPERS := $(patsubst %.c,$(BUILD)/%.o,$(filter-out %_test.c,$(wildcard tests/core/*.c tests/formats/*.c tests/server/*.c)))
HTTP_HELPERS := $(patsubst %.c,$(BUILD)/%.o,$(filter-out %_test.c,$(wildcard tests/http/*.c)))
TEST_NAMES := $(patsubst %.c,%,$(wildcard tests/*/*_test.c))
TESTS ?= $(TEST_NAMES)

.PHONY: all test check check-simd bench demo run clean tests
all: $(BUILD)/convolved $(BUILD)/libconvolve.a

$(BUILD)/libconvolve.a: $(CORE_OBJECTS)
	@echo "  AR      $@"
	$(Q)rm -f $@ && $(AR) rcs $@ $^

$(BUILD)/libserver.a: $(filter-out $(BUILD)/server/main.o,$(SERVER_OBJECTS))
	@echo "  AR      $@"
	$(Q)rm -f $@ && $(AR) rcs $@ $^

$(BUILD)/convolved: $(BUILD)/server/main.o $(BUILD)/libserver.a $(BUILD)/libconvolve.a
	@echo "  LINK    $@"
	$(Q)$(CC) $(LDFLAGS_ALL) -o $@ $^ $(SERVER_LIBS)

$(BUILD)/%.o: %.c Makefile
	@mkdir -p $(@D)
	@echo "  CC      $<"
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS_ALL) -MMD -MP -c $< -o $@

define SIMD_RULE
$$(BUILD)/%.$(1).o: %.c Makefile
	@mkdir -p $$(@D)
	@echo "  CC      $$< ($(1))"
	$$(Q)$$(CC) $$(CPPFLAGS) $$(CFLAGS_ALL) -O3 $$(FLAGS_$(1)) -DISA=$(1) -DISA_$(1)=1 -MMD -MP -c $$< -o $$@
endef
$(foreach isa,$(ISAS),$(eval $(call SIMD_RULE,$(isa))))

# ---- Tests: each a program of its own ------------------------------------------------------------------------------------
tests: $(TEST_NAMES:%=$(BUILD)/%)
$(BUILD)/tests/core/%_test: $(BUILD)/tests/core/%_test.o $(TEST_HELPERS) $(BUILD)/libconvolve.a
	@echo "  LINK    $@"
	$(Q)$(CC) $(LDFLAGS_ALL) -o $@ $^ $(TEST_LIBS) -lm
$(BUILD)/tests/formats/%_test: $(BUILD)/tests/formats/%_test.o $(TEST_HELPERS) $(BUILD)/libserver.a $(BUILD)/libconvolve.a
	@echo "  LINK    $@"
	$(Q)$(CC) $(LDFLAGS_ALL) -o $@ $^ $(TEST_LIBS) $(SERVER_LIBS)
$(BUILD)/tests/server/%_test: $(BUILD)/tests/server/%_test.o $(TEST_HELPERS) $(BUILD)/libserver.a $(BUILD)/libconvolve.a
	@echo "  LINK    $@"
	$(Q)$(CC) $(LDFLAGS_ALL) -o $@ $^ $(TEST_LIBS) $(SERVER_LIBS)
$(BUILD)/tests/http/%_test: $(BUILD)/tests/http/%_test.o $(HTTP_HELPERS) $(BUILD)/libserver.a $(BUILD)/libconvolve.a $(BUILD)/convolved
	@echo "  LINK    $@"
	$(Q)$(CC) $(LDFLAGS_ALL) -o $@ $(filter %.o %.a,$^) $(TEST_LIBS) $(SERVER_LIBS)
$(BUILD)/tests/simd/check_simd: $(BUILD)/tests/simd/check_simd.o $(BUILD)/libconvolve.a
	@echo "  LINK    $@"
	$(Q)$(CC) $(LDFLAGS_ALL) -o $@ $^ -lm

test: $(TESTS:%=$(BUILD)/%) $(BUILD)/convolved check-simd
	$(Q)tests/run $(BUILD) $(TESTS)

check-simd: $(BUILD)/tests/simd/check_simd
	$(Q)$<

clean:
	rm -rf build

-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)
