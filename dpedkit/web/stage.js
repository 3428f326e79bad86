// Both photos of a pair, in one of the ways to compare them.

import { picture } from "./api.js";
import { Comparison } from "./compare.js";
import { load } from "./pictures.js";

const find = (selector) => document.querySelector(selector);

export class Stage extends Comparison {
  constructor(dialog) {
    super(dialog);
    this.box.addEventListener("click", () => { if (dialog.dataset.mode === "blink" && !this.zoomed) this.blink(); });
  }

  get toned() { return find("#tone").getAttribute("aria-pressed") === "true"; }

  names(pair) {
    if (this.zoomed) return ["full-phone.jpg", "full-dslr.jpg"];
    return ["phone.jpg", this.toned && pair.status === "aligned" ? "toned.jpg" : "dslr.jpg"];
  }

  // Show a pair; resolves to what is wrong with its photos, "" if nothing is, or null if another was asked for meanwhile.
  async show(pair) {
    this.dialog.toggleAttribute("data-apart", pair.status !== "aligned");
    const shown = await this.put(this.names(pair).map((name) => picture(pair, name)));
    if (!shown) return null;
    const [phone, dslr] = shown;
    if (this.toned && !this.zoomed && phone && !dslr) {
      this.tone();
      const problem = await this.show(pair);
      return problem === "" ? "the photos do not tell their tones: too little to go by" : problem;
    }
    find(".on-under").textContent = phone ? pair.phone : `${pair.phone}: no picture`;
    find(".on-over").textContent = dslr ? pair.dslr : `${pair.dslr}: no picture`;
    return phone && dslr ? "" : "a photo of this pair cannot be drawn: `dpedkit fsck` names what is broken or missing";
  }

  ahead(pair) {
    if (pair && !this.zoomed) for (const name of this.names(pair)) load(picture(pair, name), "low").catch(() => {});
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

  tone() { find("#tone").setAttribute("aria-pressed", !this.toned); }
}
