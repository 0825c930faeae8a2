// Table, plots and mosaic of the group's page, linked: one scan is chosen, some are shown, in one order.
"use strict";
(() => {
  const { scans, columns } = JSON.parse(document.getElementById("data").textContent);
  const byId = (id) => document.getElementById(id);
  const SVG = "http://www.w3.org/2000/svg";
  const MARKS = { fail: "▼", review: "◆", pass: "●", error: "✕" };
  const state = { order: scans.map((_, n) => n), column: "outliers", down: false, shown: new Set(), chosen: null };

  function make(name, properties = {}, ...children) {
    const element = document.createElement(name);
    for (const [key, value] of Object.entries(properties)) {
      if (key in element) element[key] = value; else element.setAttribute(key, value);
    }
    element.append(...children);
    return element;
  }
  function draw(name, attributes, parent) {
    const element = document.createElementNS(SVG, name);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    parent.append(element);
    return element;
  }
  function number(value, digits) {
    if (value === null) return "–";
    const text = digits >= 0 ? value.toFixed(digits) : String(Number(value.toPrecision(-digits)));
    return text.replace("-", "−");
  }

  // ---- table: every row is made once, then moved and hidden
  const HEADINGS = [["scan", (s) => s.name], ["decision", (s) => "efrp".indexOf(s.decision[0])], ["cause", (s) => s.cause],
    ...columns.map((c, n) => [c.heading, (s) => s.values[n]]), ["note", (s) => s.note]];
  const body = document.querySelector(".table tbody");
  const rows = scans.map((scan, n) => make("tr", { className: "row" },
    make("th", { scope: "row", title: scan.name }, scan.page ? make("a", { href: scan.page }, scan.name) : scan.name),
    make("td", { className: "words " + scan.decision }, MARKS[scan.decision] + " " + scan.decision,
      ...(scan.unlike ? [make("abbr", { title: "unlike the training data" }, " ⚠")] : [])),
    ...(scan.page ? [make("td", { className: "words" }, scan.cause),
      ...scan.values.map((value, c) => make("td", {}, number(value, columns[c].digits))),
      make("td", { className: "words note" }, scan.note)]
      : [make("td", { className: "words error", colSpan: columns.length + 2 }, scan.note)])));
  const heads = HEADINGS.map(([heading], n) => make("th", { scope: "col", className: n < 3 || n === HEADINGS.length - 1 ? "words" : "" },
    make("button", { type: "button", onclick: () => sortBy(n, state.column === n && !state.down) }, heading)));
  document.querySelector(".table thead").append(make("tr", {}, ...heads));

  function sortBy(column, down) {
    Object.assign(state, { column, down });
    state.order = scans.map((_, n) => n); // as they came: outliers first
    const key = column === "name" ? HEADINGS[0][1] : HEADINGS[column]?.[1];
    if (key) {
      const keys = scans.map(key);
      const empty = (v) => v === null || v === "";
      state.order.sort((a, b) => {
        if (empty(keys[a]) || empty(keys[b])) return empty(keys[a]) - empty(keys[b]) || a - b; // empty ones last
        const before = typeof keys[a] === "string" ? keys[a].localeCompare(keys[b], "en", { numeric: true }) : keys[a] - keys[b];
        return (down ? -before : before) || a - b;
      });
    }
    heads.forEach((head, n) => head.setAttribute("aria-sort", n !== column ? "none" : down ? "descending" : "ascending"));
    byId("order").value = column === "outliers" || column === "name" ? column : "column";
    arrange();
  }
  function arrange() { // what is hidden leaves the document, so that 2,000 scans stay quick
    const there = state.order.filter((n) => state.shown.has(n));
    body.replaceChildren(...there.map((n) => rows[n]));
    mosaic.replaceChildren(...there.map((n) => tiles[n]).filter(Boolean));
  }

  // ---- mosaic
  const mosaic = byId("mosaic");
  const picture = (scan) => make("img", {
    loading: "lazy", width: 240, height: 84, src: scan.picture, alt: `Three planes of ${scan.name}`,
  });
  const tiles = scans.map((scan) => scan.page && make("li", { className: "tile" },
    make("a", { href: scan.page, className: scan.decision }, picture(scan),
      make("span", {}, scan.name), make("span", { className: scan.decision }, `${MARKS[scan.decision]} ${scan.decision} ${scan.cause === "none" ? "" : scan.cause}`))));

  // ---- plots
  const W = 560, H = 360, LEFT = 64, RIGHT = 14, TOP = 12, BOTTOM = 36;
  const heading = (text) => Math.max(columns.findIndex((c) => c.heading === text), 0);
  const plots = [...document.querySelectorAll(".plot")].map((figure, n) => {
    const svg = draw("svg", { viewBox: `0 0 ${W} ${H}`, tabindex: 0, role: "application" }, figure);
    const [x, y] = ["x", "y"].map((axis) => figure.querySelector("." + axis));
    for (const select of [x, y]) columns.forEach((c, k) => select.append(make("option", { value: k }, c.heading)));
    x.value = heading(["artefact uncertainty", "SNR"][n]);
    y.value = heading(["predicted Dice", "GM volume, mL"][n]);
    const plot = { svg, x, y, points: [] };
    for (const select of [x, y]) select.addEventListener("change", () => { redraw(plot); show(); choose(state.chosen); });
    // the nearest point within reach, so that small points are easy to hit
    svg.addEventListener("pointermove", (event) => { const near = nearest(plot, event); if (near !== null) choose(near); });
    svg.addEventListener("click", (event) => { const near = nearest(plot, event); if (near !== null) open(near); });
    svg.addEventListener("keydown", (event) => step(plot, event));
    return plot;
  });

  function scale(values, from, to) {
    const finite = values.filter((v) => v !== null);
    let low = Math.min(...finite), high = Math.max(...finite);
    if (!finite.length) [low, high] = [0, 1];
    if (low > 0 && high / low > 20) { // several decades: logarithmic, ticks at 1, 2 and 5
      const a = Math.log10(low) - 0.05, b = Math.log10(high) + 0.05;
      const steps = b - a > 3 ? [1] : b - a > 1.5 ? [1, 3] : [1, 2, 5];
      const ticks = [];
      for (let e = Math.floor(a); e <= b; e++) for (const s of steps) ticks.push(s * 10 ** e);
      return { at: (v) => from + (to - from) * (Math.log10(v) - a) / (b - a), ticks: ticks.filter((t) => Math.log10(t) >= a && Math.log10(t) <= b) };
    }
    const pad = (high - low || Math.abs(high) || 1) * 0.05;
    low -= pad; high += pad;
    const raw = (high - low) / 5, power = 10 ** Math.floor(Math.log10(raw));
    const size = [1, 2, 5, 10].map((s) => s * power).find((s) => s >= raw);
    const ticks = [];
    for (let t = Math.ceil(low / size); t * size <= high; t++) ticks.push(t * size);
    return { at: (v) => from + (to - from) * (v - low) / (high - low), ticks };
  }

  function redraw(plot) {
    const { svg } = plot, kx = Number(plot.x.value), ky = Number(plot.y.value);
    svg.replaceChildren();
    svg.setAttribute("aria-label", `${scans.length} scans: ${columns[ky].heading} over ${columns[kx].heading}; arrow keys choose a scan, Enter opens it`);
    const x = scale(scans.map((s) => s.values[kx]), LEFT, W - RIGHT), y = scale(scans.map((s) => s.values[ky]), H - BOTTOM, TOP);
    for (const tick of x.ticks) {
      draw("line", { class: "grid", x1: x.at(tick), x2: x.at(tick), y1: TOP, y2: H - BOTTOM }, svg);
      draw("text", { x: x.at(tick), y: H - BOTTOM + 15, "text-anchor": "middle" }, svg).textContent = number(tick, -3);
    }
    for (const tick of y.ticks) {
      draw("line", { class: "grid", x1: LEFT, x2: W - RIGHT, y1: y.at(tick), y2: y.at(tick) }, svg);
      draw("text", { x: LEFT - 6, y: y.at(tick) + 4, "text-anchor": "end" }, svg).textContent = number(tick, -3);
    }
    draw("text", { x: (LEFT + W) / 2, y: H - 4, "text-anchor": "middle" }, svg).textContent = columns[kx].heading;
    draw("text", { transform: `translate(14 ${H / 2}) rotate(-90)`, "text-anchor": "middle" }, svg).textContent = columns[ky].heading;
    const r = scans.length > 400 ? 3 : 5;
    plot.points = [];
    for (let n = scans.length - 1; n >= 0; n--) { // outliers last, on top of the others
      const scan = scans[n];
      const [vx, vy] = [scan.values[kx], scan.values[ky]];
      if (vx === null || vy === null) continue;
      const [px, py] = [x.at(vx), y.at(vy)];
      const shape = { pass: `M${-r} 0a${r} ${r} 0 1 0 ${2 * r} 0a${r} ${r} 0 1 0 ${-2 * r} 0`, review: `M0 ${-1.3 * r}L${1.3 * r} 0L0 ${1.3 * r}L${-1.3 * r} 0Z`,
        fail: `M${-1.2 * r} ${-r}L${1.2 * r} ${-r}L0 ${1.3 * r}Z` }[scan.decision];
      const mark = draw("path", { class: "point " + scan.decision, d: shape, transform: `translate(${px.toFixed(1)} ${py.toFixed(1)})` }, svg);
      plot.points[n] = { px, py, mark };
    }
    plot.bar = draw("line", { class: "bar hidden" }, svg);
    plot.ring = draw("circle", { class: "ring hidden", r: r + 4 }, svg);
    plot.toY = heading("predicted Dice") === ky ? y.at : null;
  }

  function nearest(plot, event) {
    const box = plot.svg.getBoundingClientRect();
    const x = (event.clientX - box.left) * W / box.width, y = (event.clientY - box.top) * H / box.height;
    let best = null, reach = 15 ** 2;
    plot.points.forEach((point, n) => {
      if (!point || !state.shown.has(n)) return;
      const d = (point.px - x) ** 2 + (point.py - y) ** 2;
      if (d < reach) [best, reach] = [n, d];
    });
    return best;
  }

  function step(plot, event) {
    if (event.key === "Enter" && state.chosen !== null) return open(state.chosen);
    const by = { ArrowRight: 1, ArrowUp: 1, ArrowLeft: -1, ArrowDown: -1 }[event.key];
    if (!by) return;
    event.preventDefault();
    const axis = event.key === "ArrowUp" || event.key === "ArrowDown" ? (p) => -p.py : (p) => p.px;
    const there = [...state.shown].filter((n) => plot.points[n]).sort((a, b) => axis(plot.points[a]) - axis(plot.points[b]));
    if (!there.length) return;
    const now = there.indexOf(state.chosen);
    choose(there[now < 0 ? 0 : Math.min(Math.max(now + by, 0), there.length - 1)]);
  }

  // ---- what links them
  function choose(n) {
    const before = state.chosen;
    state.chosen = n;
    for (const plot of plots) {
      const point = n === null || !state.shown.has(n) ? null : plot.points[n];
      plot.ring.classList.toggle("hidden", !point);
      plot.bar.classList.toggle("hidden", !(point && plot.toY && scans[n].low !== null));
      if (!point) continue;
      plot.ring.setAttribute("cx", point.px); plot.ring.setAttribute("cy", point.py);
      if (plot.toY && scans[n].low !== null) {
        const ends = { x1: point.px, x2: point.px, y1: plot.toY(scans[n].low), y2: plot.toY(scans[n].high) };
        for (const [key, value] of Object.entries(ends)) plot.bar.setAttribute(key, Math.min(Math.max(value, 0), W));
      }
    }
    if (n === before || n === null) return;
    if (before !== null) { rows[before].classList.remove("here"); tiles[before] && tiles[before].firstChild.classList.remove("here"); }
    rows[n].classList.add("here");
    if (tiles[n]) tiles[n].firstChild.classList.add("here");
    const scan = scans[n], span = scan.low === null ? "" : ` (${number(scan.low, 2)} to ${number(scan.high, 2)})`;
    const words = scan.decision === "error" ? scan.note
      : `${scan.decision}: predicted Dice ${number(scan.values[heading("predicted Dice")], 2)}${span}; cause: ${scan.cause}. ${scan.note}`;
    byId("card").replaceChildren(...(scan.picture ? [picture(scan)] : []),
      make("div", {}, make("strong", {}, scan.page ? make("a", { href: scan.page }, scan.name) : scan.name), make("p", {}, words)));
  }
  function open(n) {
    if (scans[n].page) location.href = scans[n].page;
  }
  for (const list of [rows, tiles]) {
    list.forEach((element, n) => element && element.addEventListener("pointerenter", () => choose(n)));
    list.forEach((element, n) => element && element.addEventListener("focusin", () => choose(n)));
  }

  // ---- search and decision
  const buttons = [...document.querySelectorAll(".counts button")];
  function show() {
    const words = byId("search").value.toLowerCase().split(/\s+/).filter(Boolean);
    const pressed = buttons.filter((b) => b.getAttribute("aria-pressed") === "true").map((b) => b.dataset.decision);
    state.shown.clear();
    scans.forEach((scan, n) => {
      const text = `${scan.name} ${scan.decision} ${scan.cause} ${scan.note}`.toLowerCase();
      const on = words.every((word) => text.includes(word)) && (!pressed.length || pressed.includes(scan.decision));
      if (on) state.shown.add(n);
      for (const plot of plots) plot.points[n]?.mark.classList.toggle("off", !on);
    });
    arrange();
    byId("shown").textContent = `${state.shown.size} of ${scans.length} shown`;
  }
  byId("search").addEventListener("input", () => { show(); choose(state.chosen); });
  byId("order").addEventListener("change", (event) => sortBy(event.target.value, false));
  buttons.forEach((button) => button.addEventListener("click", () => {
    button.setAttribute("aria-pressed", String(button.getAttribute("aria-pressed") !== "true"));
    show();
    choose(state.chosen);
  }));

  plots.forEach(redraw);
  show();
  sortBy("outliers", false);
  document.body.dataset.ready = "true";
})();
