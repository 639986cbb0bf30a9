// The page's line to CyxWiz. The token in the address opens it once; then a key, kept here only, goes with each call.

let key = "";

export class Problem extends Error {
  constructor({ what, meaning = "", hint = "", code = "", final = false }) {
    super(what);
    Object.assign(this, { what, meaning, hint, code, final });
  }
}

export async function claim() {
  const token = location.hash.slice(1);
  history.replaceState(null, "", location.pathname);
  key = token;
  const answer = await call("claim", {});
  key = answer.key;
  return answer.request;
}

export async function call(name, body) {
  let response, answer;
  try {
    response = await fetch(`/api/${name}`, {
      method: "POST",
      headers: { "content-type": "application/json", authorization: `Bearer ${key}` },
      body: JSON.stringify(body),
    });
    answer = await response.json();
  } catch {
    throw new Problem({
      what: "CyxWiz does not answer any more.",
      meaning: "The command that opened this page has ended. Look there for what happened.",
      hint: "Run it again: it opens a new page.",
      final: true,
    });
  }
  if (answer.error) throw new Problem({ ...answer.error, final: answer.error.final || response.status === 403 || response.status === 410 });
  return answer;
}

// Tells, as the page goes away, that nobody will sign here any more.
export function leave() {
  if (!key) return;
  fetch("/api/leave", {
    method: "POST",
    keepalive: true,
    headers: { "content-type": "application/json", authorization: `Bearer ${key}` },
    body: "{}",
  }).catch(() => {});
}

export function forget() { key = ""; }
