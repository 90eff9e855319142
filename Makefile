# SPDX-License-Identifier: MIT
# heaptally. `make help` lists the targets.
VERSION = 0.1.0
PREFIX = /usr/local
BUILD = build
# One name for one place: dependencies are by name.
override BUILD := $(patsubst $(CURDIR)/%,%,$(BUILD))

CC = gcc
CXX = g++
CFLAGS = -O2 -g
WARNINGS = -Wall -Wextra -Wvla -Wstrict-prototypes -Wmissing-prototypes
ALL_CFLAGS = -std=gnu11 -D_GNU_SOURCE $(WARNINGS) $(CFLAGS) -MMD -MP
# A hook's frame must stand while its event is recorded: no sibling calls. No SLP: two words that were stored apart and
# are read back as one vector cost a stall.
SHIM_CFLAGS = -fPIC -fvisibility=hidden -fno-plt -ftls-model=initial-exec -fno-optimize-sibling-calls \
	-fno-tree-slp-vectorize
SHIM_LDFLAGS = -shared -Wl,--version-script=preload/libheaptally.map -Wl,-z,now -Wl,-z,relro -Wl,--build-id
ANALYZER_CFLAGS = -Ianalyzer -DHEAPTALLY_VERSION='"$(VERSION)"'
ANALYZER_CXXFLAGS = -std=c++17 -Wall -Wextra $(CFLAGS) -MMD -MP -Ianalyzer
ANALYZER_LIBS = -ldw -lelf -ljansson -lzstd -liberty -lz -lm -lstdc++

SHIM_OBJECTS = $(patsubst %.c,$(BUILD)/%.o,$(wildcard preload/*.c))
ANALYZER_OBJECTS = $(patsubst %.c,$(BUILD)/%.o,$(filter-out analyzer/main.c,\
	$(wildcard analyzer/*.c analyzer/views/*.c analyzer/patterns/*.c)))
ANALYZER_OBJECTS += $(BUILD)/analyzer/config.o
# The finder of static allocators is pure: `heaptally scan` asks it what the shim would.
ANALYZER_OBJECTS += $(patsubst %.c,$(BUILD)/%.o,$(wildcard preload/find*.c))
UNIT_OBJECTS = $(patsubst %.c,$(BUILD)/%.o,$(wildcard tests/unit/*.c) $(addprefix preload/,adopt_code.c sample.c sys.c))

V = 0
Q_0 = @
Q = $(Q_$(V))
say_0 = @printf '  %-5s %s\n'
say_1 = @:
say = $(say_$(V))

all: $(BUILD)/heaptally $(BUILD)/libheaptally.so ## the command and the shim

$(BUILD)/libheaptally.so: $(SHIM_OBJECTS) preload/libheaptally.map
	$(say) LD $@
	$(Q)$(CC) $(SHIM_LDFLAGS) -o $@ $(SHIM_OBJECTS)
$(BUILD)/heaptally: $(BUILD)/analyzer/main.o $(ANALYZER_OBJECTS)
	$(say) LD $@
	$(Q)$(CC) -o $@ $^ $(ANALYZER_LIBS)
$(BUILD)/unit: $(ANALYZER_OBJECTS) $(UNIT_OBJECTS)
	$(say) LD $@
	$(Q)$(CC) -o $@ $^ $(ANALYZER_LIBS) -lcriterion

# But for those that pass a call on: theirs must be gone.
$(BUILD)/preload/passing.o: SHIM_CFLAGS += -foptimize-sibling-calls
$(BUILD)/preload/%.o: preload/%.c
	$(say) CC $<
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) $(SHIM_CFLAGS) -c -o $@ $<
$(BUILD)/%.o: %.c
	$(say) CC $<
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) $(ANALYZER_CFLAGS) -c -o $@ $<
$(BUILD)/analyzer/config.o: analyzer/config.cpp
	$(say) CXX $<
	$(Q)mkdir -p $(@D)
	$(Q)$(CXX) $(ANALYZER_CXXFLAGS) -c -o $@ $<
# what .incbin takes in
$(BUILD)/analyzer/catalog.o: analyzer/catalog/rust.toml analyzer/catalog/rspack.toml
$(BUILD)/analyzer/views/svg.o: analyzer/views/flame.css analyzer/views/flame.js

deps: ## install what building needs (Debian, root or sudo)
	@tests/deps.sh build

demo: ## record a real rspack build, report, flame graph
	@tests/deps.sh demo
	@$(MAKE) --no-print-directory all
	@examples/rspack/demo.sh $(BUILD)

test: ## everything that decides whether this works
	@tests/deps.sh test
	@$(MAKE) --no-print-directory all $(BUILD)/unit test-programs
	@tests/run.sh

test-programs: $(addprefix $(BUILD)/tests/,fuzz_tally heaptally-sanitized libheaptally-judge.so tsan)
	$(Q)$(MAKE) --no-print-directory -s -C tests

# The shim once more, with a judge between the hooks and the unwinder; the objects are those that ship.
JUDGE_WRAPS = -Wl,--wrap=unwind_stack,--wrap=unwind_slow,--wrap=unwind_forget
$(BUILD)/tests/libheaptally-judge.so: $(SHIM_OBJECTS) $(BUILD)/tests/judge/judge.o preload/libheaptally.map
	$(say) LD $@
	$(Q)$(CC) $(SHIM_LDFLAGS) $(JUDGE_WRAPS) -o $@ $(SHIM_OBJECTS) $(BUILD)/tests/judge/judge.o
$(BUILD)/tests/judge/judge.o: tests/judge/judge.c
	$(say) CC $<
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) $(SHIM_CFLAGS) -c -o $@ $<

# The shim without its hooks, in a program that calls what they call, with the thread sanitizer in.
TSAN_OBJECTS = $(patsubst %.c,$(BUILD)/tsan/%.o,$(filter-out preload/hooks.c preload/passing.c,$(wildcard preload/*.c)) tests/tsan/driver.c)
$(BUILD)/tsan/%.o: %.c
	$(say) CC $@
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) -fsanitize=thread -Wno-tsan -DTHREAD_END_ROUNDS=2u -c -o $@ $<
$(BUILD)/tests/tsan: $(TSAN_OBJECTS)
	$(say) LD $@
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) -fsanitize=thread -pthread -o $@ $^

# The analyzer once more, with the sanitizers in.
SANITIZE = -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer
$(BUILD)/sanitized/%.o: %.c
	$(say) CC $@
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) $(ANALYZER_CFLAGS) $(SANITIZE) -DFUZZ_STANDALONE -c -o $@ $<
$(BUILD)/sanitized/analyzer/config.o: analyzer/config.cpp
	$(say) CXX $@
	$(Q)mkdir -p $(@D)
	$(Q)$(CXX) $(ANALYZER_CXXFLAGS) $(SANITIZE) -c -o $@ $<
SANITIZED_OBJECTS = $(patsubst $(BUILD)/%,$(BUILD)/sanitized/%,$(ANALYZER_OBJECTS))
$(BUILD)/sanitized/analyzer/catalog.o: analyzer/catalog/rust.toml analyzer/catalog/rspack.toml
$(BUILD)/tests/heaptally-sanitized: $(BUILD)/sanitized/analyzer/main.o $(SANITIZED_OBJECTS)
	$(say) LD $@
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(SANITIZE) -o $@ $^ $(ANALYZER_LIBS)
$(BUILD)/tests/fuzz_tally: $(BUILD)/sanitized/tests/fuzz/fuzz_tally.o $(BUILD)/sanitized/tests/unit/synth.o \
		$(SANITIZED_OBJECTS)
	$(say) LD $@
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(SANITIZE) -o $@ $^ $(ANALYZER_LIBS)

bench: ## the cost, beside that of other profilers; VARIANT=small ROUNDS=5 BINDING=both TOOLS=sampled_shim
	@tests/deps.sh test
	@$(MAKE) --no-print-directory all $(addprefix $(BUILD)/bench/,measure micro empty_hook.so)
	@ROUNDS=$(ROUNDS) VARIANT=$(VARIANT) BINDING=$(BINDING) TOOLS="$(TOOLS)" tests/bench/bench.sh
$(BUILD)/bench/empty_hook.so: tests/bench/empty_hook.c
	$(Q)mkdir -p $(@D) && $(CC) $(ALL_CFLAGS) -shared -fPIC -o $@ $<
$(BUILD)/bench/%: tests/bench/%.c
	$(Q)mkdir -p $(@D) && $(CC) $(ALL_CFLAGS) -pthread -o $@ $<

judge: all $(BUILD)/tests/libheaptally-judge.so ## a million stacks of the full build, compared with libunwind's
	@tests/integration/judge.sh --full

billion: all $(BUILD)/bench/steady ## a million to a billion events: time for each, size of the tally; MOST=100000000
	@tests/bench/billion.sh

hundred: all ## 100 builds of the release binding in a row: crashed, hung, differing?
	@$(MAKE) --no-print-directory -s -C tests dump
	@tests/bench/hundred.sh

# heaptally(1), FILES, has the list; the command finds the shim by its own place.
SHARE = $(DESTDIR)$(PREFIX)/share
install: all ## to PREFIX, /usr/local by default
	install -D $(BUILD)/heaptally -t $(DESTDIR)$(PREFIX)/bin
	install -D -m 644 $(BUILD)/libheaptally.so -t $(DESTDIR)$(PREFIX)/lib/heaptally
	install -D -m 644 include/heaptally.h -t $(DESTDIR)$(PREFIX)/include
	install -D -m 644 man/*.1 -t $(SHARE)/man/man1
	install -D -m 644 man/*.7 -t $(SHARE)/man/man7
	install -D -m 644 analyzer/views/*.schema.json -t $(SHARE)/heaptally
	install -D -m 644 analyzer/catalog/*.toml -t $(SHARE)/heaptally/catalog
	install -D -m 644 examples/ci/*.* -t $(SHARE)/heaptally/ci
	install -D -m 644 examples/plugin/*.* -t $(SHARE)/heaptally/plugin

help: ## this list
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/\1|\2/p' $(MAKEFILE_LIST) | while IFS='|' read -r t d; do \
		printf '  make %-8s %s\n' "$$t" "$$d"; done

clean: ## remove what was built
	rm -rf $(BUILD)

.PHONY: all deps demo test test-programs bench judge billion hundred install help clean
-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)
