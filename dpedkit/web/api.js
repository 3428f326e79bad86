// Talking to the server: JSON in, JSON out; an error is thrown as what the server said of it.

export class Refused extends Error {
  constructor(answer, status) {
    super(answer.error ?? `the server answered ${status}`);
    this.pointed = answer.pointed ?? "";
    this.remedy = answer.remedy ?? "";
  }
}

async function ask(path, options = {}) {
  let response;
  try {
    response = await fetch(path, options);
  } catch {
    throw new Refused({ error: "dpedkit does not answer: is `dpedkit review` still running?" }, 0);
  }
  const answer = await response.json().catch(() => ({}));
  if (!response.ok) throw new Refused(answer, response.status);
  return answer;
}

export const get = (path, fields = {}) => ask(`${path}?${new URLSearchParams(fields)}`);

export const post = (path, document) =>
  ask(path, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(document) });

export const picture = (pair, name) => `/pictures/${pair.id}/${pair.pictures}/${name}`;

export const VERDICTS = { accept: "accepted", reject: "rejected" };

export const named = (pair) => `${pair.shot} ${pair.phone}`;
