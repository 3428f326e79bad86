import { get, post, send } from "./api.js";
import { Comparison } from "./compare.js";
import { Card, picture_of } from "./photos.js";

const find = (selector) => document.querySelector(selector);
const SENDING = 2; // photos at a time
const UNDONE = 20; // photos at the server that are not done: the rest waits here
const SOON_MS = 700, LATER_MS = 5000; // how often to ask, while something happens and while nothing does
const FULL_MS = 5000; // and when to try again where there is no room

const viewer = find("#viewer"), comparison = new Comparison(viewer);
const cards = new Map(); // by the server's id, newest first
const outgoing = []; // photos that wait to be sent: { file, card, abort }
let sending = 0, arrived = 0, models = [], shown = null, timer = 0;

const actions = {
  open: (card) => open(card),
  cancel: (card) => (card.told.id ? change(card, "cancel") : callOff(card)),
  remove: (card) => (card.told.id ? change(card, "remove") : card.root.remove()),
};

async function change(card, act) {
  try {
    await post(`/api/photos/${card.told.id}/${act}`, {});
  } catch (error) {
    if (error.status !== 404) { tell(error); return; } // it is gone already
  }
  await follow();
}

function callOff(card) {
  const at = outgoing.findIndex((one) => one.card === card);
  if (at >= 0) outgoing.splice(at, 1);
  card.abort?.abort();
  card.update({ state: "cancelled" });
}

async function take(chosen) {
  const files = [...chosen]; // a field that is emptied empties its list
  await begun;
  if (!models.length) return;
  find("#problem").hidden = true;
  const most = Number(find("#enhance").dataset.mostBytes);
  for (const file of files) {
    const card = new Card(actions);
    find("#photos").prepend(card.root);
    const whole = file.size <= most;
    card.update(whole ? { name: file.name, state: "queued" } : { name: file.name, state: "refused", error: `larger than ${Math.round(most / 1e6)} MB`, remedy: "send a smaller one" });
    if (whole) outgoing.push({ file, card, fields: { name: file.name, model: find("#model").value, place: find("#strip").checked ? "strip" : "keep" } });
  }
  pump();
}

function pump() {
  const undone = [...cards.values()].filter((card) => ["waiting", "working"].includes(card.told.state)).length;
  while (sending < SENDING && undone + sending < UNDONE && outgoing.length) deliver(outgoing.shift());
}

async function deliver(photo) {
  const { file, card, fields } = photo;
  sending += 1;
  card.abort = new AbortController();
  card.update({ state: "sending", share: 0 });
  try {
    const told = await send("/api/photos", fields, file, card.abort.signal, (share) => card.update({ share }));
    arrived += 1;
    cards.set(told.id, card);
    card.update(told);
  } catch (error) {
    if (card.abort.signal.aborted) card.update({ state: "cancelled" });
    else if (error.status === 503) {
      card.update({ state: "queued" });
      setTimeout(() => { outgoing.push(photo); pump(); }, FULL_MS);
    } else card.update({ state: "refused", error: error.message, remedy: error.remedy });
  }
  sending -= 1;
  pump();
  soon();
}

// Ask how the photos are, and draw what changed.
async function follow() {
  clearTimeout(timer);
  let busy = false;
  try {
    const before = arrived, told = await get("/api/photos"), known = new Set(told.map((one) => one.id));
    const settled = !sending && before === arrived; // else a photo that is arriving may be known to one side only
    if (settled) for (const [id, card] of cards) if (!known.has(id)) { card.root.remove(); cards.delete(id); }
    for (const one of told.reverse()) {
      if (!cards.has(one.id)) {
        if (!settled) continue;
        cards.set(one.id, new Card(actions));
        find("#photos").prepend(cards.get(one.id).root);
      }
      cards.get(one.id).update(one);
      busy ||= ["waiting", "working"].includes(one.state);
    }
    if (find("#problem").dataset.gone) { find("#problem").hidden = true; delete find("#problem").dataset.gone; }
    tally(told);
    pump();
  } catch (error) {
    tell(error);
    find("#problem").dataset.gone = "yes";
  }
  timer = setTimeout(follow, busy && !document.hidden ? SOON_MS : LATER_MS);
}

function soon() {
  clearTimeout(timer);
  timer = setTimeout(follow, 0);
}

function tally(told) {
  const count = (...states) => told.filter((one) => states.includes(one.state)).length;
  const parts = [[count("done"), "done"], [count("waiting", "working"), "to do"], [count("failed"), "failed"]];
  find("#tally").textContent = parts.filter(([many]) => many).map(([many, what]) => `${many} ${what}`).join(" · ");
}

const finished = () => [...document.querySelectorAll(".photo")].map((root) => [...cards.values()].find((card) => card.root === root)).filter((card) => card?.told.state === "done");

async function open(card) {
  if (card?.told.state !== "done") return;
  shown = card;
  const { name, result, stamp } = card.told;
  if (!viewer.open) { viewer.showModal(); find("#stage").focus(); }
  find("#title").textContent = name;
  find("#download").href = picture_of(card.told, "result");
  find("#download").download = result;
  say(stamp);
  const all = finished(), at = all.indexOf(card);
  find("#previous").disabled = at <= 0;
  find("#next").disabled = at >= all.length - 1;
  const got = await comparison.put(["before", "after"].map((one) => picture_of(card.told, comparison.zoomed ? one : `${one}-fit`)));
  if (got?.includes("")) say("these pictures are no longer here: send the photo again");
}

function step(by) {
  const all = finished(), other = all[all.indexOf(shown) + by];
  if (other) open(other);
}

function zoom() {
  comparison.zoom();
  open(shown);
}

const say = (text) => { find("#said").textContent = text ?? ""; };

function tell(error) {
  find("#problem").textContent = [error.message, error.remedy].filter(Boolean).join("\n");
  find("#problem").hidden = false;
}

function choose() {
  const model = models.find((one) => one.name === find("#model").value);
  find("#about").textContent = model?.about ?? "";
  find("#stamp").textContent = model?.stamp ?? "";
  find("#stamp").hidden = !model?.stamp;
}

function key(event) {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (comparison.moved(event)) { event.preventDefault(); return; }
  if (event.target.matches("input[type=range]")) return;
  const slide = (by) => comparison.cut(Number(find("#cut").value) + by);
  const keys = { z: zoom, n: () => step(1), p: () => step(-1), d: () => find("#download").click(), ArrowLeft: () => slide(-5), ArrowRight: () => slide(5) };
  if (!keys[event.key]) return;
  event.preventDefault();
  keys[event.key]();
}

function listen() {
  const drop = find("#drop");
  find("#model").addEventListener("change", choose);
  for (const input of [find("#choose"), find("#camera")]) input.addEventListener("change", () => { take(input.files); input.value = ""; });
  // beside the field, too: a photo that is dropped there would replace this page
  for (const name of ["dragover", "drop"]) document.addEventListener(name, (event) => event.preventDefault());
  drop.addEventListener("dragover", () => drop.setAttribute("data-over", ""));
  for (const name of ["dragleave", "drop"]) drop.addEventListener(name, () => drop.removeAttribute("data-over"));
  document.addEventListener("drop", (event) => take(event.dataTransfer.files));
  document.addEventListener("paste", (event) => take(event.clipboardData.files));
  document.addEventListener("visibilitychange", () => { if (!document.hidden) soon(); });
  find("#send").addEventListener("submit", (event) => event.preventDefault());
  find("#close").addEventListener("click", () => viewer.close());
  find("#previous").addEventListener("click", () => step(-1));
  find("#next").addEventListener("click", () => step(1));
  find("#zoom").addEventListener("click", zoom);
  viewer.addEventListener("keydown", key);
  viewer.addEventListener("close", () => { shown?.show.focus(); shown = null; });
  window.addEventListener("beforeunload", (event) => { if (sending || outgoing.length) event.preventDefault(); });
}

async function begin() {
  listen();
  models = await get("/api/models");
  for (const model of models) find("#model").add(new Option(model.name, model.name));
  find("#no-models").hidden = models.length > 0;
  find("#drop").hidden = !models.length;
  choose();
  follow();
}

const begun = begin().catch(tell);
