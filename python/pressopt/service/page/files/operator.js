// The operator's view: what a person has to do now, big enough for gloves. Everything entered waits in the outbox until
// the service has it, and half-filled forms stay on the tablet.

import { get, outbox, post } from "./api.js";
import { number } from "./charts.js";
import { button, duration, el, label, ofPhase, say, stack } from "./words.js";
import { quantity } from "./views.js";

const DRAFTS = "pressopt-drafts";
const WHO = "pressopt-who";
const drafts = () => JSON.parse(localStorage.getItem(DRAFTS) || "{}");

function keep(key, name, value) {
  const all = drafts();
  all[key] = { ...all[key], [name]: value };
  localStorage.setItem(DRAFTS, JSON.stringify(all));
}

function forget(key) {
  const all = drafts();
  delete all[key];
  localStorage.setItem(DRAFTS, JSON.stringify(all));
}

const who = () => localStorage.getItem(WHO) || "";

/** Everything that waits for a person: cells to load, open questions, cells and presses to look at. */
export async function waiting() {
  const [{ campaigns }, { presses }] = await Promise.all([get("/campaigns?waiting=true"), get("/presses")]);
  const found = [];
  for (const row of campaigns.filter((one) => one.waiting.length)) {
    const campaign = await get(`/campaigns/${row.id}`);
    for (const number of row.waiting) found.push({ campaign, trial: await get(`/campaigns/${row.id}/trials/${number}`) });
  }
  return { found, presses: presses.filter((press) => !["idle", "busy", "gone"].includes(press.state)) };
}

export async function operator() {
  const { found, presses } = await waiting();
  const queued = new Set(outbox().map((letter) => letter.path));
  const name = el("input", { id: "who", value: who(), placeholder: "your name", autocomplete: "name", oninput: (event) => localStorage.setItem(WHO, event.target.value) });
  const cards = found.map(({ campaign, trial }) => {
    const base = `/campaigns/${campaign.id}/trials/${trial.trial}`;
    if ([...queued].some((path) => path.startsWith(base))) {
      return el("article", { class: "task" }, el("h2", {}, `Cell ${trial.trial} · ${campaign.name}`), el("p", {}, "Entered here; waits for the connection. It is sent once."));
    }
    if (trial.phase === "proposed") return load(campaign, trial, base);
    if (trial.question !== null && trial.phase === "pressing") return question(campaign, trial, base);
    return resolve(campaign, trial, base);
  });
  const clears = presses.map((press) => el(
    "article",
    { class: "task bad" },
    el("h2", {}, `${press.name} `, ofPhase(press.state)),
    el("p", {}, press.message || "It was made safe. Look at it before it may move again."),
    button("I have looked: allow motion", () => sent("press cleared", `/presses/${press.name}/clear`, { by: who() }), "huge"),
  ));
  return el(
    "section",
    { class: "operator" },
    el("h1", {}, "At the press"),
    el("p", {}, el("label", { for: "who" }, "I am "), name),
    ...(cards.length + clears.length ? [...clears, ...cards] : [el("p", { class: "empty" }, "Nothing waits for a person.")]),
  );
}

async function sent(text, path, body) {
  await post(text, path, body);
  if (!outbox().some((letter) => letter.path === path)) say(text);
}

/** A force in the unit that a gauge of this size shows: tons of force, or kilonewtons below a tenth of a ton. */
function forces(kn) {
  const [tf, small] = [`${number(kn / 9.80665)} tf`, `${number(kn)} kN`];
  return kn < 0.980665 ? [small] : [tf, el("small", {}, ` ${small}`)];
}

function steps(trial) {
  return el("div", { class: "steps" }, ...trial.steps.map((step) => el(
    "div",
    { class: "step" },
    el("h3", {}, step.name),
    step.force_kn === undefined
      ? el("p", { class: "numbers" }, `${number(step.line_force_n_mm)} N/mm`)
      : el("p", { class: "numbers" }, ...forces(step.force_kn), el("small", {}, ` · ${number(step.pressure_mpa)} MPa on the sample`)),
    el("p", {}, step.dwell_s === undefined ? `${step.passes} passes at ${number(step.speed_mm_s)} mm/s` : `hold ${duration(step.dwell_s)}`, ` · ${number(step.temperature_c)} °C`),
  )));
}

function load(campaign, trial, base) {
  return el(
    "article",
    { class: "task" },
    el("h2", {}, `Load cell ${trial.trial} · ${campaign.name}`),
    el("p", {}, stack(campaign.cell), `, die ${number(campaign.cell.die_diameter_mm)} mm`),
    steps(trial),
    el("p", { class: "soft" }, `chosen by ${trial.reason}; the press moves when you confirm`),
    el("p", { class: "buttons" },
      button("Cell is in, hands are clear", () => sent(`cell ${trial.trial} confirmed`, `${base}/confirm`, { by: who() }), "huge"),
      reasoned("Give this cell up", "reject", (reason) => sent(`cell ${trial.trial} given up`, `${base}/reject`, { by: who(), reason }))),
  );
}

/** A button that first asks for a sentence. */
function reasoned(text, kind, act) {
  const why = el("input", { placeholder: "why", "aria-label": "why" });
  const box = el("span", { class: "reason", hidden: true }, why, button("OK", () => act(why.value || text)));
  return el("span", {}, button(text, () => {
    box.hidden = !box.hidden;
    if (!box.hidden) why.focus();
  }, "quiet"), box);
}

function question(campaign, trial, base) {
  const asked = trial.question;
  const key = `${campaign.id}/${trial.trial}/${asked.number}`;
  const draft = drafts()[key] || {};
  const inputs = {};
  const entry = (field, again) => {
    const name = again ? `again:${field.name}` : field.name;
    const input = el("input", { inputmode: "decimal", id: `${key}/${name}`, value: draft[name] || "", autocomplete: "off", oninput: (event) => keep(key, name, event.target.value) });
    inputs[name] = input;
    return el("label", {}, el("span", {}, again ? "once more" : field.label), el("span", { class: "entry" }, input, ` ${field.unit}`));
  };
  const why = el("input", { value: draft.why || "", placeholder: "only if it is far from what was asked", oninput: (event) => keep(key, "why", event.target.value), "aria-label": "why" });
  const read = (prefix) => {
    const values = {};
    for (const field of asked.fields) {
      const text = inputs[prefix + field.name].value.trim().replace(",", ".");
      if (text === "" || !Number.isFinite(Number(text))) throw new Error(`${field.label}: enter a number in ${field.unit}, twice`);
      values[field.name] = Number(text);
    }
    return values;
  };
  const done = async () => {
    const values = read("");
    const again = read("again:");
    for (const field of asked.fields) {
      if (values[field.name] !== again[field.name]) throw new Error(`${field.label}: ${values[field.name]} and ${again[field.name]} are different: read the gauge again`);
      if (values[field.name] < field.low || (field.high !== undefined && values[field.name] > field.high)) throw new Error(`${field.label}: ${values[field.name]} ${field.unit} cannot be: ${field.low} to ${field.high ?? "any"} ${field.unit}`);
      if (field.asked !== undefined && field.slack !== undefined && Math.abs(values[field.name] - field.asked) > field.slack && !why.value) throw new Error(`${field.label}: far from ${number(field.asked)} ${field.unit}: say why`);
    }
    await sent(asked.title, `${base}/answer`, { question: asked.number, values, again, why: why.value, by: who() });
    forget(key);
  };
  return el(
    "article",
    { class: "task" },
    el("p", { class: "soft" }, `Cell ${trial.trial} · ${campaign.name} · step ${asked.number}${asked.stage ? ` · ${asked.stage}` : ""}`),
    el("h2", {}, asked.title),
    ...asked.lines.map((line) => el("p", { class: "line" }, line)),
    asked.problem ? el("p", { class: "banner bad" }, asked.problem) : "",
    asked.timer_s > 0 ? timer(key, asked.timer_s) : "",
    el("div", { class: "entries" }, ...asked.fields.flatMap((field) => [entry(field, false), entry(field, true)])),
    asked.fields.length ? el("label", {}, el("span", {}, "deviation"), why) : "",
    el("p", { class: "buttons" },
      button("Done", done, "huge"),
      photograph(base),
      reasoned("Abort: release the press", "abort", (reason) => sent("aborted", `${base}/answer`, { question: asked.number, action: "abort", why: reason, by: who() }))),
  );
}

/** Counts down; started by hand or when the page was opened again in the middle. */
function timer(key, seconds) {
  const storage = `pressopt-timer/${key}`;
  const shown = el("output", { class: "clock" }, duration(Math.round(seconds)));
  const tick = () => {
    const since = Number(localStorage.getItem(storage));
    if (!since) return;
    const left = Math.round(seconds - (Date.now() - since) / 1000);
    const size = Math.abs(left);
    shown.textContent = `${left < 0 ? "over by " : ""}${Math.floor(size / 60)}:${String(size % 60).padStart(2, "0")}`;
    shown.classList.toggle("over", left <= 0);
    if (shown.isConnected || !seen) setTimeout(tick, 500);
    seen ||= shown.isConnected;
  };
  let seen = false;
  tick();
  return el("p", { class: "timer" }, shown, button("Start the clock", () => {
    localStorage.setItem(storage, String(Date.now()));
    tick();
  }, "quiet"));
}

function photograph(base) {
  const input = el("input", { type: "file", accept: "image/*", capture: "environment", hidden: true });
  input.addEventListener("change", async () => {
    const [file] = input.files;
    if (!file) return;
    try {
      const { send } = await import("./api.js");
      await send("POST", `${base}/files?name=${encodeURIComponent(file.name.replace(/[^\w.-]/g, "_"))}`, file);
      say("photograph kept with the cell");
    } catch (error) {
      say(`the photograph was not kept: ${error.message}`, "bad");
    }
  });
  return el("span", {}, input, button("Photograph", () => input.click(), "quiet"));
}

function resolve(campaign, trial, base) {
  const note = el("input", { placeholder: "what you found", "aria-label": "what you found" });
  const answer = (action) => sent(`cell ${trial.trial}: ${action}`, `${base}/resolve`, { action, note: note.value, by: who() });
  return el(
    "article",
    { class: "task bad" },
    el("h2", {}, `Look at cell ${trial.trial} · ${campaign.name} `, ofPhase(trial.phase)),
    el("p", {}, trial.note || "It was interrupted: what the cell got is not known for certain."),
    el("p", { class: "soft" }, Object.entries(trial.asked).map(([name, value]) => `${label(name)} ${quantity(name, value)}`).join(" · ")),
    note,
    el("p", { class: "buttons" },
      button("Discard the cell", () => answer("discard"), "huge"),
      button("It was pressed as asked: measure it", () => answer("measure"), "quiet")),
  );
}
