// The plots: one Bokeh figure each, all on one stretch of time (a plot out of sight catches up when it
// comes into sight: only what can be seen is drawn anew). Colours follow the page's variables.
const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
const SERIES = ["ok", "fail", "info", "good", "band", "open"];
const DASHES = ["solid", "dashed", "dotted", "dashdot", "dotdash"];
// a colour of the page as 32-bit ABGR
const abgr = (name) => { const hex = css(name).slice(1); return (0xff000000 | (parseInt(hex.slice(4, 6), 16) << 16) | (parseInt(hex.slice(2, 4), 16) << 8) | parseInt(hex.slice(0, 2), 16)) >>> 0; };
// The points of a line through windows of time; one without neighbours is as long as its window.
function run(at, size, values) {
  const x = [], y = [], here = (i) => values[i] !== null && values[i] !== undefined;
  for (let i = 0; i < values.length; i++) {
    if (!here(i)) { x.push(at[i]); y.push(NaN); continue; }
    const alone = !here(i - 1) && !here(i + 1);
    for (const part of alone ? [0, 1] : [0.5]) { x.push(at[i] + size * part); y.push(values[i]); }
  }
  return { x, y };
}

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
    yaxis.axis_label = label;
    xaxis.formatter = new Bokeh.BasicTickFormatter({ use_scientific: false });
    if (!log) yaxis.formatter = new Bokeh.NumeralTickFormatter({ format: "0,0.[000]" });
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
    return Bokeh.embed.add_document_standalone(whole, document.body, placed.map(([id]) => document.getElementById(id)))
      .then((views) => {
        // what the style is asked for each label of each frame is asked once
        for (const view of views) Object.defineProperty(view, "base_font_size", { value: view.base_font_size });
        // only now: a label that is drawn before its plot has a width leaves a trace
        for (const { fig } of this.figures) fig.below[0].axis_label = this.facts.axis;
      });
  }

  // An image of operations in a figure; it is set by `refresh`.
  image(fig) {
    const source = new Bokeh.ColumnDataSource({ data: { image: [], x: [], y: [], dw: [], dh: [] } }), field = (name) => ({ field: name });
    fig.image_rgba({ image: field("image"), x: field("x"), y: field("y"), dw: field("dw"), dh: field("dh"), source });
    return ({ image, width, height }, x, y, dw, dh) => {
      const array = Bokeh.require("core/util/ndarray").ndarray(image, { dtype: "uint32", shape: [height, width] });
      source.data = { image: [array], x: [x], y: [y], dw: [dw], dh: [dh] };
    };
  }

  timeline() {
    const fig = this.figure("timeline", 360, new Bokeh.Range1d({ start: 1, end: 0 }), "");
    this.states = new Bokeh.ColumnDataSource({ data: { left: [], right: [], y: [], top: [], words: [], all: [] } });
    const state = fig.hbar({ y: { field: "y" }, height: 0.96, left: { field: "left" }, right: { field: "right" }, source: this.states, line_color: null, hatch_pattern: "/" });
    this.bars = this.image(fig);
    const ring = fig.hbar({ y: { field: "y" }, height: { field: "height" }, left: { field: "left" }, right: { field: "right" }, source: this.cited, fill_color: null, line_width: 3 });
    const words = new Bokeh.LabelSet({ x: { field: "left" }, y: { field: "top" }, text: { field: "words" }, source: this.states, text_font_size: "11px", x_offset: 3, y_offset: -4 });
    fig.add_layout(words);
    fig.on_event(Bokeh.Tap ?? "tap", ({ x, y }) => this.tapped(x, y));
    this.paints.push(() => {
      ring.glyph.setv({ line_color: css("bad") }); words.text_color = css("ink");
      state.glyph.setv({ fill_color: css("bad"), fill_alpha: 0.14, hatch_color: css("bad"), hatch_alpha: 0.35 });
    });
    this.lanes = fig;
    return fig;
  }

  // The operation at a place of the timeline, to `chosen`: (operation, how many are there).
  tapped(x, y) {
    const near = ((this.range.end - this.range.start) / 1000) * 3, found = at(this.data, layout(this.data, this.byNode), x, y, near);
    if (found.length) this.chosen(found[0], found.length);
  }

  latency() {
    const took = this.data.took.filter((t, k) => t >= 0 && this.data.process[k] >= this.data.harness), edge = (f) => took.reduce((a, b) => f(a, b), took[0] ?? 1000) / 1e3;
    const fig = this.figure("latency", 284, new Bokeh.Range1d({ start: Math.max(edge(Math.min), 1e-3) * 0.7, end: Math.max(edge(Math.max), 2e-3) * 1.5 }), "ms", true);
    this.slow = fig;
    this.points = this.image(fig);
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
    const { window, at } = this.facts.measures, items = [];
    Object.keys(named).forEach((name, i) => {
      const source = new Bokeh.ColumnDataSource({ data: run(at, window, named[name]) }), dash = DASHES[(i + Math.floor(i / colours.length)) % 5];
      const line = fig.line({ x: { field: "x" }, y: { field: "y" }, source, line_width: 2, line_dash: dash });
      this.paints.push(() => line.glyph.setv({ line_color: css(colours[i % colours.length]) }));
      items.push(new Bokeh.LegendItem({ label: { value: name }, renderers: [line] }));
    });
    const ncols = document.body.clientWidth >= 600 ? Math.min(items.length, 7) : items.length > 3 ? 2 : 3;
    // a legend of many rows takes no room from the plot
    fig.height += 22 * (Math.ceil(items.length / ncols) - 1);
    const legend = new Bokeh.Legend({ items, orientation: "horizontal", ncols, location: "top_left", padding: 2, margin: 2, spacing: 12, label_text_font_size: "11px", border_line_color: null });
    fig.add_layout(legend, "above");
    this.paints.push(() => legend.setv({ background_fill_color: css("paper"), background_fill_alpha: 0, label_text_color: css("ink") }));
  }

  paint() {
    for (const one of this.paints) one();
    this.colours = OUTCOMES.map(abgr);
    if (this.drawn) this.refresh(true);
  }

  // Draws the operations anew if what is shown has left what was drawn, or is finer than it.
  refresh(force) {
    const { start, end } = this.range, span = end - start;
    if (!force && this.drawn && start >= this.drawn.from && end <= this.drawn.to && span > this.drawn.span * 0.8 && span < this.drawn.span * 1.25) return;
    const from = start - span * 0.75, to = end + span * 0.75, view = Math.max(300, document.getElementById("timeline-plot").clientWidth - 90);
    const width = Math.round(view * 2.5), place = layout(this.data, this.byNode);
    this.drawn = { from, to, span };
    this.words(start, view / span);
    this.bars(bars(this.data, from, to, width, place, this.colours), from, -0.5, to - from, place.groups);
    const { start: low, end: high } = this.slow.y_range;
    this.points(points(this.data, from, to, width, 200, low, high, this.colours), from, low, to - from, high - low);
  }

  // The states of nodes in words, where there is room for them: in two rows, so that none hides another.
  words(start, pixels) {
    const s = this.states.data, free = new Map(), words = s.all.map(() => ""), top = s.y.map((y) => y - 0.36);
    const order = s.left.map((_, i) => i).sort((a, b) => s.left[a] - s.left[b]);
    for (const i of order) {
      const x = (s.left[i] - start) * pixels, long = s.all[i].length * 6 + 6, ends = free.get(s.y[i]) || [-1e9, -1e9];
      const row = ends.findIndex((end) => end <= x);
      if (row < 0 || (s.right[i] - s.left[i]) * pixels < long) continue;
      words[i] = s.all[i]; top[i] += row * 0.3; ends[row] = x + long; free.set(s.y[i], ends);
    }
    this.states.data = { ...s, words, top };
  }

  // Lanes by process or by node, and in these the states of the nodes.
  arrange(byNode) {
    this.byNode = byNode;
    const nodes = this.data.names.node, lanes = layout(this.data, byNode).groups, axis = this.lanes.left[0];
    const names = byNode ? [...nodes, "no node"] : this.data.lane_names;
    this.lanes.y_range.setv({ start: lanes - 0.4, end: -0.6 });
    this.lanes.height = Math.min(640, Math.max(180, 70 + lanes * (byNode ? 52 : 22)));
    axis.ticker = new Bokeh.FixedTicker({ ticks: byNode || lanes <= 40 ? [...Array(lanes).keys()] : [] });
    axis.major_label_overrides = new Map(names.map((name, i) => [i, name.slice(0, 12)]));
    axis.axis_label = byNode ? "" : names.length ? "process" : "client";
    const states = byNode ? this.facts.course.states.filter((s) => nodes.includes(s.node)) : [];
    this.states.data = { left: states.map((s) => s.from), right: states.map((s) => s.to), y: states.map((s) => nodes.indexOf(s.node)), top: states.map((s) => nodes.indexOf(s.node) - 0.36), words: states.map(() => ""), all: states.map((s) => s.state) };
    this.refresh(true); this.ring(this.ringed || []);
  }

  ring(ops) {
    this.ringed = ops;
    const d = this.data, place = layout(d, this.byNode);
    this.cited.data = { left: ops.map((k) => d.start[k] / 1e6), right: ops.map((k) => (d.took[k] < 0 ? d.last : d.start[k] + d.took[k]) / 1e6),
      y: ops.map(place.middle), height: ops.map(() => 0.86 / place.slots) };
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
