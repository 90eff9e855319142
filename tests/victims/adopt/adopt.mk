# SPDX-License-Identifier: MIT
# Shared objects with an allocator linked in: names are ALLOCATOR-HOW-FRAMES.so, each stripped, with its names in
# a twin .sym. `include` this after OUT, CC, RUSTC, CVFLAGS are set; the target is adopt.
# slot: calls go through GOT slots; direct: straight to the function; rust: a cdylib, as rustc makes it.
ADOPT = $(OUT)/adopt
adopt_names = $(foreach a,toy jemalloc,$(foreach h,slot direct rust,$(foreach f,frames noframes,$a-$h-$f)))
adopt_c = -std=gnu11 -D_GNU_SOURCE -O2 -g0 $(WARN) -fPIC -fno-builtin
adopt_link = -Wl,--version-script=victims/adopt/adopt.map -Wl,-z,now -Wl,-z,relro -Wl,--gc-sections

adopt: $(addprefix $(ADOPT)/,$(addsuffix .so,$(adopt_names)) host)

adopt_frames = -fasynchronous-unwind-tables
adopt_noframes = -fno-asynchronous-unwind-tables -fno-unwind-tables
adopt_slot = -fno-plt
adopt_slot_link = -Wl,--no-relax
adopt_direct = -fvisibility=hidden
part = $(word $1,$(subst -, ,$*))

# hidden declarations make the compiler call directly; through_slots undoes it for the one form
adopt_c_flags = $(adopt_c) $(adopt_$(call part,2)) $(adopt_$(call part,3))
$(ADOPT)/toy-%.o: victims/adopt/toy.c victims/adopt/toy.h | $(ADOPT)
	$(CC) $(adopt_c) -ffunction-sections $(adopt_$(lastword $(subst -, ,$*))) -c -o $@ $<
$(ADOPT)/user-%.o: victims/adopt/user.c victims/adopt/toy.h victims/adopt/ledger.h | $(ADOPT)
	$(CC) $(adopt_c_flags) $(if $(findstring jemalloc,$*),-DJEMALLOC) -c -o $@ $<
adopt_toy = $(ADOPT)/toy-$(call part,3).o
adopt_jemalloc = -l:libjemalloc_pic.a -lpthread -lm -ldl
adopt_archive = $(if $(findstring toy,$*),$(adopt_toy),$(adopt_jemalloc))

.SECONDARY:
$(ADOPT)/%.so: $(ADOPT)/%.sym
	strip --strip-all $(if $(findstring noframes,$*),-R .eh_frame -R .eh_frame_hdr) -o $@ $<
$(ADOPT)/%-slot-frames.sym $(ADOPT)/%-slot-noframes.sym: ;
$(ADOPT)/%.sym: $(ADOPT)/user-%.o $(ADOPT)/toy-frames.o $(ADOPT)/toy-noframes.o victims/adopt/adopt.map
	$(CC) -shared $(adopt_link) $(adopt_$(call part,2)_link) -o $@ $< $(adopt_archive)
$(ADOPT)/host: victims/adopt/host.c victims/adopt/ledger.h | $(ADOPT)
	$(CC) $(CVFLAGS) -o $@ $< -ldl
$(ADOPT):
	mkdir -p $@
