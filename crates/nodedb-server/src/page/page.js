"use strict";
// Events come by fetch, not EventSource, which could not send the token.

const SAMPLES_MAX = 300;
const CHECKPOINTS_MAX = 20;
const RETRY_MS = 3000;
const LOCALE = "en";
const at = (id) => document.getElementById(id);
const number = new Intl.NumberFormat(LOCALE);
const samples = [];
const checkpoints = [];
let token = sessionStorage.getItem("nodedb-token");

function say(id, text) {
  // A live region that is written again is read aloud again.
  if (at(id).textContent !== text) at(id).textContent = text;
}

function bytes(count) {
  const units = ["bytes", "KiB", "MiB", "GiB", "TiB"];
  let unit = 0;
  while (count >= 1024 && unit < units.length - 1) { count /= 1024; unit += 1; }
  return `${unit === 0 ? count : count.toFixed(1)} ${units[unit]}`;
}

function duration(ms) {
  if (ms < 1000) return `${ms} ms`;
  if (ms < 120000) return `${(ms / 1000).toFixed(1)} s`;
  if (ms < 7200000) return `${Math.round(ms / 60000)} min`;
  return `${Math.round(ms / 3600000)} h`;
}

const lsn = (value) => (value === null ? "none" : number.format(value));

function shape(name, attributes, text) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  if (text !== undefined) element.textContent = text;
  return element;
}

function rows(id, table) {
  at(id).replaceChildren(...table.map((cells) => {
    const row = document.createElement("tr");
    row.append(...cells.map((cell) => {
      const data = document.createElement("td");
      data.textContent = cell;
      return data;
    }));
    return row;
  }));
}

// The log from its oldest record to its tip: what is kept, what recovery needs, what the archive holds.
function drawLog(status) {
  const oldest = status.oldest_lsn;
  const tip = Math.max(status.durable_lsn ?? 0, oldest);
  const span = Math.max(tip - oldest + 1, 1);
  const x = (position) => Math.min(Math.max((position - oldest) / span, 0), 1) * 600;
  const parts = [
    shape("rect", { class: "kept", x: 0, y: 24, width: 600, height: 28 }),
    shape("rect", { class: "redo", x: x(status.redo_lsn), y: 24, width: 600 - x(status.redo_lsn), height: 28 }),
    shape("text", { x: 0, y: 16 }, `oldest ${lsn(oldest)}`),
    shape("text", { x: 600, y: 16, "text-anchor": "end" }, `tip ${lsn(status.durable_lsn)}`),
  ];
  if (status.archived_lsn !== null) {
    parts.push(shape("rect", { class: "archived", x: 0, y: 56, width: x(status.archived_lsn + 1), height: 8 }));
  }
  status.holds.forEach((hold, index) => {
    const place = x(hold.lsn);
    const end = place > 400;
    parts.push(shape("line", { class: "mark", x1: place, x2: place, y1: 20, y2: 78 + (index % 3) * 15 }));
    parts.push(shape("text", { x: place + (end ? -4 : 4), y: 80 + (index % 3) * 15, "text-anchor": end ? "end" : "start" }, hold.name));
  });
  at("log").replaceChildren(...parts);
  const archived = status.archive === null ? "there is no archive" : `archived up to ${lsn(status.archived_lsn)}`;
  say("log-words", `Records ${lsn(oldest)} to ${lsn(status.durable_lsn)}; recovery begins at ${lsn(status.redo_lsn)}; ${archived}.`);
}

function showFigures(status) {
  const figures = [
    ["Log", bytes(status.wal_bytes)],
    ["Recovery would take", duration(status.estimated_recovery_ms)],
    ["Durable", lsn(status.durable_lsn)],
    ["Redo", lsn(status.redo_lsn)],
    ["Not flushed", bytes(status.vshards.reduce((sum, vshard) => sum + vshard.dirty_bytes, 0))],
  ];
  at("figures").replaceChildren(...figures.map(([name, value]) => {
    const group = document.createElement("div");
    const term = document.createElement("dt");
    const data = document.createElement("dd");
    term.textContent = name;
    data.textContent = value;
    group.append(term, data);
    return group;
  }));
}

function drawRate(status) {
  samples.push([status.unix_ms, status.durable_lsn ?? 0]);
  if (samples.length > SAMPLES_MAX) samples.shift();
  const rates = samples.slice(1).map(([ms, position], index) => {
    const [earlier, before] = samples[index];
    return ms > earlier ? ((position - before) * 1000) / (ms - earlier) : 0;
  });
  if (rates.length === 0) return;
  const most = Math.max(...rates, 1);
  const points = rates.map((rate, index) => {
    const x = 600 - (rates.length - 1 - index) * (600 / (SAMPLES_MAX - 1));
    return `${x.toFixed(1)},${(76 - (rate / most) * 70).toFixed(1)}`;
  });
  at("rate").replaceChildren(
    shape("line", { class: "floor", x1: 0, x2: 600, y1: 77, y2: 77 }),
    shape("polyline", { class: "rate", points: points.join(" ") }),
  );
  const last = number.format(Math.round(rates[rates.length - 1]));
  const seconds = Math.round((samples[samples.length - 1][0] - samples[0][0]) / 1000);
  say("rate-words", `${last} now, ${number.format(Math.round(most))} at most, in the ${seconds} s since this page was opened (up to five minutes).`);
}

function showCheckpoints(status) {
  const { phase, log_age: age, last } = status.checkpoint;
  say("phase", `The checkpointer is ${phase}; the log is ${age}.`);
  if (last !== null && last.unix_ms !== checkpoints[0]?.unix_ms) {
    checkpoints.unshift(last);
    if (checkpoints.length > CHECKPOINTS_MAX) checkpoints.pop();
  }
  rows("checkpoints", checkpoints.map((one) => [
    new Date(one.unix_ms).toLocaleTimeString(),
    one.trigger,
    one.outcome,
    one.error ?? (one.blocked_by === null ? "" : `vshard ${one.blocked_by.vshard}, ${one.blocked_by.engine}: ${one.blocked_by.reason}`),
  ]));
}

function showArchive(archive) {
  if (archive === null) return say("archive", "None: the log is on this machine only.");
  const fault = archive.last_error === null ? "" : ` Last failure: ${archive.last_error}`;
  say("archive", `${archive.url}, ${archive.policy}, ${number.format(archive.lag_records)} records behind.${fault}`);
}

function show(status) {
  say("health", status.health);
  at("health").classList.toggle("bad", status.health !== "Ok");
  if ([...at("reasons").children].map((item) => item.textContent).join("\n") !== status.reasons.join("\n")) {
    at("reasons").replaceChildren(...status.reasons.map((reason) => {
      const item = document.createElement("li");
      item.textContent = reason;
      return item;
    }));
  }
  drawLog(status);
  showFigures(status);
  drawRate(status);
  rows("holds", status.holds.map((hold) => [hold.name, lsn(hold.lsn), bytes(hold.bytes), duration(hold.since_ms), hold.reason]));
  rows("vshards", status.vshards.map((vshard) => [
    vshard.vshard,
    bytes(vshard.dirty_bytes),
    vshard.engines.map((engine) => `${engine.engine} ${lsn(engine.effective_lsn)}`).join(", "),
    vshard.failure ?? "",
  ]));
  showCheckpoints(status);
  showArchive(status.archive);
}

async function follow() {
  const headers = token === null ? {} : { Authorization: `Bearer ${token}` };
  const response = await fetch("v1/events", { headers });
  if (response.status === 401) {
    at("access").hidden = false;
    at("token").focus();
    throw new Error("The token is missing or wrong.");
  }
  if (!response.ok) throw new Error((await response.json()).error.message);
  at("access").hidden = true;
  say("connection", "Live, once a second");
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) throw new Error("The server has ended the connection.");
    const events = (text + value).split("\n\n");
    text = events.pop();
    for (const event of events) {
      if (event.startsWith("data: ")) show(JSON.parse(event.slice(6)));
    }
  }
}

async function run() {
  try {
    await follow();
  } catch (error) {
    say("connection", `Not live. ${error.message}`);
  }
  // Without the right token only the form goes on.
  if (at("access").hidden) setTimeout(run, RETRY_MS);
}

at("access").addEventListener("submit", (event) => {
  event.preventDefault();
  token = at("token").value;
  sessionStorage.setItem("nodedb-token", token);
  at("access").hidden = true;
  run();
});
run();
