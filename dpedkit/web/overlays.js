// What lies over the photos: the mask and the patches, in px of the phone's photo.

const POOR = 25, GOOD = 210; // hues from orange to blue, which most eyes tell apart
const SVG = "http://www.w3.org/2000/svg";

export function drawOverlay(svg, pair, shown, score) {
  svg.replaceChildren();
  if (!pair.size) return;
  svg.setAttribute("viewBox", `-0.5 -0.5 ${pair.size[0]} ${pair.size[1]}`);
  if (shown.mask) for (const [x, y, width, height, level] of pair.mask) svg.append(rect(x, y, width, height, `mask level${level}`));
  if (!shown.patches) return;
  const values = score ? pair.patch_scores?.[score] ?? [] : [], numbers = values.filter((value) => value !== null).sort((a, b) => a - b);
  const low = numbers[Math.floor(numbers.length * 0.02)] ?? 0, high = numbers[Math.floor(numbers.length * 0.98)] ?? 1;
  const better = pair.scores.find((one) => one.name === score)?.better;
  pair.patches.forEach(([x, y, side, verdict], at) => {
    const patch = rect(x, y, side, side, score ? "none" : verdict === "kept" ? "kept" : "lost");
    const value = values[at];
    if (score && value !== null && value !== undefined) {
      const share = Math.min(1, Math.max(0, (value - low) / (high - low || 1)));
      const good = better === "low" ? 1 - share : share;
      patch.setAttribute("fill", `hsl(${Math.round(POOR + (GOOD - POOR) * good)} 75% 45%)`);
      patch.setAttribute("class", "");
    }
    const title = document.createElementNS(SVG, "title");
    title.textContent = `${verdict}${score ? `, ${score} ${value ?? "unknown"}` : ""}`;
    patch.append(title);
    svg.append(patch);
  });
}

// What the colours of the patches mean.
export function legend(pair, score) {
  const kept = pair.patches.filter(([, , , verdict]) => verdict === "kept").length;
  if (!score) return [["kept", `${kept} kept`], ["lost", `${pair.patches.length - kept} left out`]];
  const numbers = (pair.patch_scores?.[score] ?? []).filter((value) => value !== null).sort((a, b) => a - b);
  if (!numbers.length) return [["none", "unknown"]];
  const ends = [numbers[0], numbers.at(-1)];
  if (pair.scores.find((one) => one.name === score)?.better === "low") ends.reverse();
  return [["poor", String(ends[0])], ["good", String(ends[1])]];
}

function rect(x, y, width, height, kind) {
  const element = document.createElementNS(SVG, "rect");
  for (const [name, value] of Object.entries({ x, y, width, height, class: kind })) element.setAttribute(name, value);
  return element;
}
