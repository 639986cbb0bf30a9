// What is seen. Every text goes in as text: nothing from a wallet or the chain is ever parsed as HTML.

const card = document.getElementById("card");

export function element(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (typeof value === "boolean") node[name] = value;
    else node.setAttribute(name, value);
  }
  node.append(...children.filter(child => child !== null && child !== undefined));
  return node;
}

// One screen at a time; its heading gets the focus, so that a screen reader follows.
export function show(title, ...children) { return screen(null, title, children); }

// The last screen; `mood`: success, danger or neutral.
export function showEnd(mood, title, ...children) {
  const sign = { success: "✓", danger: "!", neutral: "–" }[mood];
  screen(element("span", { class: `badge ${mood}`, "aria-hidden": "true" }, sign), title, children);
}

function screen(badge, title, children) {
  const heading = element("h1", { tabindex: "-1" }, title);
  card.replaceChildren(badge ? element("div", { class: "state" }, badge, heading) : heading, ...children.filter(Boolean));
  document.title = `${title} – CyxWiz`;
  heading.focus();
}

export function strip(cluster) {
  const node = document.getElementById("strip");
  node.textContent = `⚠ Test network: ${cluster}. No real money moves here.`;
  node.hidden = cluster === "mainnet";
}

export function notice({ what, meaning, hint }, kind = "problem") {
  const lines = [what, meaning, hint].filter(Boolean).map(line => element("p", {}, ...marked(line)));
  return element("div", { class: `notice ${kind}`, role: "alert" }, ...lines);
}

export function paragraphs(lines) { return lines.filter(Boolean).map(line => element("p", { class: "muted" }, ...marked(line))); }

// What stands between backticks is something to type.
function marked(line) { return line.split("`").map((part, at) => at % 2 ? element("code", {}, part) : part); }

export function button(label, onclick, look = "") {
  return element("button", { type: "button", class: `button ${look}`, onclick }, label);
}

export function buttons(...items) { return element("div", { class: "buttons" }, ...items.filter(Boolean)); }

export function facts(rows) {
  return element("dl", {}, ...rows.flatMap(({ label, value, link, mono }) => [
    element("dt", {}, label),
    element("dd", mono ? { class: "mono" } : {}, link ? element("a", { href: link, target: "_blank", rel: "noopener noreferrer" }, value) : value),
  ]));
}

export function steps(words) {
  return element("ol", { class: "steps" }, ...words.steps.map(({ text, details, warning }) => element(
    "li", warning ? { class: "warning" } : {}, text, details.length ? facts(details.map(([label, value]) => ({ label, value, mono: isAddress(value) }))) : null,
  )));
}

export function signInText(text) { return element("pre", { "aria-label": "Text to sign", tabindex: "0" }, text); }

export function walletChoice({ wallet, reason }, onclick) {
  const plain = typeof wallet.icon === "string" && wallet.icon.startsWith("data:image/");
  return element("button", { type: "button", class: "choice", disabled: Boolean(reason), onclick },
    plain ? element("img", { src: wallet.icon, alt: "" }) : element("span", { class: "glyph", "aria-hidden": "true" }, wallet.name.slice(0, 1)),
    element("span", { class: "grow" }, wallet.name, reason ? element("small", {}, reason) : null),
  );
}

export function accountChoice(account, { checked, reason }) {
  return element("label", { class: "choice" },
    element("input", { type: "radio", name: "account", value: account.address, checked, disabled: Boolean(reason) }),
    element("span", { class: "grow" }, account.label ?? "", element("span", { class: "mono" }, account.label ? ` ${account.address}` : account.address), reason ? element("small", {}, reason) : null),
  );
}

export function installChoice(name, href) {
  return element("a", { class: "choice", href, target: "_blank", rel: "noopener noreferrer" },
    element("span", { class: "glyph", "aria-hidden": "true" }, name.slice(0, 1)),
    element("span", { class: "grow" }, `Get ${name}`, element("small", {}, new URL(href).host)),
  );
}

export function waiting(text) {
  return element("div", { class: "state", role: "status" }, element("span", { class: "spinner", "aria-hidden": "true" }), element("span", {}, text));
}

export function isAddress(value) { return /^[1-9A-HJ-NP-Za-km-z]{32,}$/.test(value); }
