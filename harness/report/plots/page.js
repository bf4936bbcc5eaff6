// The page: controls, links from an anomaly to its operations, and the table of what is in view.
const SHOWN = 40;
// pixels that a sheet of A4 or Letter is wide, without its margins
const PAPER = 680;

function cells(row, op, go) {
  for (const field of ["at", "process", "did", "ended"]) row.insertCell().textContent = op[field];
  const button = document.createElement("button");
  button.type = "button"; button.textContent = `index ${op.row}`; button.addEventListener("click", go);
  row.insertCell().append(button);
}

function options(select, names) {
  names.forEach((name, i) => select.add(new Option(name, i)));
  if (select.options.length > 2000) select.length = 2000;
}

// Pictures that are wider than their box begin where their red is: what is missing is what one looks for.
function showRed() {
  for (const figure of document.querySelectorAll("article figure")) {
    const box = figure.getBoundingClientRect();
    if (figure.scrollWidth <= figure.clientWidth + 1) continue;
    const red = [...figure.querySelectorAll("rect.bad, .badband, .badfill, .ring")].map((e) => e.getBoundingClientRect());
    if (!red.length || red.some((r) => r.left < box.left + figure.clientWidth - 16)) continue;
    const right = Math.max(...red.map((r) => r.right)) - box.left;
    figure.scrollLeft = right + 24 - figure.clientWidth;
  }
}
document.addEventListener("toggle", showRed, true);

async function main() {
  showRed();
  const get = (id) => document.getElementById(id), facts = JSON.parse(get("facts").textContent);
  const data = await unpack(facts.operations), figs = new Figures(facts, data), m = facts.measures;
  data.timed = facts.timed;
  const want = { outcomes: new Set([0, 1, 2, 3]), key: "", process: -1, node: -1, f: -1 };

  const timeline = figs.timeline();
  const all_plots = [["timeline-plot", timeline], ["latency-plot", figs.latency()], ["rate-plot", figs.series("rate", facts.timed ? m.rate : {}, "operations a second")],
    ["availability-plot", figs.series("availability", facts.availability, "share ok", ["ok", "fail", "info", "good", "band"])],
    ["siblings-plot", figs.series("siblings", m.siblings, "siblings a get")],
    ["hints-plot", figs.series("hints", { ...(m.hints || {}), ...(m.repairs || {}) }, "copies")]];
  for (const [id, fig] of all_plots) if (!fig) get(id).closest("section").hidden = true;
  figs.paint(); figs.arrange(false);
  await figs.show(all_plots.filter(([, fig]) => fig));

  function chosen(k, many) {
    const op = describe(data, k), more = many > 1 ? ` (the first of ${many} that lie here; zoom in to part them)` : "";
    get("chosen").textContent = `index ${op.row}, ${op.at}, process ${op.process}: ${op.did}: ${op.ended}${more}`;
  }
  figs.chosen = chosen;

  let waiting = 0;
  function inView() {
    const { start, end } = figs.range, body = get("seen").tBodies[0], found = [];
    body.replaceChildren();
    for (let k = first(data.start, start * 1e6); k < data.count && data.start[k] <= end * 1e6 && found.length < SHOWN; k++) if (data.pass[k]) found.push(k);
    for (const k of found) cells(body.insertRow(), describe(data, k), () => { figs.ring([k]); chosen(k, 1); });
    get("span").textContent = stretch(start, Math.min(end, data.last / 1e6), data.timed);
  }
  function moved() { figs.refresh(false); clearTimeout(waiting); waiting = setTimeout(inView, 150); }
  figs.moved = moved;

  function filtered() {
    want.outcomes = new Set(OUTCOMES.map((o, i) => (get(`only-${o}`).checked ? i : -1)).filter((i) => i >= 0));
    want.key = get("by-key").value;
    for (const field of ["process", "node", "f"]) want[field] = Number(get(`by-${field}`).value);
    const passed = sift(data, want);
    get("passed").textContent = `${passed.toLocaleString("en")} of ${data.count.toLocaleString("en")} operation${data.count === 1 ? "" : "s"}`;
    figs.refresh(true); inView();
  }
  for (const field of ["process", "node", "f"]) { options(get(`by-${field}`), data.names[field]); get(`by-${field}`).addEventListener("change", filtered); }
  data.names.key.slice(0, 1000).forEach((key) => get("keys").append(new Option(key, key)));
  get("by-key").addEventListener("input", filtered);
  for (const o of OUTCOMES) get(`only-${o}`).addEventListener("change", filtered);
  get("by-lane").addEventListener("change", () => figs.arrange(get("by-lane").value === "node"));

  const move = (by, grow) => {
    const { start, end } = figs.range, span = end - start, middle = (start + end) / 2 + span * by, half = (span / 2) * grow;
    figs.look(middle - half, middle + half);
  };
  const steps = { "zoom-in": [0, 0.5], "zoom-out": [0, 2], earlier: [-0.25, 1], later: [0.25, 1] };
  for (const [id, [by, grow]] of Object.entries(steps)) get(id).addEventListener("click", () => move(by, grow));
  const all = () => figs.look(...figs.whole);
  get("whole").addEventListener("click", all);
  get("reset").addEventListener("click", () => {
    get("filters").reset(); figs.ring([]); filtered(); figs.arrange(false); all();
  });
  get("timeline-plot").addEventListener("keydown", (event) => {
    const keys = { ArrowLeft: [-0.1, 1], ArrowRight: [0.1, 1], "+": [0, 0.5], "=": [0, 0.5], "-": [0, 2] };
    if (event.key === "0") all(); else if (keys[event.key]) move(...keys[event.key]); else return;
    event.preventDefault();
  });

  const byRow = new Map();
  for (let k = 0; k < data.count; k++) { byRow.set(data.row[k], k); if (data.took[k] >= 0) byRow.set(data.row[k] + data.end[k], k); }
  function goTo(rows) {
    const ops = [...new Set(rows.map((row) => byRow.get(row)).filter((k) => k !== undefined))];
    if (!ops.length) return;
    const from = Math.min(...ops.map((k) => data.start[k])) / 1e6, to = Math.max(...ops.map((k) => data.start[k] + Math.max(0, data.took[k]))) / 1e6;
    const slack = Math.max((to - from) * 0.15, 0.002);
    const lanes = get("by-lane").value;
    get("filters").reset(); get("by-lane").value = lanes; filtered();
    figs.ring(ops); figs.look(from - slack, to + slack); chosen(ops[0], 1);
    get("timeline").scrollIntoView(); get("timeline-plot").focus({ preventScroll: true });
  }
  for (const button of document.querySelectorAll("button[data-rows]")) button.addEventListener("click", () => goTo(JSON.parse(button.dataset.rows)));
  for (const button of document.querySelectorAll("button[data-from]")) button.addEventListener("click", () => {
    const from = Number(button.dataset.from), to = Number(button.dataset.to), slack = Math.max((to - from) * 0.3, 0.01);
    figs.look(from - slack, to + slack); get("timeline").scrollIntoView();
  });
  const dark = matchMedia("(prefers-color-scheme: dark)"), mark = () => document.documentElement.classList.toggle("dark", dark.matches);
  // plots are as wide as the window: on paper they get smaller, or their end would be cut off
  const paper = () => document.documentElement.style.setProperty("--shrunk", Math.min(1, PAPER / Math.max(1, get("timeline-plot").clientWidth)));
  addEventListener("resize", paper); paper();
  dark.addEventListener("change", () => { mark(); figs.paint(); });
  mark();
  filtered();
  window.dynamesis = { figs, data, facts, goTo };
  document.documentElement.dataset.ready = "yes";
}
main().catch((error) => {
  console.error(error);
  document.getElementById("chosen").textContent = `the plots cannot be drawn: ${error}`;
});
