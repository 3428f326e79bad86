// The visitor's photos: cards that follow what the server tells of each, and those that are still on their way to it.

const NAMES = { cancelled: "cancelled", failed: "failed", refused: "not taken", sending: "sending …", queued: "will be sent" };

export class Card {
  // actions: open, cancel, remove, each called with the card
  constructor(actions) {
    this.told = {};
    this.root = document.createElement("li");
    this.root.className = "photo";
    this.root.dataset.testid = "photo";
    this.look = button("", "look", () => actions.open(this));
    this.image = document.createElement("img");
    this.look.append(this.image);
    this.words = element("div", "words");
    this.name = element("div", "name");
    this.state = element("div", "state");
    this.state.dataset.testid = "state";
    this.more = element("div", "soft");
    this.bar = document.createElement("progress");
    this.words.append(this.name, this.state, this.bar, this.more);
    this.show = button("Compare", "", () => actions.open(this));
    this.download = element("a", "button");
    this.download.textContent = "Download";
    this.stop = button("Cancel", "", () => actions.cancel(this));
    this.remove = button("Remove", "", () => actions.remove(this));
    const row = element("div", "bar");
    row.append(this.show, this.download, this.stop, this.remove);
    this.root.append(this.look, this.words, row);
  }

  update(told) {
    this.told = { ...this.told, ...told };
    const { id, name, state, error, remedy, model, size, stamp, result } = this.told;
    const done = state === "done", waits = ["waiting", "working"].includes(state);
    this.root.dataset.state = state;
    this.name.textContent = name;
    this.state.textContent = this.describe();
    this.bar.hidden = !(waits || state === "sending");
    this.bar.setAttribute("aria-label", `how far ${name} is`);
    if (state === "waiting") this.bar.removeAttribute("value");
    else this.bar.value = this.told.share ?? 0;
    this.more.textContent = error ? remedy ?? "" : [size?.[0] ? `${size[0]} × ${size[1]}` : "", model, stamp].filter(Boolean).join(" · ");
    const picture = id ? picture_of(this.told, done ? "after-fit" : "before-fit") : "";
    this.look.hidden = !picture;
    if (picture && this.image.getAttribute("src") !== picture) this.image.src = picture;
    this.image.alt = done ? `${name}, enhanced` : name;
    this.look.disabled = this.show.disabled = !done;
    this.show.hidden = this.download.hidden = !done;
    if (done) { this.download.href = picture_of(this.told, "result"); this.download.download = result; }
    this.stop.hidden = !(waits || state === "sending" || state === "queued");
    this.remove.hidden = !this.stop.hidden;
    for (const [one, verb] of [[this.look, "compare"], [this.show, "compare"], [this.download, "download"], [this.stop, "cancel"], [this.remove, "remove"]]) one.setAttribute("aria-label", `${verb} ${name}`);
  }

  describe() {
    const { state, before, share, error } = this.told;
    if (error) return error;
    if (state === "working") return `enhancing … ${Math.floor((share ?? 0) * 100)}%`;
    if (state === "waiting") return before ? `waiting, ${before} before it` : "waiting, next";
    return NAMES[state] ?? state;
  }
}

export const picture_of = (photo, what) => `/photos/${photo.id}/${what}`;

function element(kind, name) {
  const made = document.createElement(kind);
  if (name) made.className = name;
  return made;
}

function button(text, name, act) {
  const made = element("button", name);
  made.type = "button";
  made.textContent = text;
  made.addEventListener("click", act);
  return made;
}
