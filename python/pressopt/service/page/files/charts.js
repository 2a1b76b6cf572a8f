// Charts as SVG that take their colours from the page: light, dark, and told apart by shape as well as colour.

const NS = "http://www.w3.org/2000/svg";

function node(name, attributes, ...children) {
  const made = document.createElementNS(NS, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

/** Round numbers between two values. */
function ticks(low, high, about = 5) {
  const raw = (high - low) / about || 1;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = power * ([1, 2, 5, 10].find((one) => one * power >= raw) || 10);
  const found = [];
  for (let at = Math.ceil(low / step) * step; at <= high + 1e-9 * step; at += step) found.push(Math.abs(at) < step / 1e6 ? 0 : at);
  return found;
}

function decades(low, high) {
  const found = [];
  for (let power = Math.floor(Math.log10(low)); power <= Math.ceil(Math.log10(high)); power += 1) {
    for (const digit of [1, 2, 5]) {
      const value = digit * 10 ** power;
      if (value >= low * 0.999 && value <= high * 1.001) found.push(value);
    }
  }
  return found.length > 8 ? found.filter((value) => Math.abs(Math.log10(value) % 1) < 1e-9) : found;
}

export function number(value) {
  if (value === null || value === undefined || !Number.isFinite(value)) return "–";
  const size = Math.abs(value);
  if (size !== 0 && (size >= 1e5 || size < 1e-3)) return value.toExponential(1);
  return String(Number(value.toPrecision(4)));
}

/**
 * Draw series of points. Each: { name, x, y, sd?, mark: "dot" | "cross" | "line" | "step", colour: 1..6, title? }.
 * Options: { x, y (labels), logY, equal, height, describe }.
 */
export function chart(series, options) {
  const width = 640;
  const height = options.height || 320;
  const margin = { left: 64, right: 14, top: 12, bottom: 44 };
  /** Where a bar ends below; on a logarithmic axis it ends above nothing. */
  const lower = (y, half) => (options.logY ? Math.max(y - half, y / 2) : y - half);
  const points = series.flatMap((one) =>
    one.x.flatMap((x, at) => {
      const half = one.sd ? 1.96 * (one.sd[at] || 0) : 0;
      return [[x, lower(one.y[at], half)], [x, one.y[at] + half]];
    }),
  ).filter(([x, y]) => Number.isFinite(x) && Number.isFinite(y) && (!options.logY || y > 0));
  const figure = node("svg", { viewBox: `0 0 ${width} ${height}`, class: "chart", role: "img", "aria-label": options.describe || options.y });
  if (!points.length) {
    figure.append(node("text", { x: width / 2, y: height / 2, class: "soft", "text-anchor": "middle" }, "nothing to draw yet"));
    return figure;
  }
  const scaleY = options.logY ? Math.log10 : (value) => value;
  const spread = (values, margin = 0.05) => {
    const low = Math.min(...values);
    const high = Math.max(...values);
    const more = (high - low || Math.abs(high) || 1) * margin;
    return [low - more, high + more];
  };
  let [x0, x1] = spread(points.map(([x]) => x), 0.03);
  let [y0, y1] = spread(points.map(([, y]) => scaleY(y)));
  if (options.fromZero) [x0, y0] = [Math.min(0, x0), Math.min(0, y0)];
  const inner = { width: width - margin.left - margin.right, height: height - margin.top - margin.bottom };
  if (options.equal) {
    const unit = Math.max((x1 - x0) / inner.width, (y1 - y0) / inner.height);
    x1 = x0 + unit * inner.width;
    y1 = y0 + unit * inner.height;
  }
  const atX = (x) => margin.left + ((x - x0) / (x1 - x0)) * inner.width;
  const atY = (y) => margin.top + inner.height - ((scaleY(y) - y0) / (y1 - y0)) * inner.height;
  for (const x of ticks(x0, x1)) {
    figure.append(
      node("line", { x1: atX(x), x2: atX(x), y1: margin.top, y2: margin.top + inner.height, class: "grid" }),
      node("text", { x: atX(x), y: height - margin.bottom + 18, "text-anchor": "middle" }, number(x)),
    );
  }
  for (const y of options.logY ? decades(10 ** y0, 10 ** y1) : ticks(y0, y1)) {
    figure.append(
      node("line", { x1: margin.left, x2: margin.left + inner.width, y1: atY(y), y2: atY(y), class: "grid" }),
      node("text", { x: margin.left - 8, y: atY(y) + 4, "text-anchor": "end" }, number(y)),
    );
  }
  figure.append(
    node("text", { x: margin.left + inner.width / 2, y: height - 6, "text-anchor": "middle", class: "label" }, options.x),
    node("text", { x: 14, y: margin.top + inner.height / 2, "text-anchor": "middle", class: "label", transform: `rotate(-90 14 ${margin.top + inner.height / 2})` }, options.y),
  );
  for (const one of series) {
    const group = node("g", { class: `series c${one.colour}` });
    const visible = one.x.map((x, at) => [x, one.y[at], at]).filter(([x, y]) => Number.isFinite(x) && Number.isFinite(y) && (!options.logY || y > 0));
    if (one.mark === "line" || one.mark === "step") {
      const path = visible.map(([x, y], at) => {
        const here = `${atX(x).toFixed(1)},${atY(y).toFixed(1)}`;
        if (at === 0) return `M${here}`;
        return one.mark === "step" ? `H${atX(x).toFixed(1)}V${atY(y).toFixed(1)}` : `L${here}`;
      });
      group.append(node("path", { d: path.join(""), class: one.dashed ? "line dashed" : "line" }));
    } else {
      for (const [x, y, at] of visible) {
        const half = one.sd ? 1.96 * (one.sd[at] || 0) : 0;
        if (half > 0) group.append(node("line", { x1: atX(x), x2: atX(x), y1: atY(lower(y, half)), y2: atY(y + half), class: "bar" }));
        const mark = one.mark === "cross"
          ? node("path", { d: `M${atX(x) - 5},${atY(y) - 5}l10,10m0,-10l-10,10`, class: "cross" })
          : node("circle", { cx: atX(x), cy: atY(y), r: 4.5, class: "dot" });
        if (one.title) mark.append(node("title", {}, one.title(at)));
        group.append(mark);
      }
    }
    figure.append(group);
  }
  return figure;
}

/** What the marks of a chart mean. */
export function legend(series) {
  const list = document.createElement("p");
  list.className = "legend";
  for (const one of series.filter((each) => each.name)) {
    const item = document.createElement("span");
    item.className = `c${one.colour}`;
    const signs = { dot: "○", cross: "✕", line: one.dashed ? "┄" : "━", step: "━" };
    item.append(Object.assign(document.createElement("b"), { textContent: `${signs[one.mark]} ` }), one.name);
    list.append(item);
  }
  return list;
}
