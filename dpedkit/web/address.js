// What is shown stands in the address, after its #: the query, the page and the pair. So reloading, the back button and
// a bookmark lead to the same place.

export const read = () => Object.fromEntries(new URLSearchParams(location.hash.slice(1)));

const write = (fields) => `#${new URLSearchParams(Object.entries(fields).filter(([, value]) => value !== "" && value !== undefined))}`;

// A new place, to which the back button returns; or a pair that was opened from the grid.
export const go = (fields, opened = false) => { if (write(fields) !== location.hash) history.pushState({ opened }, "", write(fields)); };

// The same place, told more precisely.
export const amend = (fields) => history.replaceState(history.state, "", write(fields));

let arrived = null;

// Back to the grid, which may show another page by now than when the pair was opened.
export function leave(fields) {
  if (!history.state?.opened) { amend(fields); return; }
  arrived = fields;
  history.back();
}

export function whenMoved(restore) {
  window.addEventListener("popstate", () => {
    if (!arrived) { restore(); return; }
    amend(arrived);
    arrived = null;
  });
}
