import { Grid } from "./grid.js";
import { Viewer } from "./viewer.js";

const grid = new Grid((_pair, at) => viewer.open(at));
const viewer = new Viewer(grid);

grid.begin().catch((error) => {
  const problem = document.querySelector("#problem");
  problem.textContent = error.message;
  problem.hidden = false;
});
