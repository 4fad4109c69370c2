// The page of the coordinator. Asks /bramble/v1/cluster and /metrics once a second, and /v1/chat/completions for the chat. Everything that
// comes from there is text: nothing is ever taken for HTML.
"use strict";

const at = (id) => document.getElementById(id);
const EVERY_MS = 1000;
const TRACE_POINTS = 60;

function key() {
  return sessionStorage.getItem("key");
}

function ask(path, more = {}) {
  const headers = { "Content-Type": "application/json" };
  if (key()) headers.Authorization = "Bearer " + key();
  return fetch(path, { ...more, headers });
}

function make(tag, kind, text) {
  const element = document.createElement(tag);
  if (kind) element.className = kind;
  if (text !== undefined) element.textContent = text;
  return element;
}

function bytes(count) {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let unit = 0;
  for (; count >= 1024 && unit < units.length - 1; ++unit) count /= 1024;
  return count.toFixed(unit === 0 || count >= 100 ? 0 : 1) + " " + units[unit];
}

function seconds(time) {
  if (time >= 1) return time.toFixed(2) + " s";
  if (time >= 1e-3) return (time * 1e3).toFixed(1) + " ms";
  return (time * 1e6).toFixed(0) + " µs";
}

// What a person should look at; empty for a board that is well, or has no sensors.
function illnesses(member) {
  const health = member.health || {};
  const found = [];
  if (!member.present) found.push("gone");
  if (health.undervoltage) found.push("under-voltage");
  for (const reason of health.throttled || []) if (reason !== "undervoltage") found.push(reason.replaceAll("_", " "));
  if (health.hottest_celsius > 80) found.push("hot");
  return found;
}

function board(member, stage) {
  const card = make("li", member.present ? "" : "gone");
  card.append(make("div", "name", member.node));
  if (stage) {
    const part = stage.blocks > 1 ? `${stage.first_name} to ${stage.last_name} (${stage.blocks} blocks)` : stage.first_name;
    card.append(make("div", "part", part));
    const bar = make("div", "bar");
    bar.setAttribute("role", "img");
    bar.setAttribute("aria-label", `${bytes(stage.needed_bytes)} of ${bytes(stage.memory_limit_bytes)}`);
    for (const [kind, size] of [["weights", stage.weight_bytes], ["caches", stage.cache_bytes], ["buffers", stage.buffer_bytes]]) {
      const part = make("span", kind);
      part.style.width = (100 * size) / stage.memory_limit_bytes + "%";
      part.title = `${kind}: ${bytes(size)}`;
      bar.append(part);
    }
    card.append(bar);
    card.append(make("p", "facts", `${bytes(stage.weight_bytes)} weights, ${bytes(stage.cache_bytes)} caches, ${bytes(stage.buffer_bytes)} buffers; limit ${bytes(stage.memory_limit_bytes)}`));
    card.append(make("p", "facts", `${seconds(stage.row_seconds)} a token expected`));
  }
  const facts = [member.architecture, member.threads === 1 ? "1 thread" : `${member.threads} threads`, `${(member.read_bytes_per_second / 1e9).toFixed(1)} GB/s`];
  if (member.present) facts.push(`${seconds(member.round_trip_seconds)} away`);
  if (member.health && member.health.hottest_celsius !== undefined) facts.push(`${member.health.hottest_celsius.toFixed(0)} °C`);
  card.append(make("p", "facts", facts.join(", ")));
  const ill = illnesses(member);
  if (ill.length > 0) card.append(make("p", "ill", ill.join(", ")));
  return card;
}

function show(cluster) {
  const plan = cluster.plan;
  at("model").textContent = cluster.model;
  at("state").className = cluster.state;
  const here = cluster.members.filter((member) => member.present).length;
  let state = cluster.state === "ready" ? `serves on ${plan.stages.length} of ${here} workers` : cluster.state;
  if (cluster.why) state += ": " + cluster.why;
  for (const part of cluster.state === "loading" ? cluster.progress : [])
    if (part.bytes_total > 0) state += `\n${part.node}: ${bytes(part.bytes_done)} of ${bytes(part.bytes_total)}`;
  if (at("state").textContent !== state) at("state").textContent = state;
  at("running").textContent = cluster.serve.running;
  at("waiting").textContent = cluster.serve.queued;
  at("pages").textContent = cluster.serve.pages ? Math.round((100 * cluster.serve.pages_in_use) / cluster.serve.pages) + " %" : "-";
  at("expected").textContent = plan ? seconds(plan.row_seconds) : "-";
  const members = new Map(cluster.members.map((member) => [member.node, member]));
  const cards = [];
  for (const stage of plan ? plan.stages : []) {
    const member = members.get(stage.node);
    if (!member) continue;
    members.delete(stage.node);
    const card = board(member, stage);
    if (plan.stages.length > 1 && stage.row_seconds >= plan.slowest_stage_seconds) {
      card.classList.add("slowest");
      card.append(make("p", "facts", "the slowest stage: many requests go at its pace"));
    }
    cards.push(card);
  }
  at("boards").replaceChildren(...cards);
  at("others").replaceChildren(...[...members.values()].map((member) => board(member, null)));
  at("others-title").hidden = members.size === 0;
  const reasons = plan ? plan.reasons : [];
  if (at("reasons").childElementCount !== reasons.length || at("reasons").textContent !== reasons.join(""))
    at("reasons").replaceChildren(...reasons.map((reason) => make("li", "", reason)));
}

const speeds = [];
let counted = null;

// Tokens a second since the last call, from the counter of /metrics.
function showSpeed(metrics) {
  const found = /^bramble_generated_tokens_total (\S+)$/m.exec(metrics);
  if (!found) return;
  const now = { tokens: Number(found[1]), time: performance.now() };
  if (counted && now.tokens >= counted.tokens) {
    const speed = ((now.tokens - counted.tokens) * 1000) / (now.time - counted.time);
    at("speed").textContent = speed >= 10 || speed === 0 ? speed.toFixed(0) : speed.toFixed(1);
    speeds.push(speed);
    if (speeds.length > TRACE_POINTS) speeds.shift();
    const most = Math.max(...speeds, 1);
    const points = speeds.map((value, i) => `${i + TRACE_POINTS - speeds.length},${19 - (18 * value) / most}`);
    at("trace").firstElementChild.setAttribute("points", points.join(" "));
  }
  counted = now;
}

async function refresh() {
  try {
    const [cluster, metrics] = await Promise.all([ask("bramble/v1/cluster"), ask("metrics")]);
    const shut = cluster.status === 401;
    const opened = shut && at("door").hidden;
    at("door").hidden = !shut;
    for (const section of document.querySelectorAll("section")) section.hidden = shut;
    if (opened) at("key").focus();
    if (shut) {
      at("state").textContent = key() ? "this key is not known here" : "wants an API key";
    } else if (cluster.ok) {
      show(await cluster.json());
    }
    if (metrics.ok) showSpeed(await metrics.text());
  } catch {
    at("state").className = "";
    at("state").textContent = "the coordinator does not answer";
  }
  setTimeout(refresh, document.hidden ? 10 * EVERY_MS : EVERY_MS);
}

// The events of a stream: the text after "data: " of each.
async function* events(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    const lines = (rest + value).split("\n");
    rest = lines.pop();
    for (const line of lines) if (line.startsWith("data: ")) yield line.slice(6);
  }
}

const messages = [];
let running = null;

function say(who, text) {
  const line = make("p", who, text);
  at("said").append(line);
  line.scrollIntoView({ block: "nearest" });
  return line;
}

async function answer(line) {
  const reply = await ask("v1/chat/completions", {
    method: "POST",
    signal: running.signal,
    body: JSON.stringify({ model: at("model").textContent, messages, stream: true }),
  });
  if (!reply.ok) throw new Error((await reply.json()).error.message);
  for await (const data of events(reply.body)) {
    if (data === "[DONE]") return;
    const chunk = JSON.parse(data);
    if (chunk.error) throw new Error(chunk.error.message);
    line.textContent += chunk.choices[0]?.delta?.content ?? "";
    line.scrollIntoView({ block: "nearest" });
  }
}

async function chat(question) {
  messages.push({ role: "user", content: question });
  say("user", question);
  const line = say("assistant", "");
  running = new AbortController();
  at("send").disabled = true;
  at("stop").hidden = false;
  try {
    await answer(line);
  } catch (error) {
    if (error.name !== "AbortError") say("fault", error.message);
  }
  // What was said so far is part of the conversation; an answer that never began is not, nor is its question.
  if (line.textContent) messages.push({ role: "assistant", content: line.textContent });
  else {
    messages.pop();
    line.remove();
  }
  running = null;
  at("send").disabled = false;
  at("stop").hidden = true;
  at("question").focus();
}

at("ask").addEventListener("submit", (event) => {
  event.preventDefault();
  const question = at("question").value.trim();
  if (!question || running) return;
  at("question").value = "";
  chat(question);
});
at("question").addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  at("ask").requestSubmit();
});
at("stop").addEventListener("click", () => running?.abort());
at("door").addEventListener("submit", (event) => {
  event.preventDefault();
  sessionStorage.setItem("key", at("key").value);
  at("key").value = "";
});
refresh();
