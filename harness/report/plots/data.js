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
  found.lanes = 1; found.longest = 0; found.last = 1; found.lane_names = ops.lane_names; found.nodeless = false;
  for (let k = 0; k < n; k++) {
    found.lanes = Math.max(found.lanes, found.lane[k] + 1);
    found.nodeless ||= found.node[k] < 0;
    found.longest = Math.max(found.longest, found.took[k]);
    found.last = Math.max(found.last, found.start[k] + Math.max(0, found.took[k]));
  }
  found.pass = new Uint8Array(n).fill(1);
  [found.slot, found.slots] = slotted(found);
  return found;
}

// In the lane of its node, the slot of each operation: operations that overlap have slots of their own,
// as far as there are slots.
function slotted(d, most = 60) {
  const slot = new Uint8Array(d.count), busy = new Map();
  let slots = 1;
  for (let k = 0; k < d.count; k++) {
    if (!busy.has(d.node[k])) busy.set(d.node[k], []);
    const ends = busy.get(d.node[k]), right = d.took[k] < 0 ? d.last : d.start[k] + d.took[k];
    let s = ends.findIndex((end) => end <= d.start[k]);
    if (s < 0) s = ends.length < most ? ends.length : k % most;
    ends[s] = Math.max(ends[s] || 0, right); slot[k] = s; slots = Math.max(slots, s + 1);
  }
  return [slot, slots];
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

// By outcome: where operations share a pixel, the one of the highest rank is shown.
const RANKS = [1, 4, 3, 2];

// Where operations are drawn: groups (clients, or nodes) from the top down, in each some slots.
function layout(d, byNode) {
  const nodes = d.names.node.length;
  const groups = byNode ? nodes + (d.nodeless || !nodes ? 1 : 0) : Math.min(d.lanes, 640), slots = byNode ? d.slots : 1;
  const slot = (k) => (byNode ? d.slot[k] : 0);
  const group = (k) => (byNode ? (d.node[k] < 0 ? nodes : d.node[k]) : d.lanes === groups ? d.lane[k] : Math.floor((d.lane[k] * groups) / d.lanes));
  return { groups, slots, slot, group, middle: (k) => group(k) - 0.4 + (0.8 * (slot(k) + 0.5)) / slots };
}

// The operations between two instants (s) as an image `width` pixels wide: `colours` by outcome, as
// 32-bit ABGR. So the cost of a frame does not depend on how many there are. Row 0 is the first lane.
function bars(d, from, to, width, { groups, slots, slot, group }, colours) {
  const grid = new Uint8Array(groups * slots * width), scale = width / ((to - from) * 1e6), zero = from * 1e6;
  for (let k = first(d.start, zero - d.longest); k < d.count && d.start[k] <= to * 1e6; k++) {
    if (!d.pass[k]) continue;
    const right = d.took[k] < 0 ? d.last : d.start[k] + d.took[k], rank = RANKS[d.outcome[k]];
    const left = Math.max(0, Math.floor((d.start[k] - zero) * scale)), end = Math.min(width, Math.max(left + 2, Math.ceil((right - zero) * scale)));
    const at = (group(k) * slots + slot(k)) * width;
    for (let c = at + left; c < at + end; c++) if (grid[c] < rank) grid[c] = rank;
  }
  const many = groups * slots, thick = many <= 60 ? 8 : many <= 240 ? 4 : 1, gap = many > 240 && slots === 1 ? 0 : Math.max(1, Math.round((slots * thick) / 8));
  const height = groups * (slots * thick + 2 * gap), image = new Uint32Array(width * height), colour = ranked(colours);
  for (let g = 0; g < groups; g++) for (let s = 0; s < slots; s++) {
    const to = (g * (slots * thick + 2 * gap) + gap + s * thick) * width, from = (g * slots + s) * width;
    for (let c = 0; c < width; c++) image[to + c] = colour[grid[from + c]];
    for (let t = 1; t < thick; t++) image.copyWithin(to + t * width, to, to + width);
  }
  return { image, width, height };
}

// Latencies as such an image, small squares: `low` to `high` ms on a log scale, the lowest first.
function points(d, from, to, width, height, low, high, colours) {
  const grid = new Uint8Array(width * height), scale = width / ((to - from) * 1e6), zero = from * 1e6, rise = height / Math.log(high / low);
  for (let k = first(d.start, zero); k < d.count && d.start[k] <= to * 1e6; k++) {
    if (!d.pass[k] || d.took[k] < 0 || d.process[k] < d.harness) continue;
    const x = Math.floor((d.start[k] - zero) * scale), y = Math.floor(Math.log(Math.max(d.took[k] / 1e3, 1e-3) / low) * rise), rank = RANKS[d.outcome[k]];
    for (let r = Math.max(0, y - 1); r <= Math.min(height - 1, y + 1); r++) for (let c = Math.max(0, x - 1); c <= Math.min(width - 1, x + 1); c++)
      if (grid[r * width + c] < rank) grid[r * width + c] = rank;
  }
  const colour = ranked(colours);
  return { image: Uint32Array.from(grid, (rank) => colour[rank]), width, height };
}

function ranked(colours) {
  const found = [0, 0, 0, 0, 0];
  RANKS.forEach((rank, outcome) => { found[rank] = colours[outcome]; });
  return found;
}

// The shown operations of a group and slot that are within `near` s of an instant, the nearest first.
function at(d, place, x, y, near) {
  const found = [], time = x * 1e6, slack = near * 1e6;
  for (let k = first(d.start, time - slack - d.longest); k < d.count && d.start[k] <= time + slack; k++) {
    const right = d.took[k] < 0 ? d.last : d.start[k] + d.took[k], off = Math.max(d.start[k] - time, time - right, 0);
    if (d.pass[k] && off <= slack && Math.abs(place.middle(k) - y) <= 0.45 / place.slots) found.push([off, k]);
  }
  return found.sort((a, b) => a[0] - b[0]).map(([, k]) => k);
}

// A stretch of time in words, with the digits by which its ends differ.
function stretch(from, to, timed) {
  if (!timed) return `index ${Math.max(0, Math.round(from))} to ${Math.round(to)}`;
  const span = to - from, digits = span >= 0.01 ? 3 : span >= 1e-5 ? 6 : 9;
  return `${Math.max(0, from).toFixed(digits)} s to ${to.toFixed(digits)} s`;
}

function describe(d, k) {
  const name = (table, i) => (i >= 0 && d.names[table][i] !== undefined ? d.names[table][i] : "?");
  const took = d.took[k] < 0 ? "never ended" : d.timed ? `after ${(d.took[k] / 1e3).toFixed(3)} ms` : "";
  const node = d.node[k] >= 0 ? ` by ${name("node", d.node[k])}` : "", key = d.key[k] >= 0 ? ` of ${name("key", d.key[k])}` : "";
  return { row: d.row[k], at: d.timed ? `${(d.start[k] / 1e6).toFixed(6)} s` : `index ${d.row[k]}`, process: name("process", d.process[k]),
    did: `${d.words[k] || name("f", d.f[k])}${key}`,
    ended: `${OUTCOMES[d.outcome[k]]}${node} ${took}${d.took[k] < 0 ? "" : ` (index ${d.row[k] + d.end[k]})`}` };
}
