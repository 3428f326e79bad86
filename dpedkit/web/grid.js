// The grid: one page of pairs, by query, verdict and order; what was chosen stands in the address.

import { get, picture } from "./api.js";

const find = (selector) => document.querySelector(selector);
const fixed = (value, digits) => (value === null ? "–" : value.toFixed(digits));

export class Grid {
  constructor(open) {
    this.pairs = [];
    this.count = 0;
    this.offset = 0;
    this.size = 60;
    this.open = open;
    find("#filters").addEventListener("submit", (event) => { event.preventDefault(); this.load(0); });
    for (const id of ["#verdict", "#order"]) find(id).addEventListener("change", () => this.load(0));
    find("#before").addEventListener("click", () => this.load(Math.max(0, this.offset - this.size)));
    find("#after").addEventListener("click", () => this.load(this.offset + this.size));
    find("#grid").addEventListener("keydown", (event) => this.move(event));
  }

  async begin() {
    const about = await get("/api/review");
    this.size = about.page;
    for (const [value, label] of Object.entries(about.orders)) find("#order").add(new Option(label, value));
    find("#column-list").textContent = Object.keys(about.columns).join("  ");
    const chosen = new URLSearchParams(location.hash.slice(1));
    for (const [name, id] of [["where", "#where"], ["show", "#verdict"], ["order", "#order"]]) if (chosen.has(name)) find(id).value = chosen.get(name);
    this.tally(about.counts);
    await this.load(Number(chosen.get("offset") ?? 0));
  }

  async load(offset) {
    const problem = find("#problem"), chosen = { where: find("#where").value, show: find("#verdict").value, order: find("#order").value, offset };
    let found;
    try {
      found = await get("/api/pairs", { ...chosen, limit: this.size });
    } catch (error) {
      problem.textContent = [error.pointed, error.message].filter(Boolean).join("\n");
      problem.hidden = false;
      return false;
    }
    problem.hidden = true;
    Object.assign(this, { pairs: found.pairs, count: found.count, offset: found.offset });
    this.draw();
    history.replaceState(null, "", `#${new URLSearchParams(chosen)}`);
    return true;
  }

  draw() {
    find("#grid").replaceChildren(...this.pairs.map((pair, at) => this.card(pair, at)));
    const last = this.offset + this.pairs.length;
    find("#shown").textContent = this.count ? `${this.offset + 1}–${last} of ${this.count} pairs` : "no pair is found";
    find("#where-in-pages").textContent = `page ${Math.floor(this.offset / this.size) + 1} of ${Math.max(1, Math.ceil(this.count / this.size))}`;
    find("#before").disabled = this.offset === 0;
    find("#after").disabled = last >= this.count;
  }

  card(pair, at) {
    const item = document.createElement("li"), card = document.createElement("button");
    card.type = "button";
    card.className = "card";
    card.dataset.id = pair.id;
    card.dataset.testid = "card";
    const image = new Image();
    image.loading = "lazy";
    image.alt = "";
    image.src = picture(pair, "thumb.jpg");
    const name = document.createElement("span"), more = document.createElement("span");
    name.className = "name";
    more.className = "more";
    name.append(span(pair.shot), span(pair.phone));
    more.append(span(pair.status === "aligned" ? `${fixed(pair.residual_px, 3)} px` : `${pair.status} ${pair.reason ?? ""}`), span(`${pair.kept} of ${pair.patches} kept`));
    card.append(image, name, more);
    card.addEventListener("click", () => this.open(this.pairs[at], at));
    item.append(card);
    this.mark(card, pair);
    return item;
  }

  mark(card, pair) {
    card.dataset.verdict = pair.verdict ?? "";
    const words = { accept: "accepted", reject: "rejected" }[pair.verdict] ?? "undecided";
    card.setAttribute("aria-label", `${pair.shot} ${pair.phone}, ${pair.status}, ${words}`);
  }

  update(pair) {
    const card = [...document.querySelectorAll(".card")].find((one) => one.dataset.id === pair.id);
    if (card) this.mark(card, pair);
    get("/api/review").then((about) => this.tally(about.counts));
  }

  tally(counts) {
    find("#counts").textContent = `${counts.undecided} undecided, ${counts.accepted} accepted, ${counts.rejected} rejected`;
  }

  focus(at) {
    document.querySelectorAll(".card")[at]?.focus();
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

function span(text) {
  const element = document.createElement("span");
  element.textContent = text;
  return element;
}
