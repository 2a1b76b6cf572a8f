// Which view is shown, kept live by the events of the service.

import { follow, get, history, onOutbox, outbox, Problem, send, setToken, token } from "./api.js";
import { button, el, problem, say } from "./words.js";
import * as views from "./views.js";
import { operator, waiting } from "./operator.js";

const main = document.getElementById("main");
let drawing = 0;

const routes = [
  [/^#?\/?$/, () => views.campaigns()],
  [/^#\/c\/([\w-]+)$/, (id) => views.campaign(id, draw)],
  [/^#\/c\/([\w-]+)\/t\/(\d+)$/, (id, trial) => views.trial(id, trial)],
  [/^#\/presses$/, () => views.presses(draw)],
  [/^#\/operator$/, () => operator()],
  [/^#\/new$/, () => newCampaign()],
  [/^#\/token$/, () => askToken()],
];

async function draw() {
  const mine = ++drawing;
  const hash = location.hash;
  const [pattern, view] = routes.find(([one]) => one.test(hash)) || routes[0];
  let shown;
  try {
    shown = await view(...(hash.match(pattern) || []).slice(1));
  } catch (error) {
    if (error instanceof Problem && error.status === 401) {
      if (token()) say("This token is not known here.", "bad");
      shown = askToken();
    } else if (error instanceof Problem) shown = el("section", {}, el("h1", {}, "That did not work"), el("p", { class: "banner bad" }, problem(error)));
    else return; // the connection is lost: what is shown stays
  }
  if (mine !== drawing) return;
  const active = document.activeElement;
  const place = active?.id && main.contains(active) ? active.id : null;
  main.replaceChildren(shown);
  if (place) document.getElementById(place)?.focus();
  for (const link of document.querySelectorAll("nav a")) link.toggleAttribute("aria-current", link.getAttribute("href") === (hash || "#/"));
  document.title = `${shown.querySelector("h1")?.textContent || ""} · pressopt`;
  const campaign = hash.match(/^#\/c\/([\w-]+)$/);
  if (campaign) showLog(campaign[1]).catch((error) => say(problem(error), "warn"));
}

// ------------------------------------------------------------------ the log of one campaign

function line(event) {
  const trial = event.data?.trial ? ` · cell ${event.data.trial}` : "";
  return el("li", {}, el("time", {}, new Date(event.at).toLocaleTimeString()), ` ${event.event}${trial} · ${event.actor}`);
}

async function showLog(id) {
  const events = await history(id);
  document.getElementById("log")?.replaceChildren(...events.slice(-200).reverse().map(line));
}

// ------------------------------------------------------------------ starting a campaign

function newCampaign() {
  const text = el("textarea", { id: "experiment", rows: 24, spellcheck: "false", "aria-label": "experiment file", placeholder: "Paste an experiment file (TOML), or choose one." });
  text.value = localStorage.getItem("pressopt-new") || "";
  text.addEventListener("input", () => localStorage.setItem("pressopt-new", text.value));
  const field = (text, input) => el("label", { class: "field" }, el("span", {}, text), input);
  const name = el("input", { id: "name", placeholder: "that of the file" });
  const trials = el("input", { id: "trials", type: "number", min: "1", placeholder: "as in the file" });
  const priority = el("input", { id: "priority", type: "number", value: "0" });
  const presses = el("span", {}, "This service runs no press: people and robots ask and tell.");
  get("/presses").then(({ presses: rows }) => rows.length && presses.replaceChildren(...rows.map((row) => el("label", { class: "choice" }, el("input", { type: "checkbox", name: "press", value: row.name, checked: rows.length === 1 }), ` ${row.name}`))));
  const file = el("input", { type: "file", accept: ".toml", hidden: true });
  file.addEventListener("change", async () => {
    text.value = await file.files[0].text();
    if (!name.value) name.value = file.files[0].name.replace(/\.toml$/, "");
    text.dispatchEvent(new Event("input"));
  });
  const mistakes = el("pre", { class: "mistakes", role: "alert", hidden: true });
  const body = () => ({
    experiment: text.value,
    ...(name.value ? { name: name.value } : {}),
    ...(trials.value ? { trials: Number(trials.value) } : {}),
    priority: Number(priority.value),
    presses: [...presses.querySelectorAll("input:checked")].map((one) => one.value),
  });
  const attempt = async (act) => {
    mistakes.hidden = true;
    try {
      await act();
    } catch (error) {
      mistakes.textContent = problem(error);
      mistakes.hidden = false;
    }
  };
  return el(
    "section",
    {},
    el("h1", {}, "New campaign"),
    el("p", { class: "soft" }, "An experiment file says what is pressed, what may be varied and what is wanted. ", el("code", {}, "pressopt init"), " writes one from a few answers."),
    el("p", { class: "buttons" }, file, button("Choose a file", () => file.click(), "quiet")),
    text,
    el("div", { class: "row" }, field("Name", name), field("Cells at most", trials), field("Priority, the higher goes first", priority)),
    el("fieldset", {}, el("legend", {}, "Presses that work on it"), presses),
    mistakes,
    el("p", { class: "buttons" },
      button("Check", () => attempt(async () => {
        const found = await send("POST", "/experiments/check", body());
        say(`Nothing is wrong with it: ${found.title}; ${found.trials} cells; searched: ${found.settings.join(", ")}`);
      }), "quiet"),
      button("Start the campaign", () => attempt(async () => {
        const made = await send("POST", "/campaigns", body());
        localStorage.removeItem("pressopt-new");
        location.hash = `#/c/${made.id}`;
      }), "huge")),
  );
}

function askToken() {
  const input = el("input", { type: "password", id: "token", autocomplete: "current-password", placeholder: "token" });
  return el(
    "section",
    {},
    el("h1", {}, "Who are you?"),
    el("p", {}, "This service asks for a token. Whoever runs it makes one with ", el("code", {}, "pressopt token create NAME"), "."),
    el("p", { class: "row" }, input, button("Go on", () => {
      setToken(input.value);
      say("");
      if (location.hash === "#/token") location.hash = "#/";
      draw();
    }, "huge")),
  );
}

// ------------------------------------------------------------------ live

let pending = 0;
/** Draw again soon, once for many events; never while something is being typed. */
function soon() {
  if (pending) return;
  pending = setTimeout(() => {
    pending = 0;
    const typing = main.contains(document.activeElement) && document.activeElement.matches("input, textarea") && document.activeElement.value;
    if (location.hash === "#/new" || document.querySelector("dialog[open]")) return;
    if (typing && location.hash !== "#/operator") return;
    draw();
  }, 250);
}

async function count() {
  try {
    const { found, presses } = await waiting();
    const badge = document.getElementById("waiting");
    badge.textContent = String(found.length + presses.length);
    badge.hidden = found.length + presses.length === 0;
  } catch {
    // the state of the connection is shown elsewhere
  }
}

let counting = 0;
follow(
  () => {
    soon();
    clearTimeout(counting);
    counting = setTimeout(count, 400);
  },
  (state) => {
    const link = document.getElementById("link");
    const words = { live: "● live", lost: "▲ connection lost: what you enter is kept", token: "▲ token needed" };
    if (link.dataset.state === state) return;
    link.dataset.state = state;
    link.textContent = words[state];
    link.className = `link ${state}`;
    if (state === "live") {
      draw();
      count();
    }
  },
);
setInterval(() => location.hash === "#/presses" && !document.querySelector("dialog[open]") && draw(), 1000);

onOutbox((letters, result) => {
  const banner = document.getElementById("outbox");
  banner.hidden = letters.length === 0;
  banner.textContent = `${letters.length} ${letters.length === 1 ? "entry waits" : "entries wait"} on this device for the connection: ${letters.map((one) => one.label).join(", ")}`;
  if (result?.error) say(`${result.letter.label}: ${problem(result.error)}`, "bad");
  if (result && !result.waiting) soon();
});

document.getElementById("theme").addEventListener("click", () => {
  const dark = document.documentElement.dataset.theme ? document.documentElement.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  document.documentElement.dataset.theme = dark ? "light" : "dark";
  localStorage.setItem("pressopt-theme", document.documentElement.dataset.theme);
});
document.documentElement.dataset.theme = localStorage.getItem("pressopt-theme") || "";
addEventListener("hashchange", () => {
  say("", "good");
  main.focus();
  draw();
});
if (outbox().length) document.getElementById("outbox").hidden = false;
draw();
