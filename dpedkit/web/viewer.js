// One pair, as large as the window: compared in four ways, at fit or 1:1; decided with a key.

import { get, picture, post } from "./api.js";
import { drawOverlay } from "./overlays.js";

const find = (selector) => document.querySelector(selector);
const AHEAD = 2; // pairs whose pictures are fetched before they are asked for
const MODES = { b: "blink", s: "split", c: "beside", d: "difference" };
const FACTS = {
  residual_px: ["residual", 3, " px"], residual_p95_px: ["p95", 3, " px"], trusted_share: ["trusted", 2, ""], overlap: ["overlap", 2, ""],
  inliers: ["inliers", 0, ""], sharpness_ratio: ["sharpness, DSLR over phone", 2, ""], patches: ["patches", 0, ""], kept: ["kept", 0, ""],
};

export class Viewer {
  constructor(grid) {
    this.grid = grid;
    this.dialog = find("#viewer");
    this.details = new Map();
    this.batches = []; // what this tab decided, for undo
    this.shown = { mask: false, patches: false };
    this.at = 0;
    this.x = this.y = 0;
    this.listen();
  }

  listen() {
    this.dialog.addEventListener("close", () => this.grid.focus(this.at));
    document.addEventListener("keydown", (event) => { if (this.dialog.open) this.key(event); }); // what had the focus may be hidden by now
    const actions = { close: () => this.dialog.close(), previous: () => this.step(-1), next: () => this.step(1), accept: () => this.decide("accept"), reject: () => this.decide("reject"), undo: () => this.undo() };
    for (const button of document.querySelectorAll("[data-do]")) button.addEventListener("click", actions[button.dataset.do]);
    // a button that was clicked keeps no focus: the space bar, which blinks, would press it again
    this.dialog.addEventListener("click", (event) => { if (event.detail && event.target.closest("button")) find("#stage").focus(); });
    for (const button of document.querySelectorAll("[data-mode-of]")) button.addEventListener("click", () => this.mode(button.dataset.modeOf));
    for (const what of ["mask", "patches"]) find(`#${what}`).addEventListener("click", () => this.overlay(what));
    find("#zoom").addEventListener("click", () => this.zoom());
    find("#tone").addEventListener("click", () => this.tone());
    find("#score").addEventListener("change", () => this.overlays());
    find("#help-button").addEventListener("click", () => this.help());
    find("#cut").addEventListener("input", (event) => this.dialog.style.setProperty("--cut", `${event.target.value}%`));
    const stage = find("#stage");
    stage.addEventListener("click", () => { if (this.dialog.dataset.mode === "blink" && !this.zoomed) this.blink(); });
    stage.addEventListener("pointerdown", (event) => { if (this.zoomed) stage.setPointerCapture(event.pointerId); });
    stage.addEventListener("pointermove", (event) => { if (this.zoomed && event.buttons) this.pan(event.movementX, event.movementY); });
    window.addEventListener("resize", () => this.layout());
  }

  get pair() { return this.grid.pairs[this.at]; }
  get zoomed() { return "zoom" in this.dialog.dataset; }

  async open(at) {
    this.at = at;
    if (!this.dialog.open) { this.dialog.showModal(); find("#stage").focus(); }
    this.draw();
    await this.fill();
    for (let ahead = 1; ahead <= AHEAD; ahead += 1) this.prefetch(this.grid.pairs[this.at + ahead]);
    this.prefetch(this.grid.pairs[this.at - 1]);
  }

  draw() {
    const pair = this.pair;
    find("#title").textContent = `${pair.shot} ${pair.phone}`;
    const badge = find("#badge");
    badge.dataset.verdict = pair.verdict ?? "";
    badge.textContent = { accept: "accepted", reject: "rejected" }[pair.verdict] ?? "undecided";
    badge.title = pair.decided_by ? `by ${pair.decided_by}` : "";
    find(".on-phone").textContent = pair.phone;
    find(".on-dslr").textContent = pair.dslr;
    this.dialog.toggleAttribute("data-apart", pair.status !== "aligned");
    const names = this.names();
    this.source("#left .phone", picture(pair, names.phone));
    for (const image of ["#left .dslr", "#right .dslr"]) this.source(image, picture(pair, names.dslr));
    this.overlays();
    this.layout();
  }

  names() {
    if (this.zoomed) return { phone: "full-phone.jpg", dslr: "full-dslr.jpg" };
    const toned = find("#tone").getAttribute("aria-pressed") === "true" && this.pair.status === "aligned";
    return { phone: "phone.jpg", dslr: toned ? "toned.jpg" : "dslr.jpg" };
  }

  source(selector, path) {
    const image = find(selector);
    if (image.getAttribute("src") === path) return;
    image.src = path;
    find("#waiting").hidden = image.complete;
    image.decode().then(() => { find("#waiting").hidden = true; this.layout(); }, () => {
      if (image.getAttribute("src") !== path) return; // another pair by now
      find("#waiting").hidden = true;
      if (path.endsWith("toned.jpg")) { this.say("the photos do not tell their tones: too little to go by", true); this.tone(); }
      else this.say("a photo of this pair cannot be drawn; `dpedkit fsck` names what is broken", true);
    });
  }

  async fill() {
    const pair = this.pair;
    try {
      const details = await this.detail(pair);
      if (pair === this.pair) this.facts(details);
    } catch (error) {
      this.say(error.message, true);
    }
    if (pair === this.pair) this.overlays();
  }

  detail(pair) {
    if (!this.details.has(pair.id)) {
      const asked = get(`/api/pairs/${pair.id}`).then((details) => { asked.value = details; return details; });
      asked.catch(() => this.details.delete(pair.id));
      this.details.set(pair.id, asked);
    }
    return this.details.get(pair.id);
  }

  prefetch(pair) {
    if (!pair) return;
    this.detail(pair).catch(() => {});
    for (const name of ["phone.jpg", "dslr.jpg"]) new Image().src = picture(pair, name);
  }

  facts(details) {
    const list = Object.entries(FACTS).filter(([name]) => details.facts[name] !== null).map(([name, [label, digits, unit]]) => fact(label, details.facts[name].toFixed(digits) + unit));
    if (details.scene) list.unshift(fact("scene", details.scene));
    if (details.split) list.push(fact("split", details.split));
    if (details.tags.length) list.push(fact("tags", details.tags.join(", ")));
    if (details.detail) list.push(fact(details.reason, details.detail));
    find("#facts").replaceChildren(...list);
    if (!find("#score").options.length) {
      find("#score").add(new Option("verdict", ""));
      for (const score of details.scores) find("#score").add(new Option(score.label, score.name));
    }
  }

  overlays() {
    const details = this.details.get(this.pair.id)?.value;
    find("#score-label").hidden = !this.shown.patches;
    drawOverlay(find(".overlay"), details ?? {}, details ? this.shown : {}, find("#score").value);
  }

  overlay(what) {
    this.shown[what] = !this.shown[what];
    find(`#${what}`).setAttribute("aria-pressed", this.shown[what]);
    this.overlays();
  }

  mode(mode) {
    this.dialog.dataset.mode = mode;
    for (const button of document.querySelectorAll("[data-mode-of]")) button.setAttribute("aria-pressed", button.dataset.modeOf === mode);
    this.layout();
  }

  blink() {
    if (this.dialog.dataset.mode !== "blink") this.mode("blink");
    this.dialog.dataset.front = this.dialog.dataset.front === "phone" ? "dslr" : "phone";
  }

  tone() {
    const button = find("#tone");
    button.setAttribute("aria-pressed", button.getAttribute("aria-pressed") !== "true");
    this.draw();
  }

  zoom() {
    this.dialog.toggleAttribute("data-zoom");
    find("#zoom").setAttribute("aria-pressed", this.zoomed);
    this.x = this.y = null;
    this.draw();
  }

  help() {
    const help = find("#help");
    help.hidden = !help.hidden;
    find("#help-button").setAttribute("aria-expanded", !help.hidden);
  }

  // At 1:1 a pixel of the photo is one of the screen; at fit both layers have the same box, so that the overlay lies on the photo.
  layout() {
    const image = find("#left .phone"), pane = find("#left"), style = find("#stage").style;
    if (!image.naturalWidth) return;
    const ratio = window.devicePixelRatio || 1;
    const scale = this.zoomed ? 1 / ratio : Math.min(pane.clientWidth / image.naturalWidth, pane.clientHeight / image.naturalHeight);
    const width = image.naturalWidth * scale, height = image.naturalHeight * scale;
    style.setProperty("--width", `${width}px`);
    style.setProperty("--height", `${height}px`);
    if (!this.zoomed) { style.setProperty("--x", "0px"); style.setProperty("--y", "0px"); return; }
    if (this.x === null) { this.x = (pane.clientWidth - width) / 2; this.y = (pane.clientHeight - height) / 2; }
    this.x = Math.min(0, Math.max(pane.clientWidth - width, this.x));
    this.y = Math.min(0, Math.max(pane.clientHeight - height, this.y));
    style.setProperty("--x", `${Math.round(this.x)}px`);
    style.setProperty("--y", `${Math.round(this.y)}px`);
  }

  pan(x, y) { this.x += x; this.y += y; this.layout(); }

  async step(by) {
    const at = this.at + by;
    if (at >= 0 && at < this.grid.pairs.length) { this.say(""); await this.open(at); return; }
    const offset = this.grid.offset + by * this.grid.size;
    if (offset < 0 || offset >= this.grid.count) { this.say(by > 0 ? "this is the last pair" : "this is the first pair"); return; }
    if (await this.grid.load(offset)) await this.open(by > 0 ? 0 : this.grid.pairs.length - 1);
  }

  async decide(verdict) {
    const pair = this.pair;
    try {
      const answer = await post(`/api/pairs/${pair.id}/decide`, { verdict, seen: pair.decision });
      this.take(pair, answer);
      if (answer.conflict) {
        const what = { accept: "accepted", reject: "rejected" }[answer.conflict.verdict] ?? "made undecided";
        this.say(`${what} meanwhile by ${answer.conflict.who || "somebody"}: press again to change that`, true);
        return;
      }
      if (answer.batch) this.batches.push({ pair, batch: answer.batch });
      this.say(`${pair.shot} ${pair.phone} ${verdict === "accept" ? "accepted" : "rejected"}`);
      if (pair === this.pair && this.at + 1 < this.grid.pairs.length) this.open(this.at + 1);
    } catch (error) {
      this.say(`not saved: ${error.message}`, true);
    }
  }

  async undo() {
    const last = this.batches.pop();
    if (!last) { this.say("nothing to undo in this tab"); return; }
    try {
      const answer = await post(`/api/pairs/${last.pair.id}/undo`, { batch: last.batch });
      this.take(last.pair, answer);
      this.say(answer.undone ? `${last.pair.shot} ${last.pair.phone}: taken back` : "it was decided again since, and stays", !answer.undone);
      const at = this.grid.pairs.indexOf(last.pair);
      if (at >= 0) this.open(at);
    } catch (error) {
      this.batches.push(last);
      this.say(`not saved: ${error.message}`, true);
    }
  }

  take(pair, answer) {
    Object.assign(pair, { verdict: answer.verdict, decision: answer.decision, decided_by: answer.by });
    this.grid.update(pair);
    if (pair === this.pair) this.draw();
  }

  say(text, bad = false) {
    find("#said").textContent = text;
    find("#said").toggleAttribute("data-bad", bad);
  }

  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const at = event.target, typing = at.matches("select");
    const arrow = { ArrowRight: [1, 0], ArrowLeft: [-1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    if (arrow && this.zoomed && event.shiftKey) { this.pan(-80 * arrow[0], -80 * arrow[1]); event.preventDefault(); return; }
    if (typing || (arrow && at.matches("input[type=range]"))) return;
    const actions = { ArrowRight: () => this.step(1), ArrowLeft: () => this.step(-1), a: () => this.decide("accept"), r: () => this.decide("reject"), u: () => this.undo(), z: () => this.zoom(), t: () => this.tone(), p: () => this.overlay("patches"), m: () => this.overlay("mask"), "?": () => this.help() };
    if (event.key === " " && !at.matches("button")) actions[" "] = () => this.blink();
    const act = MODES[event.key] ? () => this.mode(MODES[event.key]) : actions[event.key];
    if (!act) return;
    event.preventDefault();
    act();
  }
}

function fact(label, value) {
  const row = document.createElement("div"), term = document.createElement("dt"), text = document.createElement("dd");
  term.textContent = label;
  text.textContent = value;
  row.append(term, text);
  return row;
}
