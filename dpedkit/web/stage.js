// Both photos of a pair, laid over each other or side by side, at fit or 1:1.

import { picture } from "./api.js";
import { load } from "./pictures.js";

const find = (selector) => document.querySelector(selector);

export class Stage {
  constructor(dialog) {
    this.dialog = dialog;
    this.box = find("#stage");
    this.turn = 0;
    this.x = this.y = null;
    find("#cut").addEventListener("input", (event) => dialog.style.setProperty("--cut", `${event.target.value}%`));
    this.box.addEventListener("click", () => { if (dialog.dataset.mode === "blink" && !this.zoomed) this.blink(); });
    this.box.addEventListener("pointerdown", (event) => { if (this.zoomed) this.box.setPointerCapture(event.pointerId); });
    this.box.addEventListener("pointermove", (event) => { if (this.zoomed && event.buttons) this.pan(event.movementX, event.movementY); });
    new ResizeObserver(() => this.layout()).observe(this.box); // the window, or what stands around it, took another size
  }

  get zoomed() { return "zoom" in this.dialog.dataset; }
  get toned() { return find("#tone").getAttribute("aria-pressed") === "true"; }
  get loading() { return this.box.ariaBusy === "true"; }

  names(pair) {
    if (this.zoomed) return ["full-phone.jpg", "full-dslr.jpg"];
    return ["phone.jpg", this.toned && pair.status === "aligned" ? "toned.jpg" : "dslr.jpg"];
  }

  // Show a pair; resolves to what is wrong with its photos, "" if nothing is, or null if another was asked for meanwhile.
  async show(pair) {
    const turn = (this.turn += 1), addresses = this.names(pair).map((name) => picture(pair, name));
    this.box.ariaBusy = "true";
    const found = await Promise.allSettled(addresses.map((address) => load(address)));
    if (turn !== this.turn) return null;
    if (this.toned && !this.zoomed && found[0].status === "fulfilled" && found[1].status === "rejected") {
      this.tone();
      const problem = await this.show(pair);
      return problem === "" ? "the photos do not tell their tones: too little to go by" : problem;
    }
    const [phone, dslr] = found.map((one, at) => (one.status === "fulfilled" ? addresses[at] : ""));
    for (const [selector, address] of [["#left .phone", phone], ["#left .dslr", dslr], ["#right .dslr", dslr]]) {
      const image = find(selector);
      if (address) image.src = address;
      else image.removeAttribute("src");
    }
    this.dialog.toggleAttribute("data-apart", pair.status !== "aligned");
    find(".on-phone").textContent = phone ? pair.phone : `${pair.phone}: no picture`;
    find(".on-dslr").textContent = dslr ? pair.dslr : `${pair.dslr}: no picture`;
    this.box.ariaBusy = "false";
    this.layout();
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

  zoom() {
    this.dialog.toggleAttribute("data-zoom");
    find("#zoom").setAttribute("aria-pressed", this.zoomed);
    this.x = this.y = null;
  }

  tone() { find("#tone").setAttribute("aria-pressed", !this.toned); }

  // At 1:1 a pixel of the photo is one of the screen; at fit both layers have the same box, so that the overlay lies on the photo.
  layout() {
    const image = find("#left .phone"), pane = find("#left"), style = this.box.style;
    if (!image.naturalWidth) return;
    const scale = this.zoomed ? 1 / (window.devicePixelRatio || 1) : Math.min(pane.clientWidth / image.naturalWidth, pane.clientHeight / image.naturalHeight);
    const width = image.naturalWidth * scale, height = image.naturalHeight * scale;
    style.setProperty("--width", `${width}px`);
    style.setProperty("--height", `${height}px`);
    if (!this.zoomed) { style.setProperty("--x", "0px"); style.setProperty("--y", "0px"); return; }
    if (this.x === null) { this.x = (pane.clientWidth - width) / 2; this.y = (pane.clientHeight - height) / 2; }
    this.x = held(this.x, pane.clientWidth - width);
    this.y = held(this.y, pane.clientHeight - height);
    style.setProperty("--x", `${Math.round(this.x)}px`);
    style.setProperty("--y", `${Math.round(this.y)}px`);
  }

  pan(x, y) { this.x += x; this.y += y; this.layout(); }
}

// A photo that is larger than its pane covers it; a smaller one stays in the middle.
const held = (place, room) => (room > 0 ? room / 2 : Math.min(0, Math.max(room, place)));
