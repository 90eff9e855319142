/* SPDX-License-Identifier: MIT */
/*
 * What names say. The names are real ones (debug binding of rspack, node, libstdc++, rustc's legacy mangling); what is
 * expected of each was written by reading it.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../analyzer/rust.h"

static const char *const plumbing[] = {"alloc", "core", "std", "hashbrown", "smallvec", "dashmap",
	"tokio", "rayon", "rayon_core", "futures_util", "triomphe", NULL};

struct expected {
	const char *name, *crate, *brief, *container, *element;
	bool plumbing;
};

static const struct expected names[] = {
	/* containers */
	{"alloc::raw_vec::RawVec<T,A>::grow_one", "alloc", "RawVec::grow_one", "RawVec", "T", true},
	{"<alloc::raw_vec::RawVec<rspack_core::Dependency>>::grow_one", "alloc", "RawVec::grow_one",
		"RawVec", "rspack_core::Dependency", true},
	{"<alloc::raw_vec::RawVecInner>::reserve::do_reserve_and_handle::<alloc::alloc::Global>",
		"alloc", "reserve::do_reserve_and_handle", "RawVecInner", "", true},
	{"<alloc::raw_vec::RawVec<alloc::boxed::Box<dyn "
	 "rspack_core::compilation::CompilationContentHash "
	 "+ core::marker::Send + core::marker::Sync>> as core::ops::drop::Drop>::drop",
		"alloc", "RawVec::drop", "RawVec",
		"alloc::boxed::Box<dyn rspack_core::compilation::CompilationContentHash + "
		"core::marker::Send + core::marker::Sync>",
		true},
	{"<alloc::vec::Vec<rspack_core::X> as core::clone::Clone>::clone", "alloc", "Vec::clone",
		"Vec", "rspack_core::X", true},
	{"alloc::vec::from_elem::<rspack_core::X>", "alloc", "vec::from_elem", "Vec",
		"rspack_core::X", true},
	{"<rspack_core::X as <[_]>::to_vec_in::ConvertVec>::to_vec::<alloc::alloc::Global>", "core",
		"X::to_vec", "Vec", "rspack_core::X", true},
	{"<T as alloc::slice::hack::ConvertVec>::to_vec", "alloc", "T::to_vec", "Vec", "T", true},
	{"<[rspack_core::X]>::to_vec", "core", "[_]::to_vec", "Vec", "rspack_core::X", true},
	{"<smallvec::SmallVec<[lightningcss::properties::text::TextShadow; "
	 "1]>>::reserve_one_unchecked",
		"smallvec", "SmallVec::reserve_one_unchecked", "SmallVec",
		"lightningcss::properties::text::TextShadow", true},
	{"<hashbrown::raw::RawTable<(a::K, "
	 "alloc::vec::Vec<b::V>)>>::reserve_rehash::<c::d::{closure#0}>",
		"hashbrown", "RawTable::reserve_rehash", "RawTable",
		"(a::K, alloc::vec::Vec<b::V>)", true},
	{"<hashbrown::map::HashMap<camino::Utf8PathBuf, (), rustc_hash::FxBuildHasher>>::insert",
		"hashbrown", "HashMap::insert", "HashMap", "camino::Utf8PathBuf, ()", true},
	{"alloc::collections::btree::map::BTreeMap<K,V>::insert", "alloc", "BTreeMap::insert",
		"BTreeMap", "K,V", true},
	{"<alloc::collections::btree::map::entry::VacantEntry<a::K, b::V>>::insert_entry", "alloc",
		"VacantEntry::insert_entry", "BTreeMap", "a::K, b::V", true},
	{"<alloc::collections::btree::node::Handle<alloc::collections::btree::node::NodeRef<alloc::"
	 "collections::btree::node::marker::Mut, rspack_intern::atom::Atom, rspack_core::Info, "
	 "alloc::collections::btree::node::marker::Leaf>, "
	 "alloc::collections::btree::node::marker::Edge>>::insert_recursing::<alloc::alloc::"
	 "Global>",
		"alloc", "Handle::insert_recursing", "BTreeMap",
		"rspack_intern::atom::Atom, rspack_core::Info", true},
	{"<alloc::sync::Arc<dyn rspack_loader_runner::plugin::LoaderRunnerPlugin<Context = "
	 "rspack_core::RunnerContext>>>::drop_slow",
		"alloc", "Arc::drop_slow", "Arc",
		"dyn rspack_loader_runner::plugin::LoaderRunnerPlugin<Context = "
		"rspack_core::RunnerContext>",
		true},
	{"<alloc::vec::drain::Drain<'a, b::T> as core::ops::drop::Drop>::drop", "alloc",
		"Drain::drop", "", "", true},
	/* no containers: those are in somebody else's arguments */
	{"core::ptr::drop_in_place::<alloc::vec::Vec<rspack_core::X>>", "core",
		"ptr::drop_in_place", "", "", true},
	{"<rspack_core::Vec<u8>>::push", "rspack_core", "Vec::push", "", "", false},
	/* whose code it is */
	{"<rspack_core::X as core::clone::Clone>::clone", "rspack_core", "X::clone", "", "", false},
	{"<alloc::boxed::Box<F> as core::ops::function::FnOnce<Args>>::call_once", "alloc",
		"Box::call_once", "Box", "F", true},
	{"core::ops::function::FnOnce::call_once::<rspack_core::f::{closure#0}>", "core",
		"FnOnce::call_once", "", "", true},
	{"<&mut rspack_core::f::{closure#0} as core::ops::function::FnMut<()>>::call_mut",
		"rspack_core", "f::{closure#0}::call_mut", "", "", false},
	{"<rspack_core::f::{closure#0} as "
	 "core::ops::function::FnOnce<()>>::call_once::{shim:vtable#0}",
		"rspack_core", "f::{closure#0}::call_once::{shim:vtable#0}", "", "", false},
	{"<rspack_core::It as "
	 "core::iter::traits::iterator::Iterator>::collect::<alloc::vec::Vec<u8>>",
		"core", "It::collect", "", "", true},
	{"<rspack_core::It as core::iter::traits::iterator::Iterator>::next", "rspack_core",
		"It::next", "", "", false},
	{"<rspack_core::X as alloc::string::SpecToString>::spec_to_string", "alloc",
		"X::spec_to_string", "", "", true},
	{"<u8 as core::fmt::Debug>::fmt", "core", "u8::fmt", "", "", true},
	{"<[u8] as rspack_core::Tr>::go", "rspack_core", "[_]::go", "", "", false},
	{"<<a::B as c::D>::E as f::G>::h", "a", "E::h", "", "", false},
	{"<fn(&u8) -> i32 as a::Tr>::go", "a", "fn::go", "", "", false},
	{"<a::C<3, true, '<'>>::k", "a", "C::k", "", "", false},
	{"rspack_core::x::<impl core::convert::From<rspack_core::A> for rspack_core::B>::from",
		"rspack_core", "B::from", "", "", false},
	{"std::sys::backtrace::__rust_begin_short_backtrace::<rspack_core::f::{closure#0}, ()>",
		"std", "backtrace::__rust_begin_short_backtrace", "", "", true},
	{"tokio::runtime::task::raw::poll::<rspack_core::F>", "tokio", "raw::poll", "", "", true},
	{"__rust_alloc", "", "__rust_alloc", "", "", true},
	{"__rustc::__rdl_alloc", "__rustc", "__rustc::__rdl_alloc", "", "", true},
	/* C and C++ */
	{"malloc", "", "malloc", "", "", true},
	{"_int_malloc", "", "_int_malloc", "", "", true},
	{"_dl_init", "", "_dl_init", "", "", true},
	{"__libc_start_call_main", "", "__libc_start_call_main", "", "", true},
	{"start_thread", "", "start_thread", "", "", true},
	{"libc.so.6+0x89120", "", "libc.so.6+0x89120", "", "", true},
	{"rspack.linux-x64-gnu.node+0x1a2b3c", "", "rspack.linux-x64-gnu.node+0x1a2b3c", "", "",
		false},
	{"main", "", "main", "", "", false},
	{"uv_run", "", "uv_run", "", "", false},
	{"napi_create_string_utf8", "", "napi_create_string_utf8", "", "", false},
	{"mallocate", "", "mallocate", "", "", false},
	{"operator new(unsigned long)", "", "operator new", "", "", true},
	{"operator new[](unsigned long, std::nothrow_t const&)", "", "operator new[]", "", "",
		true},
	{"node::Environment::InitializeMainContext(v8::SnapshotData const*)", "node",
		"Environment::InitializeMainContext", "", "", false},
	{"v8::internal::(anonymous namespace)::Foo<int>::Bar(v8::internal::Handle<v8::Object>, "
	 "int) const",
		"v8", "Foo::Bar", "", "", false},
	{"v8::internal::Foo::operator<(v8::internal::Foo const&) const", "v8", "Foo::operator<", "",
		"", false},
	{"node::f(int)::{lambda(int)#1}::operator()(int) const", "node",
		"{lambda(int)#1}::operator()", "", "", false},
	{"std::vector<node::X, std::allocator<node::X> >::_M_realloc_insert(node::X&&)", "std",
		"vector::_M_realloc_insert", "", "", true},
	{"__gnu_cxx::new_allocator<int>::allocate(unsigned long, void const*)", "__gnu_cxx",
		"new_allocator::allocate", "", "", true},
};

Test(rust, reads_names)
{
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		const struct expected *x = &names[i];
		struct rust_name n;
		rust_name_read(&n, x->name);
		cr_expect_str_eq(n.crate, x->crate, "%s: crate %s", x->name, n.crate);
		cr_expect_str_eq(n.brief, x->brief, "%s: brief %s", x->name, n.brief);
		cr_expect_str_eq(
			n.container, x->container, "%s: container %s", x->name, n.container);
		cr_expect_str_eq(n.element, x->element, "%s: element %s", x->name, n.element);
		cr_expect_eq(rust_name_plumbing(&n, x->name, plumbing), x->plumbing, "%s", x->name);
	}
}

Test(rust, plumbing_is_what_the_list_says)
{
	static const char *const none[] = {NULL};
	struct rust_name n;
	rust_name_read(&n, "alloc::vec::from_elem");
	cr_expect(!rust_name_plumbing(&n, "alloc::vec::from_elem", none));
	cr_expect(!rust_name_plumbing(&n, "alloc::vec::from_elem", NULL));
	rust_name_read(&n, "allocator::f");
	cr_expect(!rust_name_plumbing(&n, "allocator::f", plumbing));
	/* but for what stands in for the allocator */
	static const char wrapper[] = "<app::Counting as core::alloc::global::GlobalAlloc>::alloc";
	rust_name_read(&n, wrapper);
	cr_expect(rust_name_plumbing(&n, wrapper, none));
}

Test(rust, tells_closures_and_languages)
{
	struct rust_name n;
	rust_name_read(&n, "<a::XPass as a::PassExt>::run_pass::{closure#0}");
	cr_expect(n.closure && n.rust);
	cr_expect_str_eq(n.brief, "XPass::run_pass::{closure#0}");
	rust_name_read(&n, "a::main::{{closure}}");
	cr_expect(n.closure && n.rust);
	cr_expect_str_eq(n.brief, "a::main::{{closure}}");
	rust_name_read(&n, "core::ptr::drop_in_place::<a::f::{closure#0}>");
	cr_expect(!n.closure && n.rust);
	rust_name_read(&n, "a::b(int)");
	cr_expect(!n.rust);
	rust_name_read(&n, "free");
	cr_expect(!n.rust);
}

Test(rust, cuts_long_elements)
{
	char name[2048] = "<alloc::vec::Vec<a::";
	for (int i = 0; i < 300; i++)
		strcat(name, "é");
	strcat(name, ">>::push");
	struct rust_name n;
	rust_name_read(&n, name);
	size_t length = strlen(n.element);
	cr_expect(length < sizeof(n.element) && length > sizeof(n.element) - 8);
	cr_expect_str_eq(n.element + length - 5, "é…");
}

Test(rust, shortens)
{
	static const struct {
		const char *name, *brief;
		size_t size;
	} all[] = {
		{"<alloc::raw_vec::RawVec<rspack_core::Dependency>>::grow_one",
			"RawVec<rspack_core::Dependency>::grow_one", 73},
		{"<alloc::vec::Vec<alloc::vec::Vec<u8>>>::push", "Vec<Vec<…>>::push", 73},
		{"<alloc::vec::Vec<T> as core::iter::Extend<&'a T>>::extend::<I>",
			"<Vec<T> as Extend<&T>>::extend", 73},
		{"core::ptr::drop_in_place::<a::B>", "ptr::drop_in_place", 73},
		{"a::Foo<'_>::bar", "a::Foo::bar", 73},
		{"a::b::c::Foo::bar", "a::b::c::Foo::bar", 73},
		{"a::b::c::Foo::bar", "a::…::Foo::bar", 17},
		{"a::b::c::Foo::bar", "Foo::bar", 9},
		{"<a::b::Foo as c::Trait>::bar", "Foo::bar", 9},
		{"abcdefghijklmnopqrstuvwxyz", "abc…uvwxyz", 13},
		{"node::Environment::Run(v8::SnapshotData const*)", "node::Environment::Run", 73},
		{"operator new(unsigned long)", "operator new", 73},
		{"malloc", "malloc", 73},
		{"", "", 73},
		/* by source */
		{"ab::cd::ef::gh:12+0x3f0", "ab::cd::ef::gh:12", 73},
		{"ab::cd::ef::gh:12+0x3f0", "ab::cd::ef::gh:12", 18},
		{"abcd::efgh::ij::kl:12+0x3f0", "abcd::…::ij::kl:12", 21},
		{"abcd::efgh::ij::kl:12+0x3f0", "abcd::…::kl:12", 17},
		{"alloc::vec:7+0x3f0", "alloc::vec:7", 73},
		{"a.node+0x3f0", "a.node+0x3f0", 73},
	};
	for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++) {
		char out[73];
		size_t n = rust_name_short(out, all[i].size, all[i].name);
		cr_expect_str_eq(out, all[i].brief, "%s: %s", all[i].name, out);
		cr_expect_eq(n, strlen(out));
	}
}

Test(rust, tells_what_a_source_tells)
{
	cr_expect_eq(rust_name_source("ab::cd:12+0x3f0"), 9);
	cr_expect_eq(rust_name_source("ab::cd+0x3f0"), 0);
	cr_expect_eq(rust_name_source("ab::cd:12"), 0);
	cr_expect_eq(rust_name_source("ab::cd:+0x3f0"), 0);
	cr_expect_eq(rust_name_source("<ab::Cd as e::F>::g"), 0);
	cr_expect_eq(rust_name_source("a.node+0x3f0"), 0);
	cr_expect_eq(rust_name_source(""), 0);
}

static bool is_utf8_start(char c)
{
	return ((unsigned char)c & 0xc0) != 0x80;
}

Test(rust, short_fits_any_size)
{
	char out[64];
	static const char name[] = "日本語::größe::日本語日本語日本語日本語";
	for (size_t size = 1; size < sizeof(out); size++) {
		memset(out, '#', sizeof(out));
		size_t n = rust_name_short(out, size, name);
		cr_expect(n < size);
		cr_expect_eq(out[n], '\0');
		cr_expect(is_utf8_start(out[0]));
		cr_expect_eq(n, strlen(out));
		for (size_t i = size; i < sizeof(out); i++)
			cr_assert_eq(out[i], '#', "wrote past %zu", size);
	}
	out[0] = '#';
	cr_expect_eq(rust_name_short(out, 0, name), 0);
	cr_expect_eq(out[0], '#');
}

static void survive(const char *name)
{
	struct rust_name n;
	char out[80];
	rust_name_read(&n, name);
	rust_name_plumbing(&n, name, plumbing);
	cr_expect(strlen(n.crate) < sizeof(n.crate) && strlen(n.brief) < sizeof(n.brief));
	cr_expect_lt(rust_name_short(out, sizeof(out), name), sizeof(out));
}

Test(rust, survives_hostile_names, .timeout = 20)
{
	static const char *const some[] = {"<", ">", "<>", "<<>", "<a as", "<a as >",
		"< as b>::", "::", "a::", "::a", "a::::b", "{", "}", "{closure", "a::{", "<(",
		"<(>)", "a<b", "a>b", "'", "''", "'a", "<'", "<&", "<&'a", "<*", "for<", "<for<'a>",
		"<dyn ", "operator", "operator<", "a::operator()", "(", "()",
		"(anonymous namespace)", "\xff\xfe", "<\xc3>", "Vec<", "alloc::vec::Vec<",
		"<alloc::vec::Vec<", "<alloc::vec::Vec<>>::f", "<[", "<[a;",
		"<smallvec::SmallVec<[", "<Handle<", "<alloc::Handle<NodeRef<>>>::f",
		"<a::b as <[_]>::x::ConvertVec>::f", "… ", "a…", " ", "a b", "-> x", "a::b::<"};
	for (size_t i = 0; i < sizeof(some) / sizeof(*some); i++)
		survive(some[i]);

	enum { SIZE = 1 << 20 };
	static const char *const units[] = {"<", ">", "(", "[{(<", "<a as ", "::", "a::", "<'",
		">]})", "&", "operator", "\xff", "<(", "(>", "a::<", "Handle<", "'<'",
		"<<a>::b as "};
	char *big = malloc(SIZE + 1);
	cr_assert(big);
	for (size_t i = 0; i < sizeof(units) / sizeof(*units); i++) {
		size_t n = strlen(units[i]);
		for (size_t at = 0; at + n <= SIZE; at += n) {
			memcpy(big + at, units[i], n);
			big[at + n] = '\0';
		}
		survive(big);
	}
	/* every prefix of a name with everything in it */
	static const char full[] =
		"<<alloc::vec::Vec<&'a (dyn a::B + Send, [u8; 3])> as c::D<'_>>::E<{const}> as "
		"f::G<fn(u8) -> u8>>::h::{closure#0}::<i::J>::k(operator<(int), '<')";
	for (size_t n = 0; n < sizeof(full); n++) {
		memcpy(big, full, n);
		big[n] = '\0';
		survive(big);
	}
	/* and random ones */
	static const char letters[] = "<>()[]{}:::,;'& -#aZ_\xc3\xa9";
	unsigned seed = 1;
	for (int round = 0; round < 20000; round++) {
		size_t n = (size_t)(rand_r(&seed) % 40);
		for (size_t i = 0; i < n; i++)
			big[i] = letters[(size_t)rand_r(&seed) % (sizeof(letters) - 1)];
		big[n] = '\0';
		survive(big);
	}
	free(big);
}

/* Symbols of rspack's binding; what the crate must be is what rspack's source says. */
Test(rust, impl_crate)
{
	static const struct {
		const char *name, *crate; /* NULL: none */
	} cases[] = {
		/* impl PathUtil for camino::Utf8Path, in rspack_resolver; generic, and not */
		{"_RINvXNtCsjomzvLiNEkK_15rspack_resolver4pathNtCsdwtjfKhOzAy_6camino8Utf8PathNtB3_"
		 "8PathUtil14normalize_withRNtBH_11Utf8PathBufEB5_",
			"rspack_resolver"},
		{"_RNvXNtCsjomzvLiNEkK_15rspack_resolver4pathNtCsdwtjfKhOzAy_6camino8Utf8PathNtB2_"
		 "8PathUtil9normalize",
			"rspack_resolver"},
		/* a closure in a method, a function in one, and an impl in that */
		{"_RNCNvXs_Cs1_3appNtCs2_3lib1TNtB4_1U1f0B4_", "app"},
		{"_RNvNvMs0_NtCs1_3app1mNtB4_1T1f1g", "app"},
		{"_RNvXNvMs0_NtCs1_3app1mNtB4_1T1fNtCs2_3lib1TNtB4_1U1h", "app"},
		/* functions, provided methods of traits, other manglings, names with a version */
		{"_RNvNtCsbdRolVWsGMh_11rspack_core21concatenation_backend20analyze_module_scope",
			NULL},
		{"_RNvYNtCs1_3app1TNtCs2_3lib1U1f", NULL},
		{"_ZN3app1T1f17h0123456789abcdefE", NULL},
		{"malloc", NULL},
		{"_R0NvMCs1_3appNtB2_1T1f", "app"},
		{"_RNvMCs1_3_appNtB2_1T1f", "app"},
		/* damaged */
		{"_R", NULL},
		{"_RN", NULL},
		{"_RNvM", NULL},
		{"_RNvMs", NULL},
		{"_RNvMC99999999999999999999app", NULL},
		{"_RNvMC9app", NULL},
		{"_RNvMCu3app", NULL},
		{"_RNvMC3a\x01p", NULL},
		{"_RNvXB_", NULL},
		{"_RNvXBzzzzzzzzzzzzzzzz_", NULL},
	};
	char crate[64];

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		bool found = rust_impl_crate(crate, sizeof(crate), cases[i].name);
		cr_assert_eq(found, cases[i].crate != NULL, "%s", cases[i].name);
		if (found)
			cr_assert_str_eq(crate, cases[i].crate, "%s", cases[i].name);
	}
	/* no room */
	cr_assert_not(rust_impl_crate(crate, 3, "_RNvMC3appNtB2_1T1f"));
}

/* Several types, and tuples: nothing in them is a C++ function's parameters. */
Test(rust, types_in_short)
{
	static const struct {
		const char *type, *brief;
	} cases[] = {
		{"(rspack_core::ukey::ChunkUkey, alloc::string::String)",
			"(rspack_core::ukey::ChunkUkey, String)"},
		{"u8, app::V", "u8, app::V"},
		{"(u32, u32)", "(u32, u32)"},
		{"alloc::vec::Vec<alloc::vec::Vec<u8>>", "Vec<Vec<…>>"},
		{"&str", "&str"},
	};
	char brief[80];

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		rust_type_short(brief, sizeof(brief), cases[i].type);
		cr_assert_str_eq(brief, cases[i].brief);
	}
}
