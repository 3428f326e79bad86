// Two pictures laid over each other or side by side, at fit or 1:1; pages that show them have the elements named here.

import { load } from "./pictures.js";

const find = (selector) => document.querySelector(selector);
const ARROWS = { ArrowRight: [1, 0], ArrowLeft: [-1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

export class Comparison {
  constructor(dialog) {
    this.dialog = dialog;
    this.box = find("#stage");
    this.turn = 0;
    this.x = this.y = null;
    find("#cut").addEventListener("input", (event) => dialog.style.setProperty("--cut", `${event.target.value}%`));
    this.box.addEventListener("pointerdown", (event) => this.drag(event, true));
    this.box.addEventListener("pointermove", (event) => { if (event.buttons) this.drag(event, false); });
    new ResizeObserver(() => this.layout()).observe(this.box); // the window, or what stands around it, took another size
  }

  get zoomed() { return "zoom" in this.dialog.dataset; }
  get loading() { return this.box.ariaBusy === "true"; }

  // Show two pictures at once; resolves to the addresses of those that could be had ("" else), or null if others were asked for meanwhile.
  async put(addresses) {
    const turn = (this.turn += 1);
    this.box.ariaBusy = "true";
    const got = await Promise.allSettled(addresses.map((address) => load(address)));
    if (turn !== this.turn) return null;
    const [under, over] = got.map((one, at) => (one.status === "fulfilled" ? addresses[at] : ""));
    for (const image of document.querySelectorAll("#stage img")) {
      const address = image.className === "under" ? under : over;
      if (address) image.src = address;
      else image.removeAttribute("src");
    }
    this.box.ariaBusy = "false";
    this.layout();
    return [under, over];
  }

  zoom() {
    this.dialog.toggleAttribute("data-zoom");
    find("#zoom").setAttribute("aria-pressed", this.zoomed);
    this.x = this.y = null;
  }

  // At 1:1 a pixel of the photo is one of the screen; at fit both layers have the same box, so that an overlay lies on the photo.
  layout() {
    const image = find("#left .under"), pane = find("#left"), style = this.box.style;
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

  // What is zoomed is moved; at fit, the cut goes where the pointer is.
  drag(event, begins) {
    if (!this.zoomed && this.dialog.dataset.mode !== "split") return;
    if (begins) this.box.setPointerCapture(event.pointerId);
    if (!this.zoomed) {
      const layer = find("#left .layer").getBoundingClientRect();
      this.cut((100 * (event.clientX - layer.left)) / layer.width);
    } else if (!begins) this.pan(event.movementX, event.movementY);
  }

  cut(percent) {
    find("#cut").value = percent;
    find("#cut").dispatchEvent(new Event("input"));
  }

  pan(x, y) { this.x += x; this.y += y; this.layout(); }

  // Shift and arrows move what is zoomed; returns whether the key was meant so.
  moved(event) {
    const arrow = ARROWS[event.key];
    if (!arrow || !this.zoomed || !event.shiftKey) return false;
    this.pan(-80 * arrow[0], -80 * arrow[1]);
    return true;
  }
}

// A photo that is larger than its pane covers it; a smaller one stays in the middle.
const held = (place, room) => (room > 0 ? room / 2 : Math.min(0, Math.max(room, place)));
