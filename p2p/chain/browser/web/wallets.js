// Wallets of the browser, by the Wallet Standard's two window events, and the few features used of them.
// Protocol: https://github.com/wallet-standard/wallet-standard; Solana's features:
// https://github.com/anza-xyz/wallet-standard

const CONNECT = "standard:connect", EVENTS = "standard:events";
const SIGN_IN = "solana:signIn", SIGN_MESSAGE = "solana:signMessage", SIGN_TRANSACTION = "solana:signTransaction";

const found = new Set();
const listeners = new Set();

function tell() { for (const listener of listeners) listener(); }

const api = Object.freeze({
  register(...wallets) {
    for (const wallet of wallets) found.add(wallet);
    tell();
    return () => { for (const wallet of wallets) found.delete(wallet); tell(); };
  },
});

class AppReady extends Event {
  constructor() { super("wallet-standard:app-ready"); }
  get detail() { return api; }
}

export function discover(listener) {
  listeners.add(listener);
  window.addEventListener("wallet-standard:register-wallet", ({ detail }) => {
    try { detail(api); } catch (error) { console.error("a wallet could not be registered", error); }
  });
  window.dispatchEvent(new AppReady());
}

// Every Solana wallet, with the reason why it will not do for this request, if there is one.
export function offered(request) {
  const wallets = [...found].filter(w => w.chains.some(chain => chain.startsWith("solana:")) && CONNECT in w.features);
  return wallets.map(wallet => ({ wallet, reason: unfit(wallet, request) })).sort((a, b) => a.wallet.name.localeCompare(b.wallet.name));
}

function unfit(wallet, { kind, chain, cluster }) {
  if (!wallet.chains.includes(chain)) return `It does not work on ${cluster}.`;
  if (kind === "sign-in") return SIGN_IN in wallet.features || SIGN_MESSAGE in wallet.features ? "" : "It cannot sign in.";
  if (!(SIGN_TRANSACTION in wallet.features)) return "It cannot sign without sending by itself.";
  return wallet.features[SIGN_TRANSACTION].supportedTransactionVersions.includes("legacy") ? "" : "It does not take our transactions.";
}

export async function connect(wallet) {
  const { accounts } = await wallet.features[CONNECT].connect();
  return accounts;
}

// Tells of other accounts until the returned function is called.
export function onAccounts(wallet, listener) {
  if (!(EVENTS in wallet.features)) return () => {};
  return wallet.features[EVENTS].on("change", ({ accounts }) => { if (accounts) listener(accounts); });
}

export async function signIn(wallet, account, { input, text }) {
  if (SIGN_IN in wallet.features) {
    const [out] = await wallet.features[SIGN_IN].signIn(input);
    return { address: out.account.address, message: base64(out.signedMessage), signature: base64(out.signature) };
  }
  const message = new TextEncoder().encode(text);
  const [out] = await wallet.features[SIGN_MESSAGE].signMessage({ account, message });
  return { address: account.address, message: base64(out.signedMessage), signature: base64(out.signature) };
}

// Signed only, never sent by the wallet: what lands is what was built, on the network that was named.
export async function signTransactions(wallet, account, chain, transactions) {
  const inputs = transactions.map(each => ({ account, chain, transaction: bytes(each) }));
  const outs = await wallet.features[SIGN_TRANSACTION].signTransaction(...inputs);
  return { address: account.address, transactions: outs.map(out => base64(out.signedTransaction)) };
}

// 4001 is what wallets give when the person says no (EIP-1193, which Solana's wallets follow here).
export function isRefusal(error) {
  return error?.code === 4001 || /reject|denied|declin|cancel/i.test(String(error?.message ?? error));
}

function base64(data) { return btoa(Array.from(data, byte => String.fromCharCode(byte)).join("")); }
function bytes(text) { return Uint8Array.from(atob(text), char => char.charCodeAt(0)); }
