// SPDX-License-Identifier: MIT
// The live flame graph: takes the place of the static picture when the file is opened by itself. All state is the
// zoomed frame and the search; both are in the URL's hash, so that a link shows what one saw.
"use strict";
(() => {
	const svg = document.documentElement;
	if (svg.localName !== "svg")
		return; // inlined in somebody's page: the picture is enough

	const data = JSON.parse(document.getElementById("data").textContent);
	const STEP = 2 + data.metrics.length, ROW = 18, SMALLEST_PX = 0.7;
	const count = data.frames.length / STEP;
	const depthOf = (i) => data.frames[i * STEP];
	const functionOf = (i) => data.functions[data.frames[i * STEP + 1]] || ["all", 0, -1, -1, 49];
	// as svg.c's colour_of_change
	function colourOf(i) {
		if (!data.diff)
			return functionOf(i)[4];
		const before = valueOf(i, 1), after = valueOf(i, 2), part = (after - before) / (Math.max(before, after) || 1);
		const size = Math.abs(part), step = size < 0.05 ? 0 : size < 0.2 ? 1 : size < 0.5 ? 2 : size < 0.9 ? 3 : 4;
		return 54 + (part < 0 ? -step : step);
	}
	const valueOf = (i, metric = data.metric) => data.frames[i * STEP + 2 + metric];

	// Frames are in depth-first order: a frame's callees are the ones up to last[].
	const parent = new Int32Array(count), last = new Int32Array(count).fill(count), start = new Float64Array(count);
	const path = [];
	for (let i = 0, depth; i < count; i++) {
		depth = depthOf(i);
		while (path.length > depth)
			last[path.pop().i] = i;
		const up = path[depth - 1];
		parent[i] = up ? up.i : -1;
		start[i] = up ? up.next : 0;
		if (up)
			up.next += valueOf(i);
		path.push({ i, next: start[i] });
	}

	const exact = (n) => n.toLocaleString("en-US");
	function human(n, bytes) {
		if (!bytes || n < 1000)
			return exact(n) + (bytes ? " B" : "");
		let u = -1;
		do {
			n /= 1000;
			u++;
		} while (n >= 999.5 && u < 5);
		return n.toFixed(n < 9.995 ? 2 : n < 99.95 ? 1 : 0) + " " + ["kB", "MB", "GB", "TB", "PB", "EB"][u];
	}
	const isBytes = data.metrics[data.metric][1];
	function percent(part, whole) {
		const p = whole ? 100 * part / whole : 0;
		return (p && p < 0.1 ? p.toPrecision(1) : p.toFixed(p < 10 ? 2 : 1)) + "%";
	}

	function make(tag, cls, text) {
		const e = document.createElementNS("http://www.w3.org/1999/xhtml", tag);
		if (cls)
			e.className = cls;
		if (text !== undefined)
			e.textContent = text;
		return e;
	}
	function button(text, title, act) {
		const b = make("button", "", text);
		b.type = "button";
		b.title = title;
		b.onclick = act;
		return b;
	}
	const label = (f) => f[1] || f[0];

	let zoomed = 0, search = "", hits = new Set();

	// The page
	const app = make("div", "app page"), header = make("header"), top = make("div", "row");
	const find = make("div", "find"), input = make("input"), clear = button("reset", "Esc", () => reset());
	const found = make("p"), legend = make("div", "row legend"), crumbs = make("nav", "crumbs");
	const name = make("div", "name"), figures = make("p"), graph = make("div", "graph"), tip = make("div", "tip");
	input.type = "search";
	input.placeholder = "search: text or /regex/";
	input.setAttribute("aria-label", "search frames by text or /regex/");
	found.setAttribute("role", "status");
	crumbs.setAttribute("aria-label", "callers of the zoomed frame");
	find.append(input, clear);
	top.append(make("h1", "", data.title), find);
	for (const [index, value, colour] of data.legend) {
		const crate = data.crates[index];
		const b = button("", "search for " + crate, () => go(zoomed, crate));
		b.append(make("i", "c" + colour), crate + " " + percent(value, valueOf(0)));
		legend.append(b);
	}
	header.append(top, make("p", "", data.subtitle), make("p", "", data.note), legend, crumbs, name, figures, found);
	app.append(header, graph, tip);
	tip.hidden = true;

	function render() {
		const px = graph.clientWidth / (valueOf(zoomed) || 1), boxes = [];
		let rows = 0;
		for (let i = zoomed; i < last[zoomed];) {
			const width = i === zoomed ? graph.clientWidth : valueOf(i) * px;
			if (width < SMALLEST_PX) {
				i = last[i];
				continue;
			}
			const f = functionOf(i), row = depthOf(i) - depthOf(zoomed);
			const box = make("div", "f c" + colourOf(i) + (width < 4 ? " thin" : "") + (hits.has(i) ? " hit" : ""));
			if (width >= 20)
				box.textContent = label(f);
			box.style.left = (start[i] - start[zoomed]) * px + "px";
			box.style.width = width + "px";
			box.style.top = row * ROW + "px";
			box.frame = i++;
			rows = Math.max(rows, row + 1);
			boxes.push(box);
		}
		const end = make("div");
		end.style.height = rows * ROW + 12 + "px";
		graph.replaceChildren(...boxes, end);
	}

	function describe() {
		const path = [];
		for (let i = zoomed; i >= 0; i = parent[i])
			path.unshift(i);
		crumbs.replaceChildren();
		for (const i of path) {
			if (i)
				crumbs.append(make("span", "", "›"));
			crumbs.append(button(label(functionOf(i)), functionOf(i)[0], () => go(i, search)));
		}
		crumbs.scrollLeft = crumbs.scrollWidth;
		crumbs.hidden = name.hidden = figures.hidden = zoomed === 0;
		name.textContent = functionOf(zoomed)[0];
		figures.textContent = data.metrics.map(([metric, bytes], m) =>
			metric + " " + human(valueOf(zoomed, m), bytes)).join(" · ") +
			" · " + percent(valueOf(zoomed), valueOf(0)) + " of all";
	}

	// The matching frames, and what the outermost ones of them hold together.
	function match() {
		hits = new Set();
		found.hidden = !search;
		input.classList.remove("bad");
		if (!search)
			return;
		const regex = /^\/(.+?)\/?$/.exec(search);
		let test;
		try {
			const r = regex && new RegExp(regex[1], "i"), low = search.toLowerCase();
			test = r ? (s) => r.test(s) : (s) => s.toLowerCase().includes(low);
		} catch (e) {
			input.classList.add("bad");
			found.textContent = "not a regular expression: " + regex[1];
			return;
		}
		const yes = data.functions.map((f) => test(f[0]) || test(data.crates[f[2]]));
		let sum = 0;
		for (let i = 1, covered = 0; i < count; i++) {
			if (!yes[data.frames[i * STEP + 1]])
				continue;
			hits.add(i);
			if (i >= covered) {
				sum += valueOf(i);
				covered = last[i];
			}
		}
		found.textContent = hits.size ? (data.cut ? "at least " : "") + percent(sum, valueOf(0)) + " of all, " +
			human(sum, isBytes) + ", in " + exact(hits.size) + (hits.size === 1 ? " frame" : " frames") +
			" with their callees" : "no frame matches";
	}

	function table(i) {
		const t = make("table");
		data.metrics.forEach(([metric, bytes], m) => {
			const row = make("tr", m === data.metric ? "chosen" : ""), v = valueOf(i, m);
			row.append(make("td", "", metric), make("td", "", bytes ? human(v, true) : ""),
				make("td", "", exact(v) + (bytes ? " B" : "")), make("td", "", percent(v, valueOf(0, m))));
			t.append(row);
		});
		return t;
	}

	function point(event) {
		const i = event.target.frame;
		tip.hidden = i === undefined;
		if (tip.hidden)
			return;
		if (tip.frame !== i) {
			const f = functionOf(i), v = valueOf(i), crate = data.crates[f[2]], module = data.modules[f[3]];
			tip.frame = i;
			tip.replaceChildren(make("b", "", f[0]));
			if (crate)
				tip.append(make("p", "", crate + (module ? ", in " + module : "")));
			tip.append(make("p", "", human(v, isBytes) + ": " + percent(v, valueOf(0)) + " of all" +
				(parent[i] >= 0 ? ", " + percent(v, valueOf(parent[i])) + " of its caller" : "")), table(i));
		}
		// beside the pointer, inside the window
		const w = tip.offsetWidth, h = tip.offsetHeight;
		const x = event.clientX + 14, y = event.clientY + 16;
		tip.style.left = Math.max(4, Math.min(x, innerWidth - w - 4)) + "px";
		tip.style.top = Math.max(4, y + h + 4 > innerHeight ? event.clientY - h - 12 : y) + "px";
	}

	function show() {
		if (input.value.trim() !== search)
			input.value = search; // but leave the caret alone while typing
		clear.hidden = !zoomed && !search;
		tip.hidden = true;
		match();
		describe();
		render();
	}
	function read() {
		const state = new URLSearchParams(location.hash.slice(1)), f = Number(state.get("frame"));
		zoomed = Number.isInteger(f) && f > 0 && f < count ? f : 0;
		search = state.get("search") || "";
		show();
	}
	// push: a step that the browser's Back undoes; typing is not one for every letter
	function go(frame, text, push = true) {
		const state = new URLSearchParams();
		if (frame)
			state.set("frame", frame);
		if (text)
			state.set("search", text);
		if (frame !== zoomed)
			graph.scrollTop = 0;
		zoomed = frame;
		search = text;
		const hash = "#" + state;
		if (hash !== location.hash && (location.hash || hash !== "#"))
			history[push ? "pushState" : "replaceState"](null, "", hash);
		show();
	}
	function reset() {
		go(0, "");
		input.blur();
	}

	graph.addEventListener("mousemove", point);
	graph.addEventListener("mouseleave", () => (tip.hidden = true));
	graph.addEventListener("scroll", () => (tip.hidden = true));
	graph.addEventListener("click", (event) => {
		const i = event.target.frame;
		if (i === undefined)
			return;
		if (event.altKey && navigator.clipboard)
			navigator.clipboard.writeText(functionOf(i)[0]);
		else
			go(i, search);
	});
	input.addEventListener("input", () => go(zoomed, input.value.trim(), false));
	addEventListener("keydown", (event) => {
		const typing = event.target === input;
		if (event.key === "Escape")
			reset();
		else if ((event.key === "/" || (event.key === "f" && (event.ctrlKey || event.metaKey))) && !typing)
			input.select();
		else
			return;
		event.preventDefault();
	});
	addEventListener("resize", render);
	addEventListener("popstate", read);

	// The root takes the window's size; HTML inside it does its own layout.
	const host = document.createElementNS("http://www.w3.org/2000/svg", "foreignObject");
	host.setAttribute("width", "100%");
	host.setAttribute("height", "100%");
	const viewport = make("meta"); // or a phone pretends to be 980 px wide
	viewport.name = "viewport";
	viewport.content = "width=device-width, initial-scale=1";
	host.append(viewport, app);
	svg.removeAttribute("viewBox");
	svg.removeAttribute("role");
	svg.setAttribute("width", "100%");
	svg.setAttribute("height", "100%");
	document.getElementById("picture").remove();
	svg.append(host);
	read();
})();
