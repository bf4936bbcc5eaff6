// The plots: one Bokeh figure each, all on one stretch of time (a plot out of sight catches up when it
// comes into sight: only what can be seen is drawn anew). Colours follow the page's variables.
const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
const SERIES = ["ok", "fail", "info", "good", "band", "open"];
const DASHES = ["solid", "dashed", "dotted", "dashdot", "dotdash", "solid"];

class Figures {
  constructor(facts, data) {
    this.facts = facts; this.data = data; this.paints = []; this.figures = [];
    const length = Math.max(data.last / 1e6, facts.measures.length) * 1.01, slack = length * 0.02;
    this.whole = [-slack, length];
    this.bounds = [-length * 0.1, length * 1.1];
    this.range = { start: -slack, end: length };
    this.moved = () => {}; this.chosen = () => {};
    this.byNode = false;
    this.bands = new Bokeh.ColumnDataSource({ data: { x0: facts.course.faults.map((f) => f.from), x1: facts.course.faults.map((f) => f.to) } });
    this.marks = new Bokeh.ColumnDataSource({ data: { x: facts.course.phases.map((p) => p.at) } });
    this.cited = new Bokeh.ColumnDataSource({ data: { left: [], right: [], y: [], height: [] } });
  }

  figure(id, height, y_range, label, log) {
    const x_range = new Bokeh.Range1d({ ...this.range, bounds: this.bounds, min_interval: 1e-5 });
    const options = { height, x_range, y_range, tools: "", toolbar_location: null, sizing_mode: "stretch_width",
      min_border_left: 70, min_border_right: 12, lod_threshold: null, y_axis_type: log ? "log" : "linear", output_backend: "canvas" };
    const fig = Bokeh.Plotting.figure(options);
    const pan = new Bokeh.PanTool({ dimensions: "width" }), wheel = new Bokeh.WheelZoomTool({ dimensions: "width", modifiers: { ctrl: true } });
    fig.add_tools(pan, wheel);
    fig.toolbar.active_drag = pan; fig.toolbar.active_scroll = wheel;
    const band = fig.vstrip({ x0: { field: "x0" }, x1: { field: "x1" }, source: this.bands, line_color: null });
    const mark = fig.vspan({ field: "x" }, { source: this.marks, line_dash: "dashed" });
    const [xaxis, yaxis] = [fig.below[0], fig.left[0]];
    xaxis.axis_label = "s since the test began"; yaxis.axis_label = label;
    this.paints.push(() => {
      band.glyph.setv({ fill_color: css("band"), fill_alpha: 0.22 }); mark.glyph.setv({ line_color: css("soft") });
      fig.setv({ background_fill_color: css("paper"), border_fill_color: css("paper"), outline_line_color: css("line") });
      for (const axis of [xaxis, yaxis]) axis.setv({ axis_label_text_color: css("soft"), major_label_text_color: css("soft"),
        axis_line_color: css("soft"), major_tick_line_color: css("soft"), minor_tick_line_color: null, axis_label_text_font_style: "normal" });
      for (const grid of fig.center) if (grid instanceof Bokeh.Grid) grid.setv({ grid_line_color: css("line"), grid_line_alpha: 0.6 });
    });
    this.figures.push({ id, fig, seen: true });
    x_range.properties.start.change.connect(() => this.dragged(x_range));
    x_range.properties.end.change.connect(() => this.dragged(x_range));
    return fig;
  }

  // Shows figures in elements of the page, by id. One document: they share a range.
  show(placed) {
    const whole = new Bokeh.Document();
    const watch = new IntersectionObserver((entries) => {
      for (const entry of entries) {
        const one = this.figures.find(({ id }) => `${id}-plot` === entry.target.id);
        one.seen = entry.isIntersecting;
      }
      this.follow();
    });
    for (const [id] of placed) watch.observe(document.getElementById(id));
    for (const [, fig] of placed) whole.add_root(fig);
    return Bokeh.embed.add_document_standalone(whole, document.body, placed.map(([id]) => document.getElementById(id)));
  }

  timeline() {
    const fig = this.figure("timeline", 360, new Bokeh.Range1d({ start: 1, end: 0 }), "");
    this.states = new Bokeh.ColumnDataSource({ data: { left: [], right: [], y: [], top: [], words: [], all: [] } });
    const state = fig.hbar({ y: { field: "y" }, height: 0.96, left: { field: "left" }, right: { field: "right" }, source: this.states, line_color: null, hatch_pattern: "/" });
    const bar = this.shapes(fig, "bars");
    const ring = fig.hbar({ y: { field: "y" }, height: { field: "height" }, left: { field: "left" }, right: { field: "right" }, source: this.cited, fill_color: null, line_width: 3 });
    const words = new Bokeh.LabelSet({ x: { field: "left" }, y: { field: "top" }, text: { field: "words" }, source: this.states, text_font_size: "11px", x_offset: 3, y_offset: -4 });
    fig.add_layout(words);
    fig.on_event(Bokeh.Tap ?? "tap", ({ x, y }) => this.tapped(x, y));
    this.paints.push(() => {
      bar();
      ring.glyph.setv({ line_color: css("bad") }); words.text_color = css("ink");
      state.glyph.setv({ fill_color: css("bad"), fill_alpha: 0.14, hatch_color: css("bad"), hatch_alpha: 0.35 });
    });
    this.lanes = fig;
    return fig;
  }

  // Rectangles by outcome, set by `refresh`; gives what paints them.
  shapes(fig, name) {
    this[name] = OUTCOMES.map(() => new Bokeh.ColumnDataSource({ data: { left: [], right: [], bottom: [], top: [] } }));
    const side = (field) => ({ field });
    const made = this[name].map((source) => fig.quad({ left: side("left"), right: side("right"), bottom: side("bottom"), top: side("top"), source, line_color: null }));
    return () => made.forEach((one, i) => one.glyph.setv({ fill_color: css(OUTCOMES[i]) }));
  }

  // The bar at a place of the timeline, to `chosen`: (operation, how many the bar counts).
  tapped(x, y) {
    const b = this.drawn.bars, near = ((this.range.end - this.range.start) / 1000) * 3;
    let best = -1, nearest = near;
    for (let i = 0; i < b.op.length; i++) {
      const off = Math.max(b.left[i] - x, x - b.right[i], 0);
      if (off < nearest && Math.abs(b.y[i] - y) <= b.height[i] / 2) { best = i; nearest = off; }
    }
    if (best >= 0) this.chosen(b.op[best], b.many[best]);
  }

  latency() {
    const took = this.data.took.filter((t, k) => t >= 0 && this.data.process[k] >= this.data.harness), edge = (f) => took.reduce((a, b) => f(a, b), took[0] ?? 1000) / 1e3;
    const fig = this.figure("latency", 284, new Bokeh.Range1d({ start: Math.max(edge(Math.min), 0.01) * 0.7, end: Math.max(edge(Math.max), 0.1) * 1.5 }), "ms", true);
    this.slow = fig;
    this.paints.push(this.shapes(fig, "points"));
    this.lines(fig, this.facts.measures.latency, ["ink", "ink", "ink"]);
    return fig;
  }

  // A figure of step lines, by name of the series; null where there is none.
  series(id, named, label, colours = SERIES) {
    const names = Object.keys(named);
    if (!names.length) return null;
    let most = 0;
    for (const name of names) for (const v of named[name]) most = Math.max(most, v || 0);
    const fig = this.figure(id, 234, new Bokeh.Range1d({ start: 0, end: most * 1.1 || 1 }), label);
    this.lines(fig, named, colours);
    return fig;
  }

  lines(fig, named, colours) {
    const half = this.facts.measures.window / 2, at = this.facts.measures.at.map((t) => t + half), items = [];
    Object.keys(named).forEach((name, i) => {
      const source = new Bokeh.ColumnDataSource({ data: { x: at, y: named[name].map((v) => (v === null ? NaN : v)) } });
      const line = fig.line({ x: { field: "x" }, y: { field: "y" }, source, line_width: 2, line_dash: DASHES[i % 6] });
      this.paints.push(() => line.glyph.setv({ line_color: css(colours[i % colours.length]) }));
      items.push(new Bokeh.LegendItem({ label: { value: name }, renderers: [line] }));
    });
    const legend = new Bokeh.Legend({ items, orientation: "horizontal", ncols: document.body.clientWidth >= 600 ? Math.min(items.length, 7) : items.length > 3 ? 2 : 3, location: "top_left", padding: 2, margin: 2, spacing: 12, label_text_font_size: "11px", border_line_color: null });
    fig.add_layout(legend, "above");
    this.paints.push(() => legend.setv({ background_fill_color: css("paper"), background_fill_alpha: 0, label_text_color: css("ink") }));
  }

  paint() { for (const one of this.paints) one(); }

  // Draws the operations anew if what is shown has left what was drawn, or is finer than it.
  refresh(force) {
    const { start, end } = this.range, span = end - start;
    if (!force && this.drawn && start >= this.drawn.from && end <= this.drawn.to && span > this.drawn.span * 0.8 && span < this.drawn.span * 1.25) return;
    const from = start - span * 0.75, to = end + span * 0.75, pixels = Math.max(300, document.getElementById("timeline-plot").clientWidth - 90) * 2.5;
    const least = (to - from) / pixels, found = bars(this.data, from, to, pixels, this.byNode), rest = points(this.data, from, to, pixels);
    this.drawn = { from, to, span, bars: found, points: rest };
    const s = this.states.data, wide = (i) => ((s.right[i] - s.left[i]) / span) * (pixels / 2.5) > s.all[i].length * 6;
    this.states.data = { ...s, words: s.all.map((words, i) => (wide(i) ? words : "")) };
    const bar = (i) => [found.left[i], Math.max(found.right[i], found.left[i] + least * 1.2), found.y[i] - found.height[i] / 2, found.y[i] + found.height[i] / 2];
    boxes(found, bar).forEach((shape, i) => { this.bars[i].data = shape; });
    const { start: low, end: high } = this.slow.y_range, grow = (high / low) ** (1.8 / 195);
    const point = (i) => [rest.x[i] - least * 1.6, rest.x[i] + least * 1.6, rest.y[i] / grow, rest.y[i] * grow];
    boxes(rest, point).forEach((shape, i) => { this.points[i].data = shape; });
  }

  // Lanes by process or by node, and in these the states of the nodes.
  arrange(byNode) {
    this.byNode = byNode;
    const nodes = this.data.names.node, lanes = byNode ? nodes.length + 1 : this.data.lanes, axis = this.lanes.left[0];
    this.lanes.y_range.setv({ start: lanes - 0.4, end: -0.6 });
    this.lanes.height = Math.min(640, Math.max(180, 70 + lanes * (byNode ? 52 : 22)));
    axis.ticker = new Bokeh.FixedTicker({ ticks: byNode || lanes <= 40 ? [...Array(lanes).keys()] : [] });
    axis.major_label_overrides = new Map(byNode ? [...nodes, "no node"].map((name, i) => [i, name.slice(0, 12)]) : []);
    axis.axis_label = byNode ? "" : "client";
    const states = byNode ? this.facts.course.states.filter((s) => nodes.includes(s.node)) : [];
    this.states.data = { left: states.map((s) => s.from), right: states.map((s) => s.to), y: states.map((s) => nodes.indexOf(s.node)), top: states.map((s) => nodes.indexOf(s.node) - 0.36), words: states.map(() => ""), all: states.map((s) => s.state) };
    this.refresh(true); this.ring(this.ringed || []);
  }

  ring(ops) {
    this.ringed = ops;
    const d = this.data, n = d.names.node.length;
    const y = (k) => (this.byNode ? (d.node[k] < 0 ? n : d.node[k]) - 0.4 + (0.8 * (d.lane[k] + 0.5)) / d.lanes : d.lane[k]);
    this.cited.data = { left: ops.map((k) => d.start[k] / 1e6), right: ops.map((k) => (d.took[k] < 0 ? d.last : d.start[k] + d.took[k]) / 1e6),
      y: ops.map(y), height: ops.map(() => (this.byNode ? 0.8 / d.lanes : 0.86)) };
  }

  // Sets the stretch of time of every plot, in s.
  look(from, to) {
    const [low, high] = this.bounds, span = Math.min(Math.max(to - from, 1e-4), high - low);
    const start = Math.min(Math.max((from + to - span) / 2, low), high - span);
    this.range = { start, end: start + span };
    this.follow(); this.moved();
  }

  follow() {
    this.following = true;
    const { start, end } = this.range;
    for (const { fig, seen } of this.figures) if (seen && (fig.x_range.start !== start || fig.x_range.end !== end)) fig.x_range.setv({ start, end });
    this.following = false;
  }

  // A plot was moved by the pointer: the others go with it.
  dragged(range) {
    if (this.following || range.end <= range.start) return;
    this.range = { start: range.start, end: range.end };
    this.follow(); this.moved();
  }
}
