// Talking to the server: JSON in, JSON out; an error is thrown as what the server said of it.

export class Refused extends Error {
  constructor(answer, status) {
    super(answer.error ?? `the server answered ${status}`);
    this.status = status;
    this.pointed = answer.pointed ?? "";
    this.remedy = answer.remedy ?? "";
  }
}

const GONE = { error: "dpedkit does not answer: is it still running?" };

async function ask(path, options = {}) {
  let response;
  try {
    response = await fetch(path, options);
  } catch {
    throw new Refused(GONE, 0);
  }
  const answer = await response.json().catch(() => ({}));
  if (!response.ok) throw new Refused(answer, response.status);
  return answer;
}

export const get = (path, fields = {}) => ask(`${path}?${new URLSearchParams(fields)}`);

export const post = (path, document) =>
  ask(path, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(document) });

// Send a file; `told` gets the share that is on its way. Fetch does not tell it, so this is older.
export function send(path, fields, file, signal, told) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", `${path}?${new URLSearchParams(fields)}`);
    request.responseType = "json";
    request.upload.addEventListener("progress", (event) => { if (event.lengthComputable) told(event.loaded / event.total); });
    request.addEventListener("load", () => (request.status < 300 ? resolve(request.response) : reject(new Refused(request.response ?? {}, request.status))));
    for (const name of ["error", "abort"]) request.addEventListener(name, () => reject(new Refused(GONE, 0)));
    signal.addEventListener("abort", () => request.abort());
    request.send(file);
  });
}

export const picture = (pair, name) => `/pictures/${pair.id}/${pair.pictures}/${name}`;

export const VERDICTS = { accept: "accepted", reject: "rejected" };

export const named = (pair) => `${pair.shot} ${pair.phone}`;
