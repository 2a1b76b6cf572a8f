// Small words that all views share: elements, tables, units, messages.

import { get } from "./api.js";
import { number } from "./charts.js";

/** An element; attributes with `on...` functions become listeners, children that are "" vanish. */
export function el(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (typeof value === "function") made.addEventListener(key.slice(2), value);
    else if (value === true) made.setAttribute(key, "");
    else if (value !== false && value !== undefined) made.setAttribute(key, value);
  }
  made.append(...children.filter((child) => child !== "" && child !== null && child !== undefined));
  return made;
}

export function button(text, act, kind = "") {
  const made = el("button", { type: "button", class: kind }, text);
  made.addEventListener("click", async () => {
    made.disabled = true;
    try {
      await act();
    } catch (error) {
      say(problem(error), "bad");
    } finally {
      made.disabled = false;
    }
  });
  return made;
}

export function table(heads, rows) {
  if (!rows.length) return el("p", { class: "soft" }, "nothing yet");
  return el("div", { class: "scroll" }, el("table", {}, el("thead", {}, el("tr", {}, ...heads.map((head) => el("th", { scope: "col" }, head)))), el("tbody", {}, ...rows.map((row) => el("tr", {}, ...row.map((cell) => el("td", {}, cell)))))));
}

const PHASES = {
  open: "good", paused: "warn", closed: "", proposed: "warn", loaded: "good", pressing: "good", measuring: "good", uncertain: "bad",
  faulted: "bad", done: "", rejected: "", idle: "good", busy: "good", gone: "bad", safe: "bad",
};
const SIGNS = { good: "●", warn: "◐", bad: "▲", "": "○" };

/** A state as a chip: sign, word and colour say the same. */
export function ofPhase(phase) {
  const kind = PHASES[phase] ?? "bad";
  return el("span", { class: `chip ${kind}` }, `${SIGNS[kind]} ${phase}`);
}

export function withSd({ value, sd }) {
  if (!(sd > 0)) return number(value);
  const digits = Math.max(0, 1 - Math.floor(Math.log10(sd)));
  return `${value.toFixed(Math.min(digits, 6))} ± ${sd.toFixed(Math.min(digits, 6))}`;
}

export function duration(seconds) {
  if (seconds < 90) return `${number(seconds)} s`;
  if (seconds < 5400) return `${number(seconds / 60)} min`;
  return `${number(seconds / 3600)} h`;
}

const LABELS = { pressure_mpa: "pressure", ramp_mpa_s: "ramp", dwell_s: "dwell", temperature_c: "temperature", line_force_n_mm: "line force", speed_mm_s: "speed" };

/** The layers of a cell, from the bottom up. */
export function stack(cell) {
  const thick = (um) => (um >= 1000 ? `${Number((um / 1000).toPrecision(4))} mm` : `${Number(um.toPrecision(4))} µm`);
  return cell.layers.map((layer) => `${layer.material} ${thick(layer.thickness_um)}`).join(" | ");
}

/** `lamination.pressure_mpa` as people say it. */
export function label(name) {
  const parts = name.split(".");
  const last = parts.pop();
  return [...parts, LABELS[last] || last.replaceAll("_", " ")].join(" ");
}

let known = null;
/** Names and units of all quantities, asked once. */
export async function quantities() {
  known ??= (await get("/about")).quantities;
  return known;
}

/** An error as sentences: every mistake with its place. */
export function problem(error) {
  if (!error.errors?.length) return error.message;
  return error.errors.map((one) => `${one.line ? `line ${one.line}: ` : ""}${one.where ? `${one.where}: ` : ""}${one.message}`).join("\n");
}

let timer = 0;
/** Tell the person something; mistakes stay until the next word. */
export function say(text, kind = "good") {
  const banner = document.getElementById("said");
  banner.textContent = text;
  banner.className = `banner ${kind}`;
  banner.hidden = !text;
  clearTimeout(timer);
  if (kind === "good") timer = setTimeout(() => (banner.hidden = true), 5000);
}

/** Ask yes or no; resolves to what was chosen. */
export function ask(question) {
  return new Promise((resolve) => {
    const dialog = el("dialog", {}, el("p", {}, question));
    const close = (answer) => {
      dialog.close();
      dialog.remove();
      resolve(answer);
    };
    dialog.append(el("p", { class: "buttons" }, button("Yes", () => close(true), "danger"), button("No", () => close(false), "quiet")));
    dialog.addEventListener("cancel", () => close(false));
    document.body.append(dialog);
    dialog.showModal();
  });
}
