// One pair, as large as the window: the pair before, the next one, and decisions with a key each.

import { VERDICTS, get, named, post } from "./api.js";
import { drawOverlay, legend } from "./overlays.js";
import { Stage } from "./stage.js";

const find = (selector) => document.querySelector(selector);
const AHEAD = 3; // pairs whose pictures are fetched before they are asked for
const DETAILS = 20; // pairs whose masks and patches are kept
const PAUSE_MS = 150; // who goes through pairs faster sees the photos alone
const SLOW_MS = 300; // a decision that takes longer says so
const MODES = { b: "blink", s: "split", c: "beside", d: "difference" };
const STEPS = { ArrowRight: 1, ArrowLeft: -1 };
const FACTS = {
  residual_px: ["residual", 3, " px"], residual_p95_px: ["p95", 3, " px"], trusted_share: ["trusted", 2, ""], overlap: ["overlap", 2, ""],
  inliers: ["inliers", 0, ""], sharpness_ratio: ["sharpness, DSLR over phone", 2, ""], patches: ["patches", 0, ""], kept: ["kept", 0, ""],
};

export class Viewer {
  constructor(grid) {
    this.grid = grid;
    this.dialog = find("#viewer");
    this.stage = new Stage(this.dialog);
    this.details = new Map();
    this.batches = []; // what this tab decided, for undo
    this.shown = { mask: false, patches: false };
    this.pair = null;
    this.saving = this.stepping = false;
    this.listen();
  }

  listen() {
    this.actions = {
      close: () => this.dialog.close(), previous: () => this.step(-1), next: () => this.step(1),
      accept: () => this.decide("accept"), reject: () => this.decide("reject"), undo: () => this.undo(),
    };
    this.keys = {
      a: this.actions.accept, r: this.actions.reject, u: this.actions.undo, z: () => this.zoom(), t: () => this.tone(),
      p: () => this.overlay("patches"), m: () => this.overlay("mask"), "?": () => this.help(), " ": () => this.stage.blink(),
    };
    this.dialog.addEventListener("close", () => this.closed());
    document.addEventListener("keydown", (event) => { if (this.dialog.open) this.key(event); }); // what had the focus may be hidden by now
    for (const button of document.querySelectorAll("[data-do]")) button.addEventListener("click", this.actions[button.dataset.do]);
    // a button that was clicked keeps no focus: the space bar, which blinks, would press it again
    this.dialog.addEventListener("click", (event) => { if (event.detail && event.target.closest("button")) find("#stage").focus(); });
    for (const button of document.querySelectorAll("[data-mode-of]")) button.addEventListener("click", () => this.stage.mode(button.dataset.modeOf));
    for (const what of ["mask", "patches"]) find(`#${what}`).addEventListener("click", () => this.overlay(what));
    find("#zoom").addEventListener("click", this.keys.z);
    find("#tone").addEventListener("click", this.keys.t);
    find("#score").addEventListener("change", () => this.overlays());
    find("#help-button").addEventListener("click", this.keys["?"]);
  }

  // way: where the next pair is likely to be
  async open(pair, way = 1) {
    this.pair = pair;
    if (!this.dialog.open) { this.dialog.showModal(); find("#stage").focus(); }
    this.title();
    this.explain();
    if (!(await this.redraw())) return;
    const next = this.grid.after(pair, way, AHEAD);
    for (const one of [...next, ...this.grid.after(pair, -way, 1)]) this.stage.ahead(one);
    setTimeout(() => { if (pair === this.pair) this.stay(next[0]); }, PAUSE_MS);
  }

  async redraw() {
    const problem = await this.stage.show(this.pair);
    if (problem) this.say(problem, true);
    return problem !== null;
  }

  title() {
    const pair = this.pair, badge = find("#badge");
    find("#title").textContent = named(pair);
    find("#place").textContent = this.grid.place(pair);
    badge.dataset.verdict = pair.verdict ?? "";
    badge.textContent = VERDICTS[pair.verdict] ?? "undecided";
    badge.title = pair.decided_by ? `by ${pair.decided_by}` : "";
  }

  // Somebody looks at this pair, and does not only leaf past it: browsers take few new addresses in a second.
  async stay(next) {
    const pair = this.pair;
    this.grid.at(pair);
    try {
      await this.detail(pair);
      if (pair !== this.pair) return;
      this.explain();
      if (next) await this.detail(next);
    } catch (error) {
      if (pair === this.pair && !this.complains) this.say(error.message, true); // a decision that was not saved is worse
    }
  }

  // Facts, mask and patches, as far as they are known.
  explain() {
    const details = this.details.get(this.pair.id)?.value;
    if (details) this.facts(details);
    else find("#facts").replaceChildren();
    this.overlays();
  }

  detail(pair) {
    if (!this.details.has(pair.id)) {
      const asked = get(`/api/pairs/${pair.id}`).then((details) => { asked.value = details; return details; });
      asked.catch(() => this.details.delete(pair.id));
      this.details.set(pair.id, asked);
      if (this.details.size > DETAILS) this.details.delete(this.details.keys().next().value);
    }
    return this.details.get(pair.id);
  }

  facts(details) {
    const list = Object.entries(FACTS).filter(([name]) => details.facts[name] !== null).map(([name, [label, digits, unit]]) => fact(label, details.facts[name].toFixed(digits) + unit));
    if (details.scene) list.unshift(fact("scene", details.scene));
    if (details.split) list.push(fact("split", details.split));
    if (details.tags.length) list.push(fact("tags", details.tags.join(", ")));
    if (details.detail) list.unshift(fact(`not aligned: ${(details.reason || details.status).replaceAll("_", " ")}`, details.detail));
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
    if (!details || !this.shown.patches) return;
    if (!details.patches.length) this.say("no patches were cut from this pair");
    find("#legend").replaceChildren(...legend(details, find("#score").value).map(([kind, text]) => swatch(kind, text)));
  }

  overlay(what) {
    this.shown[what] = !this.shown[what];
    find(`#${what}`).setAttribute("aria-pressed", this.shown[what]);
    this.say("");
    this.overlays();
  }

  async tone() {
    this.stage.tone();
    this.say("");
    await this.redraw();
  }

  zoom() { this.stage.zoom(); this.redraw(); }

  help() {
    const help = find("#help");
    help.hidden = !help.hidden;
    find("#help-button").setAttribute("aria-expanded", !help.hidden);
  }

  // Resolves to whether there was another pair.
  async step(by) {
    if (this.stepping) return true; // another page is on its way
    this.stepping = true;
    const pair = await this.grid.beside(this.pair, by).finally(() => { this.stepping = false; });
    if (pair === undefined) return false; // an error, which the grid shows
    this.say(pair ? "" : by > 0 ? "this is the last pair" : "this is the first pair");
    if (pair) this.open(pair, by);
    return Boolean(pair);
  }

  async decide(verdict) {
    const pair = this.pair;
    if (this.stage.loading) { this.say("not yet: the photos are still being drawn", true); return; }
    await this.save(async () => {
      const answer = await post(`/api/pairs/${pair.id}/decide`, { verdict, seen: pair.decision });
      this.take(pair, answer);
      if (answer.conflict) {
        this.say(`${VERDICTS[answer.conflict.verdict] ?? "made undecided"} meanwhile by ${answer.conflict.who || "somebody"}: press again to change that`, true);
        return;
      }
      if (answer.batch) this.batches.push({ pair, batch: answer.batch });
      const more = pair !== this.pair || (await this.step(1));
      this.say(`${named(pair)} ${VERDICTS[verdict]}${more ? "" : "; this was the last pair"}`);
    });
  }

  async undo() {
    const last = this.batches.at(-1);
    if (!last) { this.say("nothing to undo in this tab"); return; }
    await this.save(async () => {
      const answer = await post(`/api/pairs/${last.pair.id}/undo`, { batch: last.batch });
      this.batches.splice(this.batches.indexOf(last), 1);
      this.take(last.pair, answer);
      this.open(last.pair);
      this.say(answer.undone ? `${named(last.pair)}: taken back` : "it was decided again since, and stays", !answer.undone);
    });
  }

  // One decision at a time: a key that is pressed again before the answer came is not meant for the next pair.
  async save(work) {
    if (this.saving) return;
    this.saving = true;
    const slow = setTimeout(() => this.say("saving … another command may be writing to the corpus"), SLOW_MS);
    try {
      await work();
    } catch (error) {
      this.say(`not saved: ${[error.message, error.remedy].filter(Boolean).join("; ")}`, true);
    } finally {
      clearTimeout(slow);
      this.saving = false;
    }
  }

  take(pair, answer) {
    const before = pair.verdict;
    Object.assign(pair, { verdict: answer.verdict, decision: answer.decision, decided_by: answer.by });
    this.grid.update(pair, before);
    if (pair === this.pair) this.title();
  }

  closed() {
    const pair = this.pair;
    this.pair = null;
    this.grid.back(pair);
  }

  get complains() { return find("#said").hasAttribute("data-bad"); }

  say(text, bad = false) {
    find("#said").textContent = text;
    find("#said").toggleAttribute("data-bad", bad);
  }

  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const at = event.target, step = STEPS[event.key];
    if (this.stage.moved(event)) { event.preventDefault(); return; }
    if (at.matches("select") || (step && at.matches("input[type=range]")) || (event.key === " " && at.matches("button"))) return;
    const act = step ? () => this.step(step) : MODES[event.key] ? () => this.stage.mode(MODES[event.key]) : this.keys[event.key];
    if (!act) return;
    event.preventDefault();
    // a key that is held down goes through the pairs, each as soon as the one before is seen; it decides nothing
    if (event.repeat && (!step || this.stage.loading)) return;
    act();
  }
}

function swatch(kind, text) {
  const mark = document.createElement("span");
  mark.className = `swatch ${kind}`;
  mark.textContent = text;
  return mark;
}

function fact(label, value) {
  const row = document.createElement("div"), term = document.createElement("dt"), text = document.createElement("dd");
  term.textContent = label;
  text.textContent = value;
  row.append(term, text);
  return row;
}
