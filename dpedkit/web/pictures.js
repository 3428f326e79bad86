// Pictures that are decoded before they are shown, so that both of a pair appear at once, and never those of two pairs.

const KEPT = 24; // some megabytes each, decoded

const images = new Map();

// Fetch and decode a picture; what was asked for lately is at hand.
export function load(address, priority = "high") {
  const known = images.get(address);
  images.delete(address);
  const image = known ?? fetched(address, priority);
  images.set(address, image);
  if (images.size > KEPT) images.delete(images.keys().next().value);
  return image.ready;
}

function fetched(address, priority) {
  const image = new Image();
  image.fetchPriority = priority;
  image.src = address;
  image.ready = image.decode();
  image.ready.catch(() => images.delete(address)); // it may work another time
  return image;
}
