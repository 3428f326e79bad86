"use strict";
// Both kinds of page of an alignment report: the index is sorted and filtered, a pair is looked at. Nothing is fetched.

const BLINK_MS = 600;
const MODES = ["blink", "split", "fringes", "checker", "difference"];
const find = (selector) => document.querySelector(selector);

function index() {
  const form = find("#filters"), body = find("#pairs tbody"), rows = [...body.rows];
  const value = (row, column) => {
    const cell = row.cells[column];
    return cell.dataset.value === undefined ? cell.textContent.trim().toLowerCase() : parseFloat(cell.dataset.value);
  };
  const filter = () => {
    const wanted = new FormData(form), words = wanted.get("words").toLowerCase().split(/\s+/);
    let shown = 0;
    for (const row of rows) {
      const text = row.textContent.toLowerCase();
      row.hidden = (wanted.get("status") && row.dataset.status !== wanted.get("status"))
        || (wanted.get("phone") && row.dataset.phone !== wanted.get("phone"))
        || !words.every((word) => text.includes(word));
      shown += !row.hidden;
    }
    find("#shown").textContent = shown === rows.length ? "" : `${shown} of ${rows.length} shown`;
  };
  const sort = (head) => {
    const heads = [...head.parentNode.cells], column = heads.indexOf(head);
    const down = head.getAttribute("aria-sort") === "ascending";
    heads.forEach((other) => other.removeAttribute("aria-sort"));
    head.setAttribute("aria-sort", down ? "descending" : "ascending");
    const sign = down ? -1 : 1;
    rows.sort((a, b) => {
      const [left, right] = [value(a, column), value(b, column)];
      if (left !== left || right !== right) return (left !== left) - (right !== right); // what has no number comes last
      return sign * (left < right ? -1 : left > right ? 1 : 0);
    });
    body.append(...rows);
  };
  form.addEventListener("input", filter);
  form.addEventListener("submit", (event) => event.preventDefault());
  document.querySelectorAll("th[data-sort]").forEach((head) => head.addEventListener("click", () => sort(head)));
  filter(); // a browser that goes back keeps what was chosen
}

function neighbours() {
  const pairs = window.PAIRS ?? [], at = pairs.indexOf(document.body.dataset.page); // none while a first report is made
  const link = (id, name) => { if (at >= 0 && name) find(id).href = name; };
  link("#previous", pairs[at - 1]);
  link("#next", pairs[at + 1]);
  document.addEventListener("keydown", (event) => {
    const id = { ArrowLeft: "#previous", ArrowRight: "#next" }[event.key];
    const busy = event.target.matches("input[type=range], input[type=radio], select");
    if (id && !busy && !event.altKey && !event.ctrlKey && !event.metaKey && find(id).href) location.href = find(id).href;
  });
}

function viewer() {
  const state = document.body.dataset, form = find("#viewer"), cut = find("#cut");
  const blink = () => { state.front = state.front === "phone" ? "dslr" : "phone"; };
  const follow = () => {
    state.mode = form.elements.mode.value;
    if (form.elements.toned) state.tone = form.elements.toned.checked ? "toned" : "own";
  };
  let timer = 0;
  const pace = () => {
    clearInterval(timer);
    if (form.elements.auto.checked) timer = setInterval(blink, BLINK_MS);
  };
  form.addEventListener("input", () => { follow(); pace(); });
  form.addEventListener("change", () => document.activeElement.blur()); // so that the arrow keys turn pages again
  cut.addEventListener("input", () => document.body.style.setProperty("--cut", `${cut.value}%`));
  cut.addEventListener("pointermove", (event) => {
    cut.value = 100 * event.offsetX / cut.clientWidth;
    document.body.style.setProperty("--cut", `${cut.value}%`);
  });
  document.addEventListener("keydown", (event) => {
    if (event.target.matches("select, input[type=search]")) return;
    if (event.key === " ") {
      event.preventDefault();
      form.elements.auto.checked = false;
      form.elements.mode.value = "blink";
      blink();
    } else if (MODES[event.key - 1]) {
      form.elements.mode.value = MODES[event.key - 1];
    } else {
      return;
    }
    follow();
    pace();
  });
  if (matchMedia("(prefers-reduced-motion: reduce)").matches) form.elements.auto.checked = false;
  follow();
  pace();
}

function patches() {
  const scores = JSON.parse(find("#scores").textContent), rects = [...find("#patches").children], select = find("#score");
  const named = [...select.options].slice(1); // the first stands for the verdict
  const mix = (from, to, t) => `rgb(${from.map((c, i) => Math.round(c + (to[i] - c) * t)).join()})`;
  const good = [18, 106, 168], middle = [243, 239, 223], bad = [217, 85, 10];
  const paint = () => {
    const name = select.value;
    find("#verdicts").hidden = name !== "";
    find("#ramp").hidden = name === "";
    if (!name) return rects.forEach((rect) => { rect.style.fill = rect.style.fillOpacity = ""; });
    const known = scores[name].filter((value) => value !== null).sort((a, b) => a - b);
    const low = known[Math.floor(0.02 * known.length)], high = known[Math.ceil(0.98 * known.length) - 1];
    const high_is_good = select.selectedOptions[0].dataset.better === "high";
    const [from, to] = high_is_good ? [bad, good] : [good, bad];
    rects.forEach((rect, i) => {
      const value = scores[name][i];
      const t = Math.min(Math.max((value - low) / (high - low || 1), 0), 1);
      rect.style.fill = value === null ? "none" : t < 0.5 ? mix(from, middle, 2 * t) : mix(middle, to, 2 * t - 1);
      rect.style.fillOpacity = 0.8;
    });
    find("#ramp").style.setProperty("--from", mix(from, from, 0));
    find("#ramp").style.setProperty("--to", mix(to, to, 0));
    find("#ramp .low").textContent = `${low ?? ""}${high_is_good ? "" : " (good)"}`;
    find("#ramp .high").textContent = `${high ?? ""}${high_is_good ? " (good)" : ""}`;
    return undefined;
  };
  find("#patches").addEventListener("pointerover", (event) => {
    const i = rects.indexOf(event.target);
    if (i < 0) return;
    const told = [["verdict", rects[i].getAttribute("class")]];
    for (const option of named) told.push([option.textContent, scores[option.value][i] ?? "unknown"]);
    find("#readout").replaceChildren(...told.map(([name, value]) => {
      const both = document.createElement("span"), strong = document.createElement("b");
      strong.textContent = value;
      both.append(`${name} `, strong);
      return both;
    }));
  });
  select.addEventListener("input", paint);
  paint();
}

if (document.body.classList.contains("index")) {
  index();
} else {
  neighbours();
  if (find("#viewer")) viewer();
  if (find("#scores")) patches();
}
