import { whenMoved } from "./address.js";
import { get } from "./api.js";
import { Grid } from "./grid.js";
import { Viewer } from "./viewer.js";

const find = (selector) => document.querySelector(selector);
const grid = new Grid((pair) => viewer.open(pair));
const viewer = new Viewer(grid);

// Show the page and the pair that the address names.
async function restore() {
  const id = await grid.restore();
  if (!id) viewer.dialog.close();
  else if (viewer.pair?.id !== id) viewer.open(grid.pairs.find((pair) => pair.id === id) ?? (await get(`/api/pairs/${encodeURIComponent(id)}`)));
}

async function begin() {
  await restore();
  if (!grid.counts) grid.tally(await get("/api/counts")); // a page of a query does not bring them
  find("#column-list").textContent = Object.keys(await get("/api/columns")).join("  ");
}

const tell = (error) => {
  find("#problem").textContent = error.message;
  find("#problem").hidden = false;
};

whenMoved(() => restore().catch(tell));
begin().catch(tell);
