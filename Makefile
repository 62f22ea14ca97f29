# SPDX-License-Identifier: Apache-2.0
# Weir.  `make help` lists the targets.
#
# Variables: V=1 (show commands), J=N (programs of the test run in parallel),
# SAN=address|thread|fuzzer (a build of its own in build/asan, tsan, fuzz),
# PREFIX, DESTDIR (install), CFLAGS, LDFLAGS (yours, added last).

VERSION := $(shell awk '/define WEIR_VERSION_(MAJOR|MINOR|PATCH)/ \
  { v = v s $$3; s = "." } END { print v }' include/weir/api.h)
SONAME := libweir.so.0

SAN ?=
ifeq ($(SAN),)
  B := build
else ifeq ($(SAN),address)
  B := build/asan
else ifeq ($(SAN),thread)
  B := build/tsan
else ifeq ($(SAN),fuzzer)
  B := build/fuzz
else
  $(error SAN is address, thread or fuzzer)
endif

PREFIX ?= /usr/local
LIBDIR ?= $(PREFIX)/lib
INCLUDEDIR ?= $(PREFIX)/include
BINDIR ?= $(PREFIX)/bin

ifeq ($(origin CC),default)
  CC := gcc
endif
ifeq ($(SAN),fuzzer)
  CC := clang
endif
Q := $(if $(V),,@)
say = @$(if $(V),:,printf '  %-5s %s\n' $(1) $(2))

# ---- Flags -----------------------------------------------------------------

WARN := -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wsign-conversion \
  -Wstrict-prototypes -Wmissing-prototypes -Wcast-qual -Wvla -Wundef \
  -Wwrite-strings -Wpointer-arith -Wformat=2 -Werror
STD := -std=c11 -D_GNU_SOURCE
HARDEN := -fstack-protector-strong -fstack-clash-protection \
  $(if $(filter x86_64,$(shell uname -m)),-fcf-protection)
OPT := -O2 -g -fno-strict-aliasing -fno-omit-frame-pointer
LINK := -Wl,-z,relro,-z,now,-z,noexecstack -Wl,--as-needed

ifeq ($(SAN),)
  HARDEN += -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=$(if $(filter clang%,$(CC)),2,3)
else ifeq ($(SAN),address)
  HARDEN := -fsanitize=address,undefined -fno-sanitize-recover=all
  OPT := -O1 -g -fno-strict-aliasing -fno-omit-frame-pointer
else ifeq ($(SAN),thread)
  HARDEN := -fsanitize=thread
  OPT := -O1 -g -fno-strict-aliasing -fno-omit-frame-pointer
else
  HARDEN := -fsanitize=fuzzer-no-link,address,undefined \
    -fno-sanitize-recover=all
  OPT := -O1 -g -fno-strict-aliasing -fno-omit-frame-pointer
endif
LINK += $(filter -fsanitize=%,$(HARDEN))

# Include paths by who compiles: programs see the public headers alone.
INC_lib := -Iinclude -Ilib
INC_tests := -Iinclude -Ilib -Itests -Iexamples
INC_examples := -Iinclude

# ---- What there is ----------------------------------------------------------

LIB_SRC := $(sort $(wildcard lib/*/*.c))
SUPPORT_SRC := $(sort $(wildcard tests/support/*.c))
WEIR_SRC := $(sort $(wildcard examples/weir/*.c))
KAFKA_SRC := $(sort $(wildcard examples/kafka/*.c))
SAMPLE_SRC := $(sort $(wildcard examples/*.c))
SIM_SRC := $(filter-out tests/sim/test_%,$(sort $(wildcard tests/sim/*.c)))
TEST_DIRS := unit conformance fault sim crash
TEST_SRC := $(sort $(wildcard $(TEST_DIRS:%=tests/%/test_*.c)))
FUZZ_SRC := $(sort $(wildcard tests/fuzz/fuzz_*.c))
BENCH_SRC := $(sort $(wildcard tests/bench/bench_*.c))
SCRIPT_TESTS := $(sort $(wildcard tests/integration/test_*.sh \
  tests/integration/test_*.py))
PUBLIC := $(sort $(wildcard include/weir.h include/weir/*.h))

obj = $(patsubst %.c,$(B)/obj/%.o,$(1))
LIB_OBJ := $(call obj,$(LIB_SRC))
LIBA := $(B)/libweir.a
LIBSO := $(B)/libweir.so
SUPPORT := $(B)/tests/libsupport.a
SIMLIB := $(B)/tests/libsim.a
KAFKALIB := $(B)/examples/libkafka.a
CLILIB := $(B)/examples/libcli.a
TESTS := $(patsubst %.c,$(B)/%,$(TEST_SRC))
REPLAYS := $(patsubst tests/fuzz/fuzz_%.c,$(B)/tests/fuzz/replay_%,$(FUZZ_SRC))
FUZZERS := $(patsubst %.c,$(B)/%,$(FUZZ_SRC))
BENCHES := $(patsubst %.c,$(B)/%,$(BENCH_SRC))
SAMPLES := $(patsubst examples/%.c,$(B)/examples/%,$(SAMPLE_SRC))
CHILDREN := $(patsubst %.c,$(B)/%,$(wildcard tests/crash/crash_child.c))
PROGRAMS := $(if $(WEIR_SRC),$(B)/weir) $(if $(KAFKA_SRC),$(B)/weir-kafka) \
  $(if $(wildcard tests/sim/weir_sim.c),$(B)/weir-sim)

.DEFAULT_GOAL := all
.DELETE_ON_ERROR:
.SECONDARY:
.PHONY: all lib programs tests help deps install uninstall lint test check \
  test-s3 demo bench check-asan check-tsan fuzz fuzzers sim soak clean format \
  map docs dist

all: lib programs ## Build the library and the programs
lib: $(LIBA) $(LIBSO) ## Build build/libweir.a and build/libweir.so
programs: $(PROGRAMS) $(SAMPLES) ## Build weir, weir-kafka, weir-sim, samples
tests: $(TESTS) $(REPLAYS) $(CHILDREN) ## Build the test programs

# ---- Packages ---------------------------------------------------------------

# Flags of the libraries, found after the packages were installed.  Make reads
# the file, or makes it first and starts again.
NO_DEPS := help clean deps format uninstall dist
ifneq ($(filter-out $(NO_DEPS),$(or $(MAKECMDGOALS),all)),)
  include build/packages.mk
endif

build/packages.mk: packages.txt .ci/deps Makefile
	@mkdir -p $(@D)
	$(Q).ci/deps build
	$(Q).ci/flags >$@.tmp && mv $@.tmp $@

GROUPS ?= build test lint
deps: ## Install the Debian packages (GROUPS="build test lint s3 ...")
	$(Q).ci/deps $(GROUPS)

# ---- Compiling and linking --------------------------------------------------

FLAGS := $(STD) $(WARN) $(OPT) $(HARDEN) -MMD -MP

$(B)/obj/lib/%.o: lib/%.c build/packages.mk
	@mkdir -p $(@D)
	$(call say,CC,$<)
	$(Q)$(CC) $(FLAGS) -fPIC -fvisibility=hidden $(INC_lib) $(LIB_CFLAGS) \
	  $(CFLAGS) -c -o $@ $<

$(B)/obj/examples/%.o: examples/%.c build/packages.mk
	@mkdir -p $(@D)
	$(call say,CC,$<)
	$(Q)$(CC) $(FLAGS) -fPIE $(INC_examples) $(PROGRAM_CFLAGS) $(CFLAGS) \
	  -c -o $@ $<

$(B)/obj/tests/%.o: tests/%.c build/packages.mk
	@mkdir -p $(@D)
	$(call say,CC,$<)
	$(Q)$(CC) $(FLAGS) -fPIE $(INC_tests) $(LIB_CFLAGS) $(PROGRAM_CFLAGS) \
	  $(TEST_CFLAGS) $(CFLAGS) -c -o $@ $<

# An archive is made anew, so that no object of a removed file stays in it.
define archive
	@mkdir -p $(@D)
	$(call say,AR,$@)
	$(Q)rm -f $@ && $(AR) rcsD $@ $(filter %.o,$^)
endef

$(LIBA): $(LIB_OBJ)
	$(archive)
$(SUPPORT): $(call obj,$(SUPPORT_SRC))
	$(archive)
$(SIMLIB): $(call obj,$(filter-out tests/sim/weir_sim.c,$(SIM_SRC)))
	$(archive)
$(KAFKALIB): $(call obj,$(filter-out %/main.c,$(KAFKA_SRC)))
	$(archive)
$(CLILIB): $(call obj,$(filter-out %/main.c,$(WEIR_SRC)))
	$(archive)

$(LIBSO): $(LIB_OBJ) lib/libweir.map
	$(call say,LD,$@)
	$(Q)$(CC) -shared -Wl,-soname,$(SONAME) $(if $(SAN),,-Wl,-z,defs) \
	  -Wl,--version-script=lib/libweir.map $(LINK) $(LDFLAGS) \
	  -o $@ $(LIB_OBJ) $(LIB_LIBS)
	$(Q)ln -sf $(@F) $(@D)/$(SONAME)

define program
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$(Q)$(CC) $(LINK) $(LDFLAGS) -o $@ $(filter %.o,$^) $(filter %.a,$^) \
	  $(1) $(LIB_LIBS)
endef

$(B)/weir: $(call obj,$(WEIR_SRC)) $(LIBA)
	$(call program,$(PROGRAM_LIBS))
$(B)/weir-kafka: $(call obj,$(KAFKA_SRC)) $(LIBA)
	$(call program,$(PROGRAM_LIBS))
$(B)/weir-sim: $(B)/obj/tests/sim/weir_sim.o $(SIMLIB) $(SUPPORT) $(LIBA)
	$(call program,$(TEST_LIBS))
$(SAMPLES): $(B)/examples/%: $(B)/obj/examples/%.o $(LIBA)
	$(call program,)
$(BENCHES): $(B)/%: $(B)/obj/%.o $(SUPPORT) $(LIBA)
	$(call program,$(TEST_LIBS))
$(CHILDREN): $(B)/%: $(B)/obj/%.o $(LIBA)
	$(call program,)

# A test program: its file, the support code, the library; tests of a program
# (test_kafka_*, test_cli_*) and of tests/sim get the code they test as well.
$(TESTS): $(B)/%: $(B)/obj/%.o $(SUPPORT) $(LIBA)
	$(call program,$(if $(findstring test_kafka_,$@),$(PROGRAM_LIBS)) \
	  $(if $(findstring test_cli_,$@),$(PROGRAM_LIBS)) $(TEST_LIBS))
$(filter $(B)/tests/sim/%,$(TESTS)): $(SIMLIB)
$(foreach t,$(TESTS),$(if $(findstring test_kafka_,$(t)),$(t))): $(KAFKALIB)
$(foreach t,$(TESTS),$(if $(findstring test_cli_,$(t)),$(t))): $(CLILIB)
$(filter $(B)/tests/crash/%,$(TESTS)): | $(CHILDREN)

$(REPLAYS): $(B)/tests/fuzz/replay_%: $(B)/obj/tests/fuzz/fuzz_%.o \
  $(B)/obj/tests/fuzz/replay.o $(SUPPORT) $(LIBA)
	$(call program,$(PROGRAM_LIBS) $(TEST_LIBS))
$(FUZZERS): $(B)/%: $(B)/obj/%.o $(SUPPORT) $(LIBA)
	$(call program,-fsanitize=fuzzer $(PROGRAM_LIBS) $(TEST_LIBS))
$(foreach t,$(REPLAYS) $(FUZZERS),$(if $(findstring _kafka,$(t)),$(t))): \
  $(KAFKALIB)

-include $(shell find $(B)/obj -name '*.d' 2>/dev/null)

# ---- Other targets ----------------------------------------------------------

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / \
	  { printf "  make %-12s %s\n", $$1, $$2 }' Makefile

clean: ## Remove build/
	rm -rf build

format: ## Lay out all C files with clang-format
	$(Q).ci/deps lint
	clang-format -i $$(git ls-files '*.[ch]')

map: ## Write lib/libweir.map from the public headers
	tests/lint/symbols --write
