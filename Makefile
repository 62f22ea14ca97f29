# SPDX-License-Identifier: Apache-2.0
# Weir.  `make help` lists the targets.
#
# Variables: V=1 (show commands), J=N (programs of the test run in parallel),
# SAN=address|thread|fuzzer (a build of its own in build/asan, tsan, fuzz),
# MARKS=1 (one that counts rare states, in build/marks),
# PREFIX, DESTDIR (install), CFLAGS, LDFLAGS (yours, added last),
# PARTS="base format" (build and test with these folders of lib/ alone, in a
# folder of their own: make PARTS="base format" build/parts-base-format/tests/...).

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
# Counts how often rare states were reached: lib/base/sometimes.h.
MARKS ?=
ifneq ($(MARKS),)
  B := $(B)/marks
endif

PREFIX ?= /usr/local
LIBDIR ?= $(PREFIX)/lib
INCLUDEDIR ?= $(PREFIX)/include
BINDIR ?= $(PREFIX)/bin
MANDIR ?= $(PREFIX)/share/man
DATADIR ?= $(PREFIX)/share
ZSHDIR ?= $(DATADIR)/zsh/site-functions
BASHDIR := $(DATADIR)/bash-completion/completions
FISHDIR := $(DATADIR)/fish/vendor_completions.d

# A part of the library: while the rest of it does not compile, say.
PARTS ?=
ifneq ($(PARTS),)
  B := $(B)/parts-$(subst $() $(),-,$(strip $(PARTS)))
endif

ifeq ($(origin CC),default)
  CC := gcc
endif
ifeq ($(SAN),fuzzer)
  CC := clang
endif
J ?= 2
T ?= 15
Q := $(if $(V),,@)
say = @$(if $(V),:,printf '  %-5s %s\n' $(1) $(2))

# ---- Flags -----------------------------------------------------------------

WARN := -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wsign-conversion \
  -Wstrict-prototypes -Wmissing-prototypes -Wcast-qual -Wvla -Wundef \
  -Wwrite-strings -Wpointer-arith -Wformat-security -Werror
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
# The plain build decides about warnings: these come from another optimizer.
ifneq ($(SAN),)
  WARN += -Wno-unknown-warning-option -Wno-format-truncation \
    -Wno-maybe-uninitialized
endif
LINK += $(filter -fsanitize=%,$(HARDEN))

# Include paths by who compiles: programs see the public headers alone.
INC_lib := -Iinclude -Ilib
INC_tests := -Iinclude -Ilib -Itests -Iexamples
INC_examples := -Iinclude

# ---- Packages ---------------------------------------------------------------

# Flags of the libraries, found after the packages were installed.  Make reads
# the file, or makes it first and starts again.
NO_DEPS := help clean deps format uninstall dist reference diagrams
ifneq ($(filter-out $(NO_DEPS),$(or $(MAKECMDGOALS),all)),)
  include build/packages.mk
endif

build/packages.mk: packages.txt .ci/deps Makefile
	@mkdir -p $(@D)
	$(Q).ci/deps build
	$(Q).ci/flags >$@.tmp && mv $@.tmp $@

# ---- What there is ----------------------------------------------------------

LIB_SRC := $(sort $(if $(PARTS),$(wildcard $(PARTS:%=lib/%/*.c)),\
  $(wildcard lib/*/*.c)))
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
  tests/integration/test_*.py tests/model/test_*.py))
S3_TESTS := $(sort $(wildcard tests/integration/s3_*.sh))
ETCD_TESTS := $(sort $(wildcard tests/integration/etcd_*.py))
MAN := $(sort $(wildcard docs/man/*.1))
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
# The simulator's program shares code with the tests, which need Check.
SIM := $(if $(TEST_LIBS),$(if $(wildcard tests/sim/weir_sim.c),$(B)/weir-sim))
CHILD_SRC := $(sort $(wildcard tests/crash/crash_child.c \
  tests/integration/commit_child.c))
CHILDREN := $(patsubst %.c,$(B)/%,$(CHILD_SRC))
PROGRAMS := $(if $(WEIR_SRC),$(B)/weir) $(if $(KAFKA_SRC),$(B)/weir-kafka) $(SIM)

.DEFAULT_GOAL := all
.DELETE_ON_ERROR:
.SECONDARY:
.PHONY: benches python all lib programs tests help deps install uninstall lint test check \
  install-only static abi abi-accept deb test-s3 test-etcd demo bench check-asan check-tsan fuzz fuzzers sim mutants soak clean format \
  map docs dist reference diagrams

all: lib programs ## Build the library and the programs
lib: $(LIBA) $(LIBSO) ## Build build/libweir.a and build/libweir.so
programs: $(PROGRAMS) $(SAMPLES) ## Build weir, weir-kafka, weir-sim, samples
tests: $(TESTS) $(REPLAYS) $(CHILDREN) ## Build the test programs

PYTHON ?= /usr/bin/python3
python: ## Build the Python package in place (PYTHONPATH=bindings/python)
	$(Q).ci/deps build python
	$(Q)$(MAKE) --no-print-directory lib
	$(Q)cd bindings/python && CC='$(CC)' $(PYTHON) build_weir.py

GROUPS ?= build test lint
deps: ## Install the Debian packages (GROUPS="build test lint s3 ...")
	$(Q).ci/deps $(GROUPS)

# ---- Compiling and linking --------------------------------------------------

# Each output is written under another name and renamed, so that two runs of
# make in one folder do not read each other's half-written files.
FLAGS = $(STD) $(if $(MARKS),-DWEIR__MARKS) $(WARN) $(OPT) $(HARDEN) -MMD -MP -MT $@ -MF $(@:.o=.d)
write = -o $@.$$$$ $(1) && mv -f $@.$$$$ $@

$(B)/obj/lib/%.o: lib/%.c Makefile | build/packages.mk
	@mkdir -p $(@D)
	$(call say,CC,$<)
	$(Q)$(CC) $(FLAGS) -fPIC -fvisibility=hidden $(INC_lib) $(LIB_CFLAGS) \
	  $(CFLAGS) -c $(call write,$<)

$(B)/obj/examples/%.o: examples/%.c Makefile | build/packages.mk
	@mkdir -p $(@D)
	$(call say,CC,$<)
	$(Q)$(CC) $(FLAGS) -fPIE $(INC_examples) $(PROGRAM_CFLAGS) $(CFLAGS) \
	  -c $(call write,$<)

$(B)/obj/tests/%.o: tests/%.c Makefile | build/packages.mk
	@mkdir -p $(@D)
	$(call say,CC,$<)
	$(Q)$(CC) $(FLAGS) -fPIE $(INC_tests) $(LIB_CFLAGS) $(PROGRAM_CFLAGS) \
	  $(TEST_CFLAGS) $(CFLAGS) -c $(call write,$<)

# An archive is made anew, so that no object of a removed file stays in it.
define archive
	@mkdir -p $(@D)
	$(call say,AR,$@)
	$(Q)$(AR) rcsD $@.$$$$ $(filter %.o,$^) && mv -f $@.$$$$ $@
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
	$(Q)$(CC) -shared -Wl,-soname,$(SONAME) $(if $(SAN)$(PARTS),,-Wl,-z,defs) \
	  -Wl,--version-script=lib/libweir.map $(LINK) $(LDFLAGS) \
	  $(call write,$(LIB_OBJ) $(LIB_LIBS))
	$(Q)ln -sf $(@F) $(@D)/$(SONAME)

# Archives that need one another come in any order.
GROUPED = -Wl,--start-group $(filter %.a,$^) -Wl,--end-group

define program
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$(Q)$(CC) $(LINK) $(LDFLAGS) \
	  $(call write,$(filter %.o,$^) $(GROUPED) $(1) $(LIB_LIBS))
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

# Tests.  SAN runs the Check programs only: the scripts start programs of their
# own, which the sanitizers' builds slow down without finding more.
# ThreadSanitizer has nothing to find where one thread tries every byte, and
# takes minutes for it.
ifeq ($(SAN),thread)
  LEFT_OUT := $(B)/tests/fault/test_wal_corruption \
    $(B)/tests/fault/test_wal_power_cut $(B)/tests/fault/test_object_corruption \
    $(B)/tests/fault/test_s3_sweep
endif

check: tests ## Run the Check programs and the fuzzers' corpora
	$(Q)J=$(J) BUILD=$(B) $(if $(SAN),CK_TIMEOUT_MULTIPLIER=6 LIMIT=900) \
	  tests/run $(B)/test-logs $(filter-out $(LEFT_OUT),$(TESTS)) $(REPLAYS)

test: ## Run all tests
	$(Q).ci/deps build test python
	$(Q)$(MAKE) --no-print-directory all tests
	$(Q)J=$(J) BUILD=$(B) tests/run $(B)/test-logs \
	  $(TESTS) $(REPLAYS) $(SCRIPT_TESTS)

check-asan: ## Run the Check programs under ASan and UBSan
	$(Q).ci/deps build test
	$(Q)$(MAKE) --no-print-directory SAN=address check
check-tsan: ## Run the Check programs under TSan
	$(Q).ci/deps build test
	$(Q)$(MAKE) --no-print-directory SAN=thread check

demo: ## Append, kill -9, recover, read back, verify; then with Kafka
	$(Q).ci/deps build demo
	$(Q)$(MAKE) --no-print-directory all
	$(Q)BUILD=$(B) examples/demo.sh

test-s3: ## Run the tests against a real S3 server (radosgw)
	$(Q).ci/deps build test s3
	$(Q)$(MAKE) --no-print-directory all tests
	$(Q)J=1 BUILD=$(B) tests/run $(B)/test-logs $(S3_TESTS)

test-etcd: ## Run the tests against a real etcd cluster
	$(Q).ci/deps build test etcd
	$(Q)$(MAKE) --no-print-directory all tests
	$(Q)J=1 BUILD=$(B) tests/run $(B)/test-logs $(ETCD_TESTS)

bench: ## Print figures of this machine
	$(Q).ci/deps build bench python
	$(Q)$(MAKE) --no-print-directory all benches python
	$(Q)BUILD=$(B) tests/bench/run
	$(Q)$(PYTHON) tests/bench/cluster.py
	$(Q)$(PYTHON) bindings/python/bench.py
bench-s3: ## Print figures on a real S3 server (radosgw)
	$(Q).ci/deps build test python s3
	$(Q)$(MAKE) --no-print-directory all benches python
	$(Q)BUILD=$(B) PYTHON=$(PYTHON) tests/bench/s3
benches: $(BENCHES)

# T is shared out: a quarter for the kills on each log, for the power cuts of
# file systems, and for those of the simulated disk.
SHARE = $$((($(T) + 3) / 4))
soak: ## Crash and power-cut loops, T seconds in all, and then whole sweeps
	$(Q).ci/deps build test
	$(Q)$(MAKE) --no-print-directory all tests
	WEIR_CRASH_SECONDS=$(SHARE) $(B)/tests/crash/test_crash
	WEIR_POWER_SECONDS=$(SHARE) $(B)/tests/fault/test_wal_power_cut
	BUILD=$(B) SOAK=$(SHARE) tests/integration/test_power_cut.py
	for test in $(WHOLE); do WEIR_EVERY=1 $(B)/tests/$$test || exit; done
	BUILD=$(B) STRACE=all tests/integration/test_strace.py
	BUILD=$(B) tests/integration/test_limits.py

# Sweeps of which make test takes a sample.
WHOLE := sim/test_sim_memory fault/test_engine_memory fault/test_wal_corruption

sim: ## Run fresh seeds of the simulation for T seconds
	$(Q).ci/deps build test
	$(Q)$(MAKE) --no-print-directory $(B)/weir-sim
	$(Q)T=$(T) J=$(J) tests/sim/run $(B)/weir-sim

mutants: ## Plant each known bug and see it caught (SAMPLE=8: eight of them)
	$(Q).ci/deps build test
	$(Q)tests/mutants/run --jobs $(J) $(if $(SAMPLE),--sample $(SAMPLE))

fuzz: ## Run each fuzzer for T seconds (15)
	$(Q).ci/deps build fuzz
	$(Q)$(MAKE) --no-print-directory SAN=fuzzer fuzzers
	$(Q)T=$(T) tests/fuzz/run build/fuzz/tests/fuzz
fuzzers: $(FUZZERS)

format: ## Lay out all C files with clang-format
	$(Q).ci/deps lint
	clang-format -i $$(git ls-files -c -o --exclude-standard '*.[ch]')

map: ## Write lib/libweir.map from the public headers
	tests/lint/symbols --write

docs: build/tests/lint/tables ## Bring the tables of docs/ up to date
	tests/lint/tables --write
reference: ## Make man pages and HTML from the headers: build/reference
	$(Q)docs/reference
diagrams: ## Make the pictures of docs/diagrams from their texts
	$(Q).ci/deps docs
	$(Q)docs/diagrams/make
$(B)/tests/lint/tables: $(B)/obj/tests/lint/tables.o $(LIBA)
	$(call program,)

# ---- Lint ---------------------------------------------------------------------

# What looks at one file leaves a stamp, so that only what has changed is
# looked at again.
LINT_SRC := $(LIB_SRC) $(WEIR_SRC) $(KAFKA_SRC) $(SAMPLE_SRC) $(SIM_SRC) \
  $(TEST_SRC) $(SUPPORT_SRC) $(BENCH_SRC) $(wildcard tests/fuzz/*.c) \
  $(CHILD_SRC) $(wildcard tests/lint/*.c)
LINT_HDR := $(sort $(PUBLIC) $(wildcard lib/*/*.h examples/*/*.h tests/*/*.h))
LINT_STAMPS := $(LINT_SRC:%=build/lint/%.ok) $(LINT_HDR:%=build/lint/%.ok)
LINT_FLAGS = $(STD) $(WARN) $(if $(filter lib/%,$<),$(INC_lib),\
  $(if $(filter tests/%,$<),$(INC_tests),$(INC_examples))) \
  $(LIB_CFLAGS) $(PROGRAM_CFLAGS) $(TEST_CFLAGS)
CHECKS := layers mutants symbols comments headers sizes cffi readme tables text \
  scripts reference diagrams

lint: ## Check layout, layers, headers, symbols, comments, sizes, ...
	$(Q).ci/deps build test lint
	$(Q)$(MAKE) --no-print-directory --keep-going all lint-files
	$(Q)tests/lint/run $(CHECKS)

define laid-out
	$(Q)clang-format --dry-run -Werror $< 2>/dev/null || { \
	  echo "$<: not laid out as .clang-format has it: make format"; exit 1; }
endef

.PHONY: lint-files
lint-files: $(LINT_STAMPS) $(B)/tests/lint/tables

build/lint/%.c.ok: %.c .clang-format .clang-tidy | build/packages.mk
	@mkdir -p $(@D)
	$(call say,LINT,$<)
	$(laid-out)
	$(Q)clang $(LINT_FLAGS) -fsyntax-only -MMD -MP -MT $@ \
	  -MF $(@:.ok=.d) $<
	$(Q)clang-tidy --quiet $< -- $(LINT_FLAGS) 2>/dev/null
	$(Q)cppcheck --quiet --std=c11 --error-exitcode=1 --inline-suppr \
	  --enable=warning,portability --suppress=missingInclude \
	  --suppress=unknownMacro --suppress=autoVariables \
	  --suppress=internalAstError --suppress=varFuncNullUB \
	  --suppress=shiftTooManyBitsSigned --suppress=shiftNegativeLHS \
	  --suppress=unknownEvaluationOrder --suppress='*:/usr/include/*' \
	  --suppress=preprocessorErrorDirective \
	  --suppress=*:*/check.h $(filter -I%,$(LINT_FLAGS)) -DWEIR_PARSE_ONLY $<
	@touch $@
build/lint/%.h.ok: %.h .clang-format
	@mkdir -p $(@D)
	$(laid-out)
	@touch $@
-include $(shell find build/lint -name '*.d' 2>/dev/null)

# ---- Installing ---------------------------------------------------------------

# What the templates of pkgconfig/ and packaging/cmake/ leave open.
fill = sed -e 's|@PREFIX@|$(PREFIX)|; s|@LIBDIR@|$(LIBDIR)|' \
  -e 's|@INCLUDEDIR@|$(INCLUDEDIR)|; s|@VERSION@|$(VERSION)|' \
  -e 's|@SONAME@|$(SONAME)|' \
  -e "s|@PRIVATE@|$$(sed -n 's/^Libs.private: //p' pkgconfig/weir.pc.in | \
    sed 's/-pthread//; s/ *$$//; s/  */;/g')|"

install: all ## Install to DESTDIR/PREFIX
	@$(MAKE) --no-print-directory install-only

# What was built, without building anything.
install-only:
	install -d $(DESTDIR)$(INCLUDEDIR)/weir $(DESTDIR)$(LIBDIR)/pkgconfig \
	  $(DESTDIR)$(BINDIR) $(DESTDIR)$(LIBDIR)/cmake/weir \
	  $(DESTDIR)$(BASHDIR) $(DESTDIR)$(ZSHDIR) $(DESTDIR)$(FISHDIR)
	install -m 644 include/weir.h $(DESTDIR)$(INCLUDEDIR)/
	install -m 644 include/weir/*.h $(DESTDIR)$(INCLUDEDIR)/weir/
	install -m 644 $(LIBA) $(DESTDIR)$(LIBDIR)/
	install -m 755 $(LIBSO) $(DESTDIR)$(LIBDIR)/libweir.so.$(VERSION)
	ln -sf libweir.so.$(VERSION) $(DESTDIR)$(LIBDIR)/$(SONAME)
	ln -sf $(SONAME) $(DESTDIR)$(LIBDIR)/libweir.so
	$(fill) pkgconfig/weir.pc.in >$(DESTDIR)$(LIBDIR)/pkgconfig/weir.pc
	for file in weirConfig weirConfigVersion; do \
	  $(fill) packaging/cmake/$$file.cmake.in \
	  >$(DESTDIR)$(LIBDIR)/cmake/weir/$$file.cmake || exit 1; done
	install -m 644 packaging/completions/weir.bash $(DESTDIR)$(BASHDIR)/weir
	ln -sf weir $(DESTDIR)$(BASHDIR)/weir-kafka
	install -m 644 packaging/completions/_weir $(DESTDIR)$(ZSHDIR)/
	install -m 644 packaging/completions/weir.fish $(DESTDIR)$(FISHDIR)/
	$(if $(WEIR_SRC),install -m 755 $(B)/weir $(DESTDIR)$(BINDIR)/)
	$(if $(KAFKA_SRC),install -m 755 $(B)/weir-kafka $(DESTDIR)$(BINDIR)/)
	$(if $(MAN),install -d $(DESTDIR)$(MANDIR)/man1 && \
	  install -m 644 $(MAN) $(DESTDIR)$(MANDIR)/man1/)
	@# The manual of the functions, where there is a Python to make it.
	if command -v python3 >/dev/null; then dir=$$(mktemp -d) && \
	  docs/reference --out $$dir && install -d $(DESTDIR)$(MANDIR)/man3 && \
	  install -m 644 $$dir/man/man3/*.3 $(DESTDIR)$(MANDIR)/man3/ && \
	  rm -r $$dir; fi

uninstall: ## Remove what install put there
	rm -f $(PUBLIC:include/%=$(DESTDIR)$(INCLUDEDIR)/%) \
	  $(DESTDIR)$(LIBDIR)/libweir.a $(DESTDIR)$(LIBDIR)/libweir.so \
	  $(DESTDIR)$(LIBDIR)/$(SONAME) \
	  $(DESTDIR)$(LIBDIR)/libweir.so.$(VERSION) \
	  $(DESTDIR)$(LIBDIR)/pkgconfig/weir.pc \
	  $(DESTDIR)$(LIBDIR)/cmake/weir/weirConfig.cmake \
	  $(DESTDIR)$(LIBDIR)/cmake/weir/weirConfigVersion.cmake \
	  $(DESTDIR)$(BASHDIR)/weir $(DESTDIR)$(BASHDIR)/weir-kafka \
	  $(DESTDIR)$(ZSHDIR)/_weir $(DESTDIR)$(FISHDIR)/weir.fish \
	  $(DESTDIR)$(BINDIR)/weir $(DESTDIR)$(BINDIR)/weir-kafka \
	  $(MAN:docs/man/%=$(DESTDIR)$(MANDIR)/man1/%) \
	  $(DESTDIR)$(MANDIR)/man3/weir.3 $(DESTDIR)$(MANDIR)/man3/weir[-_]*.3
	-rmdir $(DESTDIR)$(INCLUDEDIR)/weir $(DESTDIR)$(LIBDIR)/cmake/weir \
	  2>/dev/null

dist: ## Pack the sources of the last commit into build/
	@mkdir -p build
	git archive --prefix=weir-$(VERSION)/ -o build/weir-$(VERSION).tar.gz HEAD

# A server in one file, but for glibc, and for libcurl: what Debian's libcurl
# is linked with has no static form for all of it.
static: build/packages.mk ## Build build/weir-kafka-static, with few shared libraries
	$(Q)$(MAKE) --no-print-directory $(LIBA)
	$(Q)$(MAKE) --no-print-directory $(call obj,$(KAFKA_SRC))
	$(call say,LD,$(B)/weir-kafka-static)
	$(Q)$(CC) $(LINK) $(LDFLAGS) -static-libgcc $(call obj,$(KAFKA_SRC)) $(LIBA) \
	  -Wl,-Bstatic -l:libuv_a.a -lz -lsnappy -lzstd -llz4 -lexpat -ljansson -lcrypto \
	  -lstdc++ -Wl,-Bdynamic -lcurl -lm -ldl -pthread \
	  -o $(B)/weir-kafka-static
	$(Q)strip $(B)/weir-kafka-static
	@printf '%s: %s bytes, stripped; loads' $(B)/weir-kafka-static \
	  "$$(stat -c %s $(B)/weir-kafka-static)"
	@objdump -p $(B)/weir-kafka-static | awk '$$1 == "NEEDED" { printf " %s", $$2 }'
	@echo

# The interface of the shared library, as programs were linked with it.
ABI := abidw --suppressions packaging/abi.suppr \
  --exported-interfaces-only --no-show-locs --no-corpus-path \
  --no-comp-dir-path $(LIBSO)
abi: $(LIBSO) ## Compare the shared library's interface with the one that is kept
	$(Q).ci/deps build package
	$(Q)$(ABI) >build/libweir.abi
	$(Q)abidiff --no-added-syms tests/golden/libweir.abi build/libweir.abi || { \
	  echo "the interface is another one; if that is meant: make abi-accept" >&2; \
	  exit 1; }
abi-accept: $(LIBSO) ## Keep the present interface
	$(Q).ci/deps build package
	$(Q)$(ABI) >tests/golden/libweir.abi

# The sources of the last commit, or of this folder where there is no git.
deb: ## Build Debian packages into build/deb/
	$(Q).ci/deps build package
	$(Q)rm -rf build/deb && mkdir -p build/deb/weir-$(VERSION)
	$(Q)if git rev-parse --git-dir >/dev/null 2>&1; then git ls-files -c -o --exclude-standard; \
	  else find . -path ./build -prune -o -type f -print; fi | \
	  tar -cf - -T - | tar -xf - -C build/deb/weir-$(VERSION)
	$(Q)cp -r packaging/debian build/deb/weir-$(VERSION)/debian
	$(Q)cd build/deb/weir-$(VERSION) && dpkg-buildpackage -us -uc -b -j$(J) \
	  >../build.log 2>&1 || { tail -n 30 ../build.log; exit 1; }
	@ls build/deb/*.deb

clean: ## Remove build/
	rm -rf build
