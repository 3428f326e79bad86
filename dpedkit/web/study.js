// A session: both pictures of a pair appear at once, one is chosen, the choice is saved before the next pair appears.

import { post } from "./api.js";
import { load } from "./pictures.js";

const find = (selector) => document.querySelector(selector);
const SIDES = { ArrowLeft: "left", ArrowRight: "right" };
const AHEAD = 4; // pairs that are loaded before they are shown
const BLANK_MS = 250; // between pairs, so that none is seen through the one before
const AGAIN_MS = [500, 1000, 2000, 4000, 8000]; // a choice that could not be sent is sent again
const WHOLE_MS = 1000; // to wait for the whole screen
const GAP = 24;

let session = null; // { code, done, of, pairs }
let shown = 0; // when this pair was seen, ms; 0 while none may be answered

const address = (name) => `/pictures/${encodeURIComponent(name)}`;
const wait = (ms) => new Promise((resolve) => { setTimeout(resolve, ms); });

function view(name) {
  for (const main of document.querySelectorAll("main")) main.hidden = main.id !== name;
}

function tell(error) {
  find("#problem").textContent = error ? [error.message, error.remedy].filter(Boolean).join("\n") : "";
  find("#problem").hidden = !error;
}

async function enter(asked) {
  tell(null);
  try {
    session = await asked;
  } catch (error) {
    tell(error);
    return;
  }
  history.replaceState(null, "", `#${session.code}`); // so that a reload goes on
  for (const place of document.querySelectorAll(".code")) place.textContent = session.code;
  await next();
}

const start = () => enter(post("/api/start", {}));
const goOn = (code) => enter(post("/api/session", { code }));

async function next() {
  shown = 0;
  if (session.done >= session.of) { leave(); view("done"); return; }
  view("session");
  const { pairs, done } = session, pair = pairs[done];
  find("#question").textContent = document.body.dataset.question;
  find("#place").textContent = pair.practice ? `practice, ${done + 1} of ${session.of}` : `${done + 1} of ${session.of}`;
  find("#progress").max = session.of;
  find("#progress").value = done;
  find("#pair").toggleAttribute("data-blank", true);
  const [images] = await Promise.all([both(pair), wait(BLANK_MS)]);
  if (!images || pair !== session.pairs[session.done]) return;
  for (const [side, at] of [["left", 0], ["right", 1]]) {
    const image = find(`[data-side=${side}] img`);
    image.src = images[at];
    await image.decode().catch(() => {});
  }
  layout();
  find("#pair").removeAttribute("data-blank");
  document.activeElement?.blur(); // whose focus would look like a preference
  await new Promise((resolve) => { requestAnimationFrame(() => requestAnimationFrame(resolve)); });
  shown = performance.now();
  find("#pair").dataset.ready = done;
  for (const other of pairs.slice(done + 1, done + 1 + AHEAD)) for (const name of [other.left, other.right]) load(address(name), "low").catch(() => {});
}

// Resolves to the addresses of both pictures once they are decoded, or to null where they cannot be had.
async function both(pair) {
  const addresses = [pair.left, pair.right].map(address);
  for (const pause of [...AGAIN_MS, 0]) {
    try {
      await Promise.all(addresses.map((one) => load(one)));
      tell(null);
      return addresses;
    } catch {
      tell({ message: "a picture does not load", remedy: pause ? "trying again …" : "reload this page to go on" });
      await wait(pause);
    }
  }
  return null;
}

async function choose(side) {
  if (!shown) return;
  const ms = Math.round(performance.now() - shown), place = session.done;
  shown = 0;
  find("#pair").toggleAttribute("data-blank", true);
  for (const pause of [...AGAIN_MS, 0]) {
    try {
      const { done } = await post("/api/answers", { code: session.code, place, side, ms });
      session.done = done;
      tell(null);
      await next();
      return;
    } catch (error) {
      if (error.status === 409) { await goOn(session.code); return; } // answered elsewhere with the same code
      tell({ message: `not saved: ${error.message}`, remedy: pause ? "trying again …" : "reload this page to go on: nothing else is lost" });
      await wait(pause);
    }
  }
}

// Both pictures have the same size: one pixel of theirs is one of the screen, or less where there is no room.
function layout() {
  const { naturalWidth: width, naturalHeight: height } = find(".choice img"), pair = find("#pair"), ratio = window.devicePixelRatio || 1;
  if (!width) return; // nothing was shown yet
  const across = getComputedStyle(pair).flexDirection === "row";
  const room = [pair.clientWidth - (across ? GAP : 0), pair.clientHeight - (across ? 0 : GAP)];
  const scale = Math.min(1, room[0] / ((across ? 2 : 1) * width / ratio), room[1] / ((across ? 1 : 2) * height / ratio));
  for (const choice of pair.querySelectorAll(".choice")) {
    choice.style.setProperty("--width", `${(width / ratio) * scale}px`);
    choice.style.setProperty("--height", `${(height / ratio) * scale}px`);
  }
  find("#hint").hidden = scale === 1;
  find("#hint").textContent = `at ${Math.floor(scale * 100)}% of full size`;
}

function pause() {
  shown = 0;
  leave();
  view("paused");
}

// Resolves when the pair has the whole screen, or cannot have it: only a click or a key may ask, and some phones never do.
const fill = () => Promise.race([document.documentElement.requestFullscreen?.().catch(() => {}), wait(WHOLE_MS)]);

function leave() {
  if (document.fullscreenElement) document.exitFullscreen().catch(() => {});
}

async function begin(enter) {
  await fill();
  await enter();
}

function listen() {
  find("#begin").addEventListener("click", () => begin(start));
  find("#again").addEventListener("submit", (event) => { event.preventDefault(); begin(() => goOn(find("#code").value)); });
  find("#pause").addEventListener("click", pause);
  find("#resume").addEventListener("click", () => begin(() => goOn(session.code)));
  find("#screen").addEventListener("click", fill);
  document.addEventListener("fullscreenchange", () => { find("#screen").hidden = Boolean(document.fullscreenElement); });
  find("#screen").hidden = !document.fullscreenEnabled;
  for (const choice of document.querySelectorAll(".choice")) choice.addEventListener("click", () => choose(choice.dataset.side));
  document.addEventListener("keydown", (event) => {
    const side = SIDES[event.key];
    if (!side || event.repeat || event.ctrlKey || event.metaKey || event.altKey || find("#session").hidden) return;
    event.preventDefault();
    choose(side);
  });
  new ResizeObserver(layout).observe(find("#pair"));
}

listen();
if (location.hash.length > 1) goOn(location.hash.slice(1));
