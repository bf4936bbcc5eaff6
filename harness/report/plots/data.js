// The operations: inflated from the page, filtered, and thinned to what a screen can show.
const OUTCOMES = ["ok", "fail", "info", "open"];

async function inflate(text) {
  const bytes = Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Response(stream).arrayBuffer();
}

async function unpack(ops) {
  const n = ops.count, all = new Int32Array(await inflate(ops.packed)), found = { count: n, names: ops.names, harness: ops.harness };
  ops.columns.forEach((name, i) => {
    const column = all.subarray(i * n, i * n + n);
    if (!name.endsWith("+")) { found[name] = column; return; }
    const sums = new Float64Array(n);
    for (let k = 0, sum = 0; k < n; k++) sums[k] = sum += column[k];
    found[name.slice(0, -1)] = sums;
  });
  const text = ops.words ? new TextDecoder().decode(await inflate(ops.words)) : "";
  found.words = text ? text.split("\n") : [];
  found.lanes = 1; found.longest = 0; found.last = 1;
  for (let k = 0; k < n; k++) {
    found.lanes = Math.max(found.lanes, found.lane[k] + 1);
    found.longest = Math.max(found.longest, found.took[k]);
    found.last = Math.max(found.last, found.start[k] + Math.max(0, found.took[k]));
  }
  found.pass = new Uint8Array(n).fill(1);
  return found;
}

// Which operations pass: outcomes a set of numbers, key a part of the name, the others numbers or -1.
function sift(d, want) {
  const fits = want.key ? d.names.key.map((key) => key.includes(want.key)) : null;
  let passed = 0;
  for (let k = 0; k < d.count; k++) {
    const ok = want.outcomes.has(d.outcome[k]) && (!fits || (d.key[k] >= 0 && fits[d.key[k]]))
      && (want.process < 0 || d.process[k] === want.process) && (want.node < 0 || d.node[k] === want.node)
      && (want.f < 0 || d.f[k] === want.f);
    d.pass[k] = ok ? 1 : 0; passed += d.pass[k];
  }
  return passed;
}

function first(column, value) {
  let low = 0, high = column.length;
  while (low < high) { const mid = (low + high) >> 1; if (column[mid] < value) low = mid + 1; else high = mid; }
  return low;
}

// Bars of the operations between two instants (s). What is less than a pixel apart in one lane and
// of one outcome becomes one bar, so that there are never more bars than pixels.
function bars(d, from, to, pixels, byNode) {
  const pixel = ((to - from) / pixels) * 1e6, end = to * 1e6, lanes = d.lanes, nodes = d.names.node.length;
  const open = new Map(), out = { left: [], right: [], y: [], height: [], op: [], many: [], outcome: [] };
  for (let k = first(d.start, from * 1e6 - d.longest); k < d.count && d.start[k] <= end; k++) {
    if (!d.pass[k]) continue;
    const left = d.start[k], right = d.took[k] < 0 ? d.last : left + d.took[k];
    const lane = byNode ? (d.node[k] < 0 ? nodes : d.node[k]) * lanes + d.lane[k] : d.lane[k];
    const slot = lane * 4 + d.outcome[k], at = open.get(slot);
    if (at !== undefined && left - out.right[at] * 1e6 < pixel) {
      out.right[at] = Math.max(out.right[at], right / 1e6); out.many[at] += 1; continue;
    }
    open.set(slot, out.left.length);
    out.left.push(left / 1e6); out.right.push(right / 1e6); out.op.push(k); out.many.push(1); out.outcome.push(d.outcome[k]);
    out.y.push(byNode ? Math.floor(lane / lanes) - 0.4 + (0.8 * (d.lane[k] + 0.5)) / lanes : lane);
    out.height.push(byNode ? 0.8 / lanes : 0.8);
  }
  return out;
}

// Points of latency, at most one of an outcome in each cell of a few pixels.
function points(d, from, to, pixels) {
  const cell = ((to - from) / pixels) * 7e6, out = { x: [], y: [], op: [], outcome: [] }, seen = new Set();
  for (let k = first(d.start, from * 1e6); k < d.count && d.start[k] <= to * 1e6; k++) {
    if (!d.pass[k] || d.took[k] < 0 || d.process[k] < d.harness) continue;
    const ms = Math.max(d.took[k] / 1e3, 1e-3);
    const name = (Math.floor(d.start[k] / cell) * 512 + Math.floor((Math.log10(ms) + 4) * 14)) * 4 + d.outcome[k];
    if (seen.has(name)) continue;
    seen.add(name);
    out.x.push(d.start[k] / 1e6); out.y.push(ms); out.op.push(k); out.outcome.push(d.outcome[k]);
  }
  return out;
}

// Rectangles as columns for each outcome: opaque ones without an outline are what a browser fills
// fastest. `box(i)` gives [left, right, bottom, top].
function boxes(shapes, box) {
  const found = OUTCOMES.map(() => ({ left: [], right: [], bottom: [], top: [] }));
  for (let i = 0; i < shapes.op.length; i++) {
    const columns = found[shapes.outcome[i]], sides = box(i);
    Object.keys(columns).forEach((side, n) => columns[side].push(sides[n]));
  }
  return found;
}

function describe(d, k) {
  const name = (table, i) => (i >= 0 && d.names[table][i] !== undefined ? d.names[table][i] : "?");
  const took = d.took[k] < 0 ? "never ended" : `after ${(d.took[k] / 1e3).toFixed(3)} ms`;
  const node = d.node[k] >= 0 ? ` by ${name("node", d.node[k])}` : "", key = d.key[k] >= 0 ? ` of ${name("key", d.key[k])}` : "";
  return { row: d.row[k], at: `${(d.start[k] / 1e6).toFixed(6)} s`, process: name("process", d.process[k]),
    did: `${d.words[k] || name("f", d.f[k])}${key}`,
    ended: `${OUTCOMES[d.outcome[k]]}${node} ${took}${d.took[k] < 0 ? "" : ` (index ${d.row[k] + d.end[k]})`}` };
}
