// What speaks to the service: requests with the person's token, live events, and an outbox that loses nothing.

const TOKEN = "pressopt-token";
const OUTBOX = "pressopt-outbox";

export class Problem extends Error {
  /** An answer that says no (RFC 9457): `status`, `detail`, `errors`. */
  constructor(document, status) {
    super(document.detail || document.title || `status ${status}`);
    this.status = status;
    this.errors = document.errors || [];
  }
}

export const token = () => localStorage.getItem(TOKEN) || "";
export const setToken = (value) => localStorage.setItem(TOKEN, value.trim());

/** A key for one act: the service does it once however often it is sent. */
export function newKey() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

function headers(more = {}) {
  return token() ? { Authorization: `Bearer ${token()}`, ...more } : more;
}

async function checked(response) {
  if (response.ok) return response;
  let document;
  try {
    document = await response.json();
  } catch {
    document = { detail: `the service answered ${response.status} ${response.statusText}` };
  }
  throw new Problem(document, response.status);
}

export async function get(path) {
  return (await checked(await fetch(`/v1${path}`, { headers: headers() }))).json();
}

export async function getBlob(path) {
  return (await checked(await fetch(`/v1${path}`, { headers: headers() }))).blob();
}

export async function send(method, path, body, key = newKey()) {
  const raw = body instanceof Blob;
  const response = await fetch(`/v1${path}`, {
    method,
    headers: headers({ "Idempotency-Key": key, "Content-Type": raw ? "application/octet-stream" : "application/json" }),
    body: body === undefined ? undefined : raw ? body : JSON.stringify(body),
  });
  return (await checked(response)).json();
}

// ------------------------------------------------------------------ outbox

const read = () => JSON.parse(localStorage.getItem(OUTBOX) || "[]");
const write = (letters) => localStorage.setItem(OUTBOX, JSON.stringify(letters));
const listeners = new Set();
let sending = false;

/** Letters that the service has not acknowledged yet. */
export const outbox = () => read();
export const onOutbox = (listener) => listeners.add(listener);
const changed = (result) => listeners.forEach((listener) => listener(read(), result));

/** Keep an act on this device until the service has acknowledged it; it is done once. */
export function post(label, path, body) {
  write([...read(), { key: newKey(), label, path, body, at: new Date().toISOString() }]);
  changed();
  return flush();
}

export async function flush() {
  if (sending) return;
  sending = true;
  try {
    for (let letters = read(); letters.length; letters = read()) {
      const [letter] = letters;
      let result;
      try {
        await send("POST", letter.path, letter.body, letter.key);
        result = { letter };
      } catch (error) {
        const definite = error instanceof Problem && error.status < 500 && ![401, 408, 421, 425, 429].includes(error.status);
        if (!definite) {
          changed({ letter, waiting: error });
          return;
        }
        result = { letter, error };
      }
      write(read().filter((one) => one.key !== letter.key));
      changed(result);
    }
  } finally {
    sending = false;
  }
}

addEventListener("online", flush);
addEventListener("storage", (event) => event.key === OUTBOX && changed());
setInterval(flush, 3000);

// ------------------------------------------------------------------ live events

/** The event in one block of a stream, or null. */
function eventOf(block) {
  const data = block.split("\n").find((line) => line.startsWith("data: "));
  return data ? JSON.parse(data.slice(6)) : null;
}

/** Everything that happened in a campaign so far. */
export async function history(campaign) {
  const response = await checked(await fetch(`/v1/campaigns/${campaign}/events?follow=false`, { headers: headers() }));
  return (await response.text()).split("\n\n").map(eventOf).filter(Boolean);
}

/** Follow all events; a lost connection is taken up where it ended. Calls `onState` with "live" or "lost". */
export async function follow(onEvent, onState) {
  let last = null;
  for (;;) {
    try {
      if (last === null) last = (await get("/about")).last_event;
      const response = await checked(await fetch("/v1/events", { headers: headers({ "Last-Event-ID": String(last) }) }));
      onState("live");
      flush();
      const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
      let text = "";
      for (;;) {
        const { value, done } = await reader.read();
        if (done) break;
        text += value;
        const blocks = text.split("\n\n");
        text = blocks.pop();
        for (const block of blocks) {
          const event = eventOf(block);
          if (event === null) continue;
          last = event.number;
          onEvent(event);
        }
      }
    } catch (error) {
      onState(error instanceof Problem && error.status === 401 ? "token" : "lost");
    }
    onState("lost");
    await new Promise((resolve) => setTimeout(resolve, 1000));
  }
}
