// The views that only look: campaigns, one campaign, one trial, presses.

import { get, getBlob } from "./api.js";
import { chart, legend, number } from "./charts.js";
import { ask, button, duration, el, label, ofPhase, quantities, stack, table, withSd } from "./words.js";

const tick = (row) => `${row.done} of ${row.budget}`;

export async function campaigns() {
  const { campaigns: rows } = await get("/campaigns?limit=500");
  if (!rows.length) return el("section", {}, el("h1", {}, "Campaigns"), el("p", { class: "empty" }, "No campaign yet. ", el("a", { href: "#/new" }, "Start the first one.")));
  return el(
    "section",
    {},
    el("h1", {}, "Campaigns"),
    el("div", { class: "cards" }, ...rows.map((row) =>
      el(
        "a",
        { class: "card", href: `#/c/${row.id}` },
        el("h2", {}, row.name),
        el("p", { class: "soft" }, row.title),
        el("progress", { max: row.budget, value: row.done, "aria-label": `${tick(row)} cells` }),
        el("p", {}, ofPhase(row.phase), ` ${tick(row)} cells`, row.asking.length ? el("span", { class: "chip bad" }, "needs a person") : ""),
        el("p", { class: "soft" }, row.closed_because || (row.presses.length ? `on ${row.presses.join(", ")}` : "no press assigned")),
      ))),
  );
}

// ------------------------------------------------------------------ one campaign

function best(rows, objective) {
  const better = objective.direction === "maximize" ? Math.max : Math.min;
  const found = { x: [], y: [] };
  let so = NaN;
  for (const row of rows) {
    const value = row.outcomes[objective.quantity]?.value;
    if (value !== undefined && !row.failures.length) so = Number.isNaN(so) ? value : better(so, value);
    if (!Number.isNaN(so)) {
      found.x.push(row.trial);
      found.y.push(so);
    }
  }
  return found;
}

function convergence(campaign, objective, known) {
  const rows = campaign.trials;
  const measured = rows.filter((row) => row.outcomes[objective.quantity]);
  const failed = rows.filter((row) => row.failures.length && !row.outcomes[objective.quantity]);
  const values = measured.map((row) => row.outcomes[objective.quantity].value);
  const floor = values.length ? (known.better === "higher" ? Math.min(...values) : Math.max(...values)) : NaN;
  const series = [
    { name: "measured, with 95 %", mark: "dot", colour: 1, x: measured.map((row) => row.trial), y: values, sd: measured.map((row) => row.outcomes[objective.quantity].sd), title: (at) => `cell ${measured[at].trial}: ${withSd(measured[at].outcomes[objective.quantity])} ${known.unit}` },
    { name: failed.length ? "failed (drawn at the worst)" : "", mark: "cross", colour: 2, x: failed.map((row) => row.trial), y: failed.map(() => floor), title: (at) => `cell ${failed[at].trial}: ${failed[at].failures.join(", ")}` },
    { name: "best so far", mark: "step", colour: 3, ...best(rows, objective) },
  ];
  const logY = values.length > 0 && Math.min(...values) > 0 && Math.max(...values) > 5 * Math.min(...values);
  return el("figure", {}, el("figcaption", {}, `Convergence: ${known.label || objective.quantity}`), chart(series, { x: "cell", y: `${known.label || objective.quantity}${known.unit ? `, ${known.unit}` : ""}`, logY, describe: "Measured value of each cell and the best so far" }), legend(series));
}

/** Two measured objectives against each other, the undominated ones joined. */
function front(campaign, known) {
  const [one, two] = campaign.objectives;
  const rows = campaign.trials.filter((row) => row.outcomes[one?.quantity] && row.outcomes[two?.quantity]);
  if (campaign.objectives.length < 2 || rows.length < 2) return "";
  const sign = (objective) => (objective.direction === "maximize" ? -1 : 1);
  const value = (row, objective) => row.outcomes[objective.quantity].value;
  const beats = (a, b) => [one, two].every((each) => sign(each) * value(a, each) <= sign(each) * value(b, each)) && a !== b;
  const best = rows.filter((row) => !rows.some((other) => beats(other, row))).sort((a, b) => value(a, one) - value(b, one));
  const axis = (each) => `${known[each.quantity]?.label || each.quantity}, ${known[each.quantity]?.unit || ""}`;
  const series = [
    { name: "cells", mark: "dot", colour: 1, x: rows.map((row) => value(row, one)), y: rows.map((row) => value(row, two)), title: (at) => `cell ${rows[at].trial}` },
    { name: "Pareto front", mark: "line", colour: 3, x: best.map((row) => value(row, one)), y: best.map((row) => value(row, two)) },
  ];
  return el("figure", {}, el("figcaption", {}, "Pareto front"), chart(series, { x: axis(one), y: axis(two) }), legend(series));
}

function recommended(answer, known) {
  const found = answer.recommendation;
  return el(
    "section",
    { class: "panel good" },
    el("h2", {}, answer.complete ? "Recommended protocol" : "Recommended so far"),
    table(
      ["setting", "value", "window", "effect"],
      Object.entries(found.settings).map(([name, value]) => [
        label(name),
        el("strong", {}, quantity(name, value)),
        found.window[name] ? `${quantity(name, found.window[name][0])} – ${quantity(name, found.window[name][1])}` : "–",
        found.effects[name] === undefined ? "–" : `${Math.round(100 * found.effects[name])} %`,
      ]),
    ),
    el("ul", {}, ...Object.entries(found.expected).map(([name, expected]) =>
      el("li", {}, `${known[name]?.label || name}: `, el("strong", {}, number(expected.median)), ` ${known[name]?.unit || ""} (${Math.round(100 * expected.probability)} %: ${number(expected.low)} to ${number(expected.high)})`))),
    answer.incomplete_because ? el("p", { class: "soft" }, answer.incomplete_because) : "",
  );
}

export function quantity(name, value) {
  if (name.endsWith("_s") && !name.endsWith("mpa_s")) return duration(value);
  const units = { _mpa: "MPa", _c: "°C", mpa_s: "MPa/s", _kn: "kN", n_mm: "N/mm", mm_s: "mm/s" };
  const ending = Object.keys(units).sort((a, b) => b.length - a.length).find((one) => name.endsWith(one));
  return `${number(value)}${ending ? ` ${units[ending]}` : ""}`;
}

function picture(id, name, title) {
  const image = el("img", { alt: title, class: "picture", hidden: true });
  const wait = el("p", { class: "soft" }, "being drawn …");
  const figure = el("figure", {}, el("figcaption", {}, title), wait, image);
  getBlob(`/campaigns/${id}/pictures/${name}`).then(
    (blob) => {
      image.src = URL.createObjectURL(new Blob([blob], { type: "image/svg+xml" }));
      image.onload = () => URL.revokeObjectURL(image.src);
      image.hidden = false;
      wait.remove();
    },
    (error) => wait.replaceChildren(error.message),
  );
  return figure;
}

async function save(path, name) {
  const link = el("a", { href: URL.createObjectURL(await getBlob(path)), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

export async function campaign(id, redraw) {
  const [found, known] = await Promise.all([get(`/campaigns/${id}`), quantities()]);
  const act = (name, text, confirm) => button(text, async () => {
    if (confirm && !(await ask(confirm))) return;
    const { send } = await import("./api.js");
    await send("POST", `/campaigns/${id}/${name}`, {});
    redraw();
  }, name === "stop" ? "danger" : "");
  const answer = el("div", {}, found.done ? el("p", { class: "panel soft" }, "Asking the model what it would recommend …") : "");
  get(`/campaigns/${id}/recommendation`).then((document) => answer.replaceChildren(recommended(document, known)), (error) => {
    answer.replaceChildren(el("p", { class: "panel soft" }, error.message));
  });
  const settings = Object.keys(found.trials[0]?.asked || {});
  const objective = found.objectives[0];
  return el(
    "section",
    {},
    el("h1", {}, found.name, " ", ofPhase(found.phase)),
    el("p", { class: "lead" }, found.title),
    el("p", { class: "soft" }, stack(found.cell), ` · die ${number(found.cell.die_diameter_mm)} mm · ${tick(found)} cells · started ${new Date(found.created_at).toLocaleString()}`),
    el("p", { class: "buttons" },
      found.phase === "open" ? act("pause", "Pause") : "",
      found.phase === "paused" ? act("resume", "Resume") : "",
      found.phase === "closed" ? "" : act("close", "Close with an answer", "Close the campaign? No cell will be pressed after that."),
      found.phase === "closed" ? "" : act("stop", "Stop now", "Break off what runs, make its press safe and propose nothing new?"),
      ...[["html", "Operator's sheet"], ["json", "Protocol file"], ["csv", "Table of cells"]].map(([kind, text]) => button(text, () => save(`/campaigns/${id}/exports/${kind}`, `${id}.${kind}`), "quiet")),
      button("Journal", () => save(`/campaigns/${id}/journal`, `${id}.sqlite`), "quiet")),
    answer,
    el("div", { class: "figures" }, objective ? convergence(found, objective, known[objective.quantity] || { label: objective.quantity, unit: "" }) : "", front(found, known), found.done > 2 ? picture(id, "surface", "Response surface with its uncertainty") : ""),
    el("h2", {}, "Cells"),
    table(
      ["cell", "state", ...settings.map(label), ...found.objectives.map((one) => known[one.quantity]?.label || one.quantity), "verdict", "chosen by"],
      [...found.trials].reverse().map((row) => [
        el("a", { href: `#/c/${id}/t/${row.trial}` }, String(row.trial)),
        ofPhase(row.phase),
        ...settings.map((name) => quantity(name, row.achieved[name] ?? row.asked[name])),
        ...found.objectives.map((one) => (row.outcomes[one.quantity] ? `${withSd(row.outcomes[one.quantity])} ${known[one.quantity]?.unit || ""}` : "–")),
        row.failures.length ? el("span", { class: "chip bad" }, row.failures.join(", ")) : row.verdict || "",
        row.reason,
      ]),
    ),
    el("h2", {}, "What happened"),
    el("ol", { class: "log", id: "log" }),
  );
}

// ------------------------------------------------------------------ one trial

function nyquist(document) {
  const last = document.spectra.at(-1);
  if (!last) return "";
  const good = last.frequency_hz.map((_, at) => at).filter((at) => last.good[at]);
  const series = [
    { name: "measured", mark: "dot", colour: 1, x: good.map((at) => last.real_ohm[at]), y: good.map((at) => -last.imaginary_ohm[at]), title: (at) => `${number(last.frequency_hz[good[at]])} Hz` },
    { name: document.fit ? "fit" : "", mark: "line", colour: 2, x: document.fit?.real_ohm || [], y: (document.fit?.imaginary_ohm || []).map((value) => -value) },
  ];
  return el("figure", {}, el("figcaption", {}, `Nyquist, ${last.instrument}`), chart(series, { x: "Re Z, Ω (whole cell)", y: "−Im Z, Ω", equal: true, describe: "Impedance spectrum with fit" }), legend(series));
}

function curves(record) {
  const minutes = record.time_s.map((time) => time / 60);
  const asked = { x: [], y: [] };
  record.stages.forEach((stage, index) => {
    const within = minutes.filter((_, at) => record.stage[at] === index);
    if (within.length && stage.asked.pressure_mpa) {
      asked.x.push(within[0], within.at(-1));
      asked.y.push(stage.asked.pressure_mpa, stage.asked.pressure_mpa);
    }
  });
  const pressure = [
    { name: "on the sample", mark: "line", colour: 1, x: minutes, y: record.pressure_mpa },
    { name: "asked", mark: "line", dashed: true, colour: 2, ...asked },
  ];
  const temperature = [{ name: "temperature", mark: "line", colour: 2, x: minutes, y: record.temperature_c }];
  return [
    el("figure", {}, el("figcaption", {}, "Pressing"), chart(pressure, { x: "time, min", y: "pressure, MPa" }), legend(pressure)),
    el("figure", {}, el("figcaption", {}, "Platens"), chart(temperature, { x: "time, min", y: "temperature, °C", height: 240 }), legend(temperature)),
  ];
}

function achieved(name, stage) {
  const sd = stage.achieved_sd?.[name];
  return sd > 0 ? `${quantity(name, stage.achieved[name])} ± ${quantity(name, Number(sd.toPrecision(2)))}` : quantity(name, stage.achieved[name]);
}

export async function trial(id, number_) {
  const base = `/campaigns/${id}/trials/${number_}`;
  const none = (error) => {
    if (error.status === 404) return null;
    throw error;
  };
  const [found, record, spectra, known] = await Promise.all([get(base), get(`${base}/record`).catch(none), get(`${base}/spectra`).catch(none), quantities()]);
  return el(
    "section",
    {},
    el("p", {}, el("a", { href: `#/c/${id}` }, "← campaign")),
    el("h1", {}, `Cell ${found.trial} `, ofPhase(found.phase)),
    el("p", {}, el("strong", {}, found.verdict || found.reason), " ", ...found.failures.map((one) => el("span", { class: "chip bad" }, one)), " ", found.note || found.reasons?.join("; ") || ""),
    Object.keys(found.outcomes).length ? table(["outcome", "value"], Object.entries(found.outcomes).map(([name, one]) => [known[name]?.label || name, `${withSd(one)} ${known[name]?.unit || ""}`])) : "",
    el("div", { class: "figures" }, spectra ? nyquist(spectra) : "", ...(record ? curves(record) : [])),
    found.analysis?.arcs?.length ? el("p", {}, `Arcs: ${found.analysis.arcs.join(" · ")} (${found.analysis.circuit}), confidence ${Math.round(100 * found.analysis.confidence)} %`) : "",
    el("h2", {}, "Asked and achieved"),
    table(
      ["stage", "setting", "asked", "achieved"],
      (found.stages || []).flatMap((stage) => Object.entries(stage.asked).map(([name, value]) => [stage.name, label(name), quantity(name, value), stage.achieved[name] === undefined ? "–" : achieved(name, stage)])),
    ),
    found.deviations?.length ? el("p", { class: "chip bad" }, found.deviations.join("; ")) : "",
    found.files.length ? el("h2", {}, "Notes and files") : "",
    el("ul", {}, ...found.files.map((file) => el("li", {}, button(file.name, () => save(`${base}/files/${file.sha256}`, file.name), "quiet"), ` ${file.note} ${file.by}`))),
    el("h2", {}, "Events"),
    el("ol", { class: "log" }, ...found.events.map((event) => el("li", {}, el("time", {}, new Date(event.at).toLocaleTimeString()), ` ${event.event} · ${event.actor}`))),
  );
}

// ------------------------------------------------------------------ presses

export async function presses(redraw) {
  const { presses: rows } = await get("/presses");
  const { send } = await import("./api.js");
  return el(
    "section",
    {},
    el("h1", {}, "Presses"),
    rows.length ? "" : el("p", { class: "empty" }, "This service runs no press: people and robots ask and tell."),
    el("div", { class: "cards" }, ...rows.map((row) => {
      const reading = row.reading;
      return el(
        "div",
        { class: "card" },
        el("h2", {}, row.name, " ", ofPhase(row.state)),
        el("p", { class: "soft" }, row.kind === "twin" ? "virtual laboratory" : Object.values(row.devices).join(", ")),
        row.trial ? el("p", {}, el("a", { href: `#/c/${row.campaign}/t/${row.trial}` }, `cell ${row.trial} of ${row.campaign}`), ` · ${row.phase || ""}`) : el("p", {}, "no cell"),
        reading ? el("p", { class: "big" }, `${number(reading.force_kn)} kN · ${number(reading.temperature_c)} °C`) : "",
        reading?.interlocks ? el("p", {}, ...Object.entries(reading.interlocks).map(([name, good]) => el("span", { class: `chip ${good ? "good" : "bad"}` }, `${good ? "✓" : "✕"} ${name.replaceAll("_", " ")}`))) : "",
        row.measuring?.planned ? el("progress", { max: row.measuring.planned, value: row.measuring.done, "aria-label": "sweep" }) : "",
        ...Object.entries(row.cannot).map(([campaign, why]) => el("p", { class: "soft" }, `nothing of ${campaign}: ${why}`)),
        row.message || reading?.fault ? el("p", { class: "banner bad" }, row.message || reading.fault) : "",
        el("p", { class: "buttons" },
          button("Make safe", async () => {
            if (await ask(`Break off what runs on ${row.name} and bring it into its safe state?`)) await send("POST", `/presses/${row.name}/make-safe`, {});
            redraw();
          }, "danger"),
          row.state === "safe" ? button("I have looked: clear", async () => {
            await send("POST", `/presses/${row.name}/clear`, {});
            redraw();
          }) : ""),
      );
    })),
    el("p", { class: "soft" }, "“Make safe” goes over the network. The emergency stop is at the machine."),
  );
}
