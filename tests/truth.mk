# SPDX-License-Identifier: MIT
# The pattern programs of examples/rust/patterns and the crates they use, from the sources that Debian's librust-*-dev
# packages install. Straight with rustc: no registry, no lock file, and each crate is built once for all.
CRATES = /usr/share/cargo/registry
PATTERNS = $(patsubst %.rs,%,$(filter-out ledger.rs,$(notdir $(wildcard ../examples/rust/patterns/*.rs))))
P = $(OUT)/patterns
# As a binding is built: optimised, v0 names, lines for inlined functions.
RUSTFLAGS = -C opt-level=2 -C debuginfo=1 -C symbol-mangling-version=v0 -C codegen-units=4

# With their paths: rustc has a hashbrown and a libc of its own.
extern = -L dependency=$(P) $(foreach used,$(1),--extern $(used)=$(P)/lib$(used).rlib)

patterns: $(addprefix $(P)/,$(PATTERNS))

USES_boxed_objects = bumpalo
USES_string_storm = rustc_hash
USES_map_regrowth = rustc_hash
USES_map_per_object = dashmap rustc_hash
USES_tiny_map = hashbrown rustc_hash smallvec
define program
$(P)/$(1): ../examples/rust/patterns/$(1).rs $(foreach used,ledger $(USES_$(1)),$(P)/lib$(used).rlib)
	$$(RUSTC) --edition 2021 $(RUSTFLAGS) $(call extern,ledger $(USES_$(1))) -o $$@ $$<
endef
$(foreach name,$(PATTERNS),$(eval $(call program,$(name))))

$(P)/libledger.rlib: ../examples/rust/patterns/ledger.rs | $(P)
	$(RUSTC) --edition 2021 $(RUSTFLAGS) --crate-type rlib --crate-name ledger -o $@ $<

# crate NAME EDITION FLAGS USED: Cargo.toml's edition, the features wanted, and the crates it uses. The version is
# whatever Debian has.
define crate
$(P)/lib$(1).rlib: $(foreach used,$(4),$(P)/lib$(used).rlib) | $(P)
	$$(RUSTC) --edition $(2) $(RUSTFLAGS) --cap-lints allow --crate-type rlib --crate-name $(1) $(3) \
		$(call extern,$(4)) \
		-o $$@ $$(firstword $$(wildcard $(CRATES)/$(subst _,[-_],$(1))-[0-9]*/src/lib.rs) $(1)-is-not-installed)
endef
libc_flags = $(addprefix --cfg ,freebsd11 libc_priv_mod_use libc_union libc_const_size_of libc_align libc_int128 \
	libc_core_cvoid libc_packedN libc_cfg_target_vendor libc_non_exhaustive libc_ptr_addr_of libc_underscore_const_names)
$(eval $(call crate,bumpalo,2021))
$(eval $(call crate,smallvec,2018))
$(eval $(call crate,rustc_hash,2015,--cfg 'feature="std"'))
$(eval $(call crate,hashbrown,2021,--cfg 'feature="raw"' --cfg 'feature="inline-more"'))
$(eval $(call crate,cfg_if,2018))
$(eval $(call crate,scopeguard,2015))
$(eval $(call crate,libc,2015,$(libc_flags)))
$(eval $(call crate,lock_api,2018,--cfg has_const_fn_trait_bound,scopeguard))
$(eval $(call crate,parking_lot_core,2018,,cfg_if libc smallvec))
$(eval $(call crate,once_cell,2021,--cfg 'feature="std"' --cfg 'feature="alloc"' --cfg 'feature="race"'))
$(eval $(call crate,dashmap,2018,,cfg_if hashbrown lock_api once_cell parking_lot_core))

$(P):
	mkdir -p $(P)
.PHONY: patterns
