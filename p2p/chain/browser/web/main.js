// The steps of one conversation: wallet, account, what will be signed, the wallet's word, the outcome.

import * as server from "/server.js";
import * as view from "/view.js";
import * as wallets from "/wallets.js";

const GET = [["Phantom", "https://phantom.com/download"], ["Solflare", "https://www.solflare.com/download/"]];

let request;             // what CyxWiz asks
let wallet, accounts = [], account;
let unsubscribe = () => {};
let run = 0;             // counts up whenever what is on the screen is no longer true
let choosing = false;    // the list of wallets is on the screen, and may grow
let handed = false;      // what was signed is with CyxWiz: nothing that the wallet does now undoes it

function problemOf(error) {
  if (error instanceof server.Problem) return error;
  if (wallets.isRefusal(error)) {
    return { what: `You declined in ${wallet.name}.`, meaning: "Nothing was signed, and no money moved.", hint: "Try again, or cancel." };
  }
  return { what: `${wallet.name} could not do it: ${String(error?.message ?? error).slice(0, 300)}`, meaning: "Nothing was signed, and no money moved.", hint: "Try again, or use another wallet." };
}

// A problem is shown on the screen where another try begins; after a final one there is none.
function fail(error, screen) {
  const problem = problemOf(error);
  if (problem.final) return finish("danger", problem.what, [problem.meaning, problem.hint]);
  return screen(view.notice(problem));
}

function finish(mood, title, lines, ...rest) {
  run += 1;
  choosing = false;
  unsubscribe();
  server.forget();
  view.showEnd(mood, title, ...view.paragraphs(lines), ...rest);
}

async function cancel() {
  try { await server.call("cancel", {}); } catch (error) { return fail(error, review); }
  finish("neutral", "Cancelled", ["Nothing more was signed. You can close this page."]);
}

function chooseWallet(notice = null) {
  run += 1;
  choosing = true;
  const offers = wallets.offered(request);
  const usable = offers.some(({ reason }) => !reason);
  const list = offers.map(offer => view.walletChoice(offer, () => open(offer.wallet)));
  view.show(request.title, notice,
    offers.length ? view.element("p", { class: "muted" }, "Choose the wallet to sign with.")
      : view.notice({ what: "No Solana wallet was found in this browser.", meaning: "Install one, or open the page in the browser that has yours.", hint: "Then run the command again. Without a browser wallet, log in with `--keystore` or `--keypair FILE`." }, "information"),
    view.element("div", { class: "list" }, ...list, ...(usable ? [] : GET.map(([name, href]) => view.installChoice(name, href)))),
    view.buttons(view.button("Cancel", cancel, "quiet")),
  );
}

async function open(chosen) {
  choosing = false;
  const mine = run += 1;
  unsubscribe();
  wallet = chosen;
  view.show(request.title, view.waiting(`Connect in ${wallet.name}…`), view.buttons(view.button("Back", () => chooseWallet())));
  try {
    accounts = await wallets.connect(wallet);
  } catch (error) {
    if (mine === run) fail(error, chooseWallet);
    return;
  }
  if (mine !== run) return;
  unsubscribe = wallets.onAccounts(wallet, accountsChanged);
  chooseAccount();
}

function accountsChanged(now) {
  accounts = now;
  if (handed) return;
  if (account && now.some(({ address }) => address === account.address)) return;
  account = undefined;
  chooseAccount(view.notice({ what: `The account was changed in ${wallet.name}.`, meaning: "Nothing that was signed before is used." }, "information"));
}

function unfit({ address, chains }) {
  if (!chains.includes(request.chain)) return `Not on ${request.cluster}.`;
  return request.wallet && address !== request.wallet ? "Another account is needed." : "";
}

function chooseAccount(notice = null) {
  run += 1;
  const fit = accounts.filter(each => !unfit(each));
  if (fit.length === 1 && (accounts.length === 1 || request.wallet) && !notice) {
    account = fit[0];
    return prepare();
  }
  const missing = fit.length === 0 && view.notice(request.wallet && accounts.some(each => each.chains.includes(request.chain))
    ? { what: `${wallet.name} uses another account.`, meaning: `This needs ${request.wallet}. Nothing was signed.`, hint: "Switch to that account in the wallet, then try again." }
    : { what: `${wallet.name} has no account for ${request.cluster}.`, meaning: "Nothing was signed.", hint: "Switch the network or the account in the wallet, then try again." });
  const first = fit[0];
  const list = view.element("fieldset", { class: "list" }, view.element("legend", { class: "muted" }, "Which account should sign?"),
    ...accounts.map(each => view.accountChoice(each, { checked: each === first, reason: unfit(each) })));
  const take = () => {
    const address = list.querySelector("input:checked")?.value;
    account = accounts.find(each => each.address === address);
    if (account) prepare();
  };
  view.show(request.title, notice, missing || null, accounts.length ? list : null, view.buttons(
    first ? view.button("Continue", take, "primary") : view.button("Try again", () => open(wallet), "primary"),
    view.button("Other wallet", () => chooseWallet()), view.button("Cancel", cancel, "quiet")));
}

let prepared;

async function prepare() {
  const mine = run += 1;
  view.show(request.title, view.waiting("Preparing what will be signed…"));
  try {
    prepared = await server.call("prepare", { address: account.address });
  } catch (error) {
    if (mine === run) fail(error, retry);
    return;
  }
  if (mine === run) review();
}

// What went wrong while preparing can be tried again as it is.
function retry(notice) {
  view.show(request.title, notice, view.buttons(view.button("Try again", prepare, "primary"), view.button("Other wallet", () => chooseWallet()), view.button("Cancel", cancel, "quiet")));
}

function review(notice = null) {
  run += 1;
  const signingIn = request.kind === "sign-in";
  view.show(request.title, notice,
    view.element("p", { class: "muted" }, signingIn ? "Your wallet will be asked to sign this text. It costs nothing and moves no money." : "Your wallet will be asked to sign exactly this:"),
    signingIn ? view.signInText(prepared.text) : view.steps(prepared.words),
    view.facts([
      { label: "Wallet", value: wallet.name },
      { label: "Account", value: account.address, mono: true },
      { label: "Network", value: request.cluster },
      ...(signingIn ? [] : [{ label: "Network fee", value: prepared.words.fee }]),
    ]),
    view.buttons(view.button(`Sign with ${wallet.name}`, sign, "primary"), view.button("Other wallet", () => chooseWallet()), view.button("Cancel", cancel, "quiet")),
  );
}

async function sign() {
  const mine = run += 1;
  const shown = JSON.stringify(prepared.words ?? null);
  view.show(request.title, view.waiting(`Approve it in ${wallet.name}…`), view.buttons(view.button("Cancel", cancel, "quiet")));
  let answer;
  try {
    // Made anew: it can land for a minute only, and reading takes time. What is signed is what was shown.
    const fresh = await server.call("prepare", { address: account.address });
    if (mine !== run) return;
    prepared = fresh;
    if (JSON.stringify(fresh.words ?? null) !== shown) {
      review(view.notice({ what: "It has changed while you looked at it.", meaning: "Nothing was signed.", hint: "Please read it again." }, "information"));
      return;
    }
    const signed = request.kind === "sign-in" ? await wallets.signIn(wallet, account, fresh) : await wallets.signTransactions(wallet, account, request.chain, fresh.transactions);
    if (mine !== run) return;
    view.show(request.title, view.waiting(request.kind === "sign-in" ? "Checking…" : "Sending it to the network…"));
    handed = true;
    answer = await server.call("signed", signed);
  } catch (error) {
    if (mine === run) fail(error, review);
    return;
  } finally {
    handed = false;
  }
  if (mine !== run) return;
  if (answer.next) {
    request = answer.next;
    view.strip(request.cluster);
    chooseAccount();
  } else {
    finish("success", answer.done.title, ["You can close this page."], view.facts(answer.done.rows.map(row => ({ ...row, mono: true }))));
  }
}

window.addEventListener("pagehide", server.leave);
try {
  request = await server.claim();
  view.strip(request.cluster);
  wallets.discover(() => { if (choosing) chooseWallet(); });
  chooseWallet();
} catch (error) {
  const { what, meaning, hint } = problemOf(error);
  finish("danger", "This page cannot be used", [what, meaning, hint]);
}
