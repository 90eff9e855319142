# SPDX-License-Identifier: MIT
# Shared objects with an allocator linked in: ALLOCATOR-LANGUAGE-HOW-FRAMES.so, stripped; a twin .sym keeps the names.
# slot: calls go through GOT slots; direct: straight to the function. To be included by tests/Makefile, after OUT, CC,
# RUSTC, WARN and CVFLAGS; the target is adopt.
ADOPT = $(OUT)/adopt
# round: through slots, partly past a shim.
adopt_names = $(foreach a,toy jemalloc,$(foreach l,c rust,$(foreach h,slot direct,$(foreach f,frames noframes,$a-$l-$h-$f)))) \
	toy-c-round-frames
mimalloc_names = $(foreach l,c rust,$(foreach h,slot direct,$(foreach f,frames noframes,mimalloc-$l-$h-$f)))
mimalloc_modules = $(addprefix $(ADOPT)/,$(addsuffix .so,$(mimalloc_names)))
adopt: $(addprefix $(ADOPT)/,$(addsuffix .so,$(adopt_names)) host host-needed) mimalloc
# Its source may be out of reach: then its modules are not there, and mimalloc.why says why.
mimalloc: | $(ADOPT)
	@if victims/adopt/mimalloc.sh $(ADOPT)/mimalloc 2>$(ADOPT)/mimalloc.why; then \
		$(MAKE) --no-print-directory $(mimalloc_modules); else rm -f $(mimalloc_modules); fi

adopt_cflags = -std=gnu11 -D_GNU_SOURCE -O2 -g0 $(WARN) -fPIC -fno-builtin
adopt_frames = -fasynchronous-unwind-tables
adopt_noframes = -fno-asynchronous-unwind-tables -fno-unwind-tables
# The compiler always calls through a slot; the linker turns that into a direct call where it may.
adopt_slot = -Wl,--no-relax
adopt_direct = -Wl,--relax
adopt_round = -Wl,--no-relax
adopt_rust_frames = -C panic=unwind
adopt_rust_noframes = -C panic=abort -C force-unwind-tables=no
adopt_toy = $(ADOPT)/toy-$(word 4,$(subst -, ,$*)).o
adopt_jemalloc = -l:libjemalloc_pic.a
adopt_mimalloc = $(ADOPT)/libmimalloc-$(word 4,$(subst -, ,$*)).a
# As Debian's package is built, but for the parts that replace malloc.
adopt_mimalloc_cflags = -std=gnu11 -g0 -O2 -DNDEBUG -DMI_STATIC_LIB -fPIC -fvisibility=hidden -ftls-model=initial-exec \
	-fno-builtin-malloc -fstack-protector-strong -Wformat -D_FORTIFY_SOURCE=2
adopt_part = $(word $1,$(subst -, ,$*))
adopt_archive = $(adopt_$(word 1,$(subst -, ,$*)))
adopt_toys = $(ADOPT)/toy-frames.o $(ADOPT)/toy-noframes.o
adopt_map = victims/adopt/adopt.map
adopt_syms = $(addprefix $(ADOPT)/,$(addsuffix .sym,$1))

.PRECIOUS: $(ADOPT)/%.sym $(ADOPT)/toy-%.o $(ADOPT)/libmimalloc-%.a
$(ADOPT)/%.so: $(ADOPT)/%.sym
	strip --strip-all -o $@ $<
$(ADOPT)/toy-%.o: victims/adopt/toy.c victims/adopt/toy.h | $(ADOPT)
	$(CC) $(adopt_cflags) -fvisibility=hidden $(adopt_$*) -c -o $@ $<
$(ADOPT)/libmimalloc-%.a: $(ADOPT)/mimalloc/src/static.c
	$(CC) $(adopt_mimalloc_cflags) $(adopt_$*) -I$(ADOPT)/mimalloc/include -c -o $(@:.a=.o) $<
	rm -f $@ && $(AR) rcs $@ $(@:.a=.o)
$(call adopt_syms,$(filter %-frames,$(mimalloc_names))): $(ADOPT)/libmimalloc-frames.a
$(call adopt_syms,$(filter %-noframes,$(mimalloc_names))): $(ADOPT)/libmimalloc-noframes.a
$(call adopt_syms,$(foreach n,$(adopt_names) $(mimalloc_names),$(if $(findstring -c-,$n),$n))): \
$(ADOPT)/%.sym: victims/adopt/user.c victims/adopt/toy.h victims/adopt/ledger.h $(adopt_map) $(adopt_toys)
	$(CC) $(adopt_cflags) -fno-plt $(adopt_$(call adopt_part,4)) $(if $(findstring jemalloc,$*),-DJEMALLOC) $(if $(findstring round,$*),-DROUND) \
		-shared -Wl,--version-script=$(adopt_map) -Wl,-z,now -Wl,-z,relro \
		$(adopt_$(call adopt_part,3)) -o $@ $< $(adopt_archive) -lpthread -lm -ldl
$(call adopt_syms,$(foreach n,$(adopt_names) $(mimalloc_names),$(if $(findstring -rust-,$n),$n))): \
$(ADOPT)/%.sym: victims/adopt/user.rs $(adopt_toys)
	$(RUSTC) --edition 2021 -O --crate-type cdylib --crate-name user $(if $(findstring jemalloc,$*),--cfg jemalloc) \
		$(adopt_rust_$(call adopt_part,4)) -C link-arg=$(adopt_$(call adopt_part,3)) \
		$(addprefix -C link-arg=,$(adopt_archive) -lpthread -lm -ldl -lc) -o $@ $<
$(ADOPT)/host: victims/adopt/host.c victims/adopt/ledger.h | $(ADOPT)
	$(CC) $(CVFLAGS) -o $@ $< -ldl
$(ADOPT)/host-needed: victims/adopt/host.c victims/adopt/ledger.h $(ADOPT)/toy-c-slot-frames.so
	$(CC) $(CVFLAGS) -DNEEDED -o $@ $< -L$(ADOPT) -l:toy-c-slot-frames.so -Wl,-rpath,'$$ORIGIN' -ldl
$(ADOPT):
	mkdir -p $@
.PHONY: adopt mimalloc
