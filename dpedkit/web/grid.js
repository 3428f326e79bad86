// The grid: one page of pairs, by query, verdict and order.

import * as address from "./address.js";
import { VERDICTS, get, named, picture } from "./api.js";

const find = (selector) => document.querySelector(selector);
const fixed = (value, digits) => (value === null ? "–" : value.toFixed(digits));
const NEAR = 15; // pairs before the end of a page where the next one is asked for
const FIELDS = { where: "#where", show: "#verdict", order: "#order" };

export class Grid {
  constructor(open) {
    this.pairs = [];
    this.count = 0;
    this.offset = 0;
    this.chosen = {};
    this.upcoming = []; // of the next page, once it is known
    this.open = open;
    find("#filters").addEventListener("submit", (event) => { event.preventDefault(); this.apply(); });
    for (const id of ["#verdict", "#order"]) find(id).addEventListener("change", () => this.apply());
    find("#clear").addEventListener("click", () => { find("#filters").reset(); this.apply(); });
    find("#before").addEventListener("click", () => this.leaf(-1));
    find("#after").addEventListener("click", () => this.leaf(1));
    find("#grid").addEventListener("keydown", (event) => this.move(event));
  }

  // Show what the address says; resolves to the id of the pair that it names, if any.
  async restore() {
    const said = address.read();
    for (const [name, id] of Object.entries(FIELDS)) find(id).value = said[name] ?? first(find(id));
    const wanted = { ...this.filters(), offset: Number(said.offset ?? 0) };
    if (!Object.entries(wanted).every(([name, value]) => this.chosen[name] === value)) await this.load(this.ask(wanted));
    return said.pair;
  }

  filters() { return Object.fromEntries(Object.entries(FIELDS).map(([name, id]) => [name, find(id).value])); }

  async apply() { if (await this.load(this.ask({ ...this.filters(), offset: 0 }))) address.go(this.chosen); }

  // The next page follows what is left of this one: pairs that were decided may be found no more.
  async turn(by) {
    return this.load(by > 0 ? this.following() : this.ask({ ...this.chosen, offset: Math.max(0, this.offset - this.size) }));
  }

  // Asked for when the end of this page is near: it is there when it is turned.
  following() {
    if (!this.next) {
      this.next = this.ask(this.chosen, { after: this.pairs.map((pair) => pair.id).join() });
      this.next.then((found) => { this.upcoming = found.pairs; }, () => { this.next = null; });
    }
    return this.next;
  }

  async leaf(by) { if (await this.turn(by)) { address.go(this.chosen); window.scrollTo(0, 0); } }

  // Resolves to the pair beside one, null where there is none, undefined where it could not be found out.
  async beside(pair, by) {
    const at = this.pairs.indexOf(pair);
    if (at + by >= 0 && at + by < this.pairs.length) return this.pairs[at + by];
    if (by < 0 ? at < 0 || this.offset === 0 : this.offset + this.pairs.length >= this.count) return null;
    if (!(await this.turn(by))) return undefined;
    return this.pairs.at(by > 0 ? 0 : -1) ?? null;
  }

  // The pairs beside one in a direction, as far as they are known; the next page is asked for where this one ends.
  after(pair, way, count) {
    const at = this.pairs.indexOf(pair), known = [...this.pairs, ...this.upcoming], found = [];
    for (let step = 1; step <= count && known[at + step * way]; step += 1) found.push(known[at + step * way]);
    if (way > 0 && at + NEAR > this.pairs.length && this.offset + this.pairs.length < this.count) this.following();
    return found;
  }

  ask(chosen, after = {}) {
    return get("/api/pairs", { ...chosen, ...after }).then((found) => ({ ...found, chosen: { ...chosen, offset: found.offset } }));
  }

  // Show what was asked for, unless something else was meanwhile; resolves to whether it is shown.
  async load(asked) {
    const problem = find("#problem");
    let found;
    this.next = null;
    this.upcoming = [];
    this.asked = asked;
    try {
      found = await asked;
    } catch (error) {
      if (asked !== this.asked) return false;
      problem.textContent = [error.pointed, error.message, error.pointed ? "" : error.remedy].filter(Boolean).join("\n");
      problem.hidden = false;
      return false;
    }
    if (asked !== this.asked) return false;
    problem.hidden = true;
    Object.assign(this, { pairs: found.pairs, count: found.count, offset: found.offset, size: found.limit, chosen: found.chosen });
    if (found.counts && !this.counts) this.tally(found.counts); // a page that was asked for early knows old ones
    this.draw();
    return true;
  }

  draw() {
    find("#grid").replaceChildren(...this.pairs.map((pair) => this.card(pair)));
    const last = this.offset + this.pairs.length;
    find("#shown").textContent = this.pairs.length ? `${this.offset + 1}–${last} of ${this.count} pairs` : "no pair is found";
    find("#clear").hidden = this.pairs.length > 0 || !(this.chosen.where || this.chosen.show !== "all");
    find("#pages").hidden = this.count <= this.pairs.length;
    find("#where-in-pages").textContent = `page ${Math.floor(this.offset / this.size) + 1} of ${Math.max(1, Math.ceil(this.count / this.size))}`;
    find("#before").disabled = this.offset === 0;
    find("#after").disabled = last >= this.count;
  }

  card(pair) {
    const item = document.createElement("li"), card = document.createElement("button");
    card.type = "button";
    card.className = "card";
    card.dataset.id = pair.id;
    card.dataset.testid = "card";
    const image = new Image();
    image.loading = "lazy";
    image.fetchPriority = "low"; // a pair that was opened comes first
    image.alt = "";
    image.addEventListener("error", () => image.classList.add("missing"));
    image.src = picture(pair, "thumb.jpg");
    const name = document.createElement("span"), more = document.createElement("span");
    name.className = "name";
    more.className = "more";
    const [session, number] = [pair.shot.slice(0, pair.shot.lastIndexOf("/")), pair.shot.slice(pair.shot.lastIndexOf("/"))];
    name.append(span(session), span(number), span(pair.phone));
    more.append(span(pair.status === "aligned" ? `${fixed(pair.residual_px, 3)} px` : fit(pair)), span(`${pair.kept} of ${pair.patches} kept`));
    card.append(image, name, more);
    card.addEventListener("click", () => { address.go({ ...this.chosen, pair: pair.id }, true); this.open(pair); });
    item.append(card);
    this.mark(card, pair);
    return item;
  }

  mark(card, pair) {
    card.dataset.verdict = pair.verdict ?? "";
    card.setAttribute("aria-label", `${named(pair)}, ${fit(pair)}, ${VERDICTS[pair.verdict] ?? "undecided"}`);
  }

  update(pair, before) {
    const card = this.cardOf(pair);
    if (card) this.mark(card, pair);
    const counts = this.counts, kind = (verdict) => VERDICTS[verdict] ?? "undecided";
    if (!counts) return;
    counts[kind(before)] -= 1;
    counts[kind(pair.verdict)] += 1;
    this.tally(counts);
  }

  tally(counts) {
    this.counts = counts;
    find("#counts").textContent = `${counts.undecided} undecided, ${counts.accepted} accepted, ${counts.rejected} rejected`;
    find("#none").hidden = counts.undecided + counts.accepted + counts.rejected > 0;
  }

  cardOf(pair) { return [...document.querySelectorAll(".card")].find((card) => card.dataset.id === pair?.id); }

  // A pair fills the window: the address names it. Or it does no more, and its card has the focus.
  at(pair) { address.amend({ ...this.chosen, pair: pair.id }); }

  back(pair) {
    if (address.read().pair) address.leave(this.chosen);
    this.cardOf(pair)?.focus();
  }

  place(pair) {
    const at = this.pairs.indexOf(pair);
    return at < 0 ? "" : `${this.offset + at + 1} of ${this.count}`;
  }

  move(event) {
    const cards = [...document.querySelectorAll(".card")], at = cards.indexOf(document.activeElement);
    if (at < 0) return;
    const columns = cards.filter((card) => card.offsetTop === cards[0].offsetTop).length;
    const step = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: columns, ArrowUp: -columns }[event.key];
    if (step === undefined) return;
    event.preventDefault();
    cards[Math.min(cards.length - 1, Math.max(0, at + step))].focus();
  }
}

// What became of the alignment; "rejected" is what people say.
function fit(pair) {
  if (pair.status === "aligned") return "aligned";
  return pair.status === "new" ? "not aligned yet" : `not aligned: ${(pair.reason || pair.status).replaceAll("_", " ")}`;
}

const first = (field) => (field.options ? field.options[0].value : "");

function span(text) {
  const element = document.createElement("span");
  element.textContent = text;
  return element;
}
