// A Wallet Standard wallet for tests. It is injected as an extension would be, signs with WebCrypto's Ed25519,
// and can misbehave as `options` says. Its sign-in is as strict about the page's host as Phantom's.
if (!isSecureContext) return; // about:blank has no WebCrypto, and no extension runs there
const ALPHABET = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
const base58 = bytes => {
  let number = bytes.reduce((sum, byte) => sum * 256n + BigInt(byte), 0n), text = "";
  for (; number; number /= 58n) text = ALPHABET[Number(number % 58n)] + text;
  for (const byte of bytes) { if (byte) break; text = "1" + text; }
  return text;
};
const { name = "Test Wallet", seeds = [5], chains = ["solana:mainnet", "solana:devnet", "solana:localnet"],
  without = [], deny = [], extra = {}, late = false } = options;
const HEAD = [0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20]; // PKCS #8 of Ed25519
const keys = Promise.all(seeds.map(async seed => {
  const key = await crypto.subtle.importKey("pkcs8", new Uint8Array([...HEAD, ...Array(32).fill(seed)]), "Ed25519", true, ["sign"]);
  const { x } = await crypto.subtle.exportKey("jwk", key);
  const publicKey = Uint8Array.from(atob(x.replaceAll("-", "+").replaceAll("_", "/")), char => char.charCodeAt(0));
  return { key, publicKey, address: base58(publicKey) };
}));
const refusal = () => Object.assign(new Error("User rejected the request."), { code: 4001 });
const asked = what => { calls.push(what); if (deny.includes(what)) { deny.splice(deny.indexOf(what), 1); throw refusal(); } };
const calls = [];
const listeners = new Set();
const wallet = { version: "1.0.0", name, icon: "data:image/svg+xml;base64,PHN2ZyB4bWxucz0iaHR0cDovL3d3dy53My5vcmcvMjAwMC9zdmciIHZpZXdCb3g9IjAgMCAzMiAzMiI+PHJlY3Qgd2lkdGg9IjMyIiBoZWlnaHQ9IjMyIiByeD0iOCIgZmlsbD0iIzdBNUFGOCIvPjxwYXRoIGQ9Ik05IDEyaDE0djEwSDl6IiBmaWxsPSIjZmZmIi8+PC9zdmc+", chains, accounts: [], features: {} };
const signature = async (address, message) => {
  const { key } = (await keys).find(each => each.address === address);
  return new Uint8Array(await crypto.subtle.sign("Ed25519", key, message));
};
const text = input => {
  const lines = [`${input.domain} wants you to sign in with your Solana account:`, input.address];
  if (input.statement) lines.push("", input.statement);
  const rest = [["uri", "URI"], ["version", "Version"], ["chainId", "Chain ID"], ["nonce", "Nonce"], ["issuedAt", "Issued At"],
    ["expirationTime", "Expiration Time"], ["notBefore", "Not Before"], ["requestId", "Request ID"]]
    .filter(([field]) => input[field]).map(([field, label]) => `${label}: ${input[field]}`);
  if (input.resources) rest.push("Resources:", ...input.resources.map(each => `- ${each}`));
  return [...lines, ...(rest.length ? ["", ...rest] : [])].join("\n");
};
const features = {
  "standard:connect": { version: "1.0.0", connect: async () => {
    asked("connect");
    const all = await keys;
    wallet.accounts = all.map(({ address, publicKey }) => ({ address, publicKey, chains: options.accountChains ?? chains, features: Object.keys(wallet.features) }));
    return { accounts: wallet.accounts };
  } },
  "standard:events": { version: "1.0.0", on: (_, listener) => { listeners.add(listener); return () => listeners.delete(listener); } },
  "solana:signIn": { version: "1.0.0", signIn: async input => {
    asked("signIn");
    if (input.domain !== location.host || new URL(input.uri).origin !== location.origin) throw Object.assign(new Error("Invalid Input"), { code: -32000 });
    const account = wallet.accounts[extra.signsInWith ?? wallet.accounts.findIndex(each => each.address === input.address)];
    const message = new TextEncoder().encode(text({ ...input, address: account.address, ...extra.signInText }));
    return [{ account, signedMessage: message, signature: await signature(account.address, message) }];
  } },
  "solana:signMessage": { version: "1.1.0", signMessage: async ({ account, message }) => {
    asked("signMessage");
    return [{ signedMessage: message, signature: await signature(account.address, message) }];
  } },
  "solana:signTransaction": { version: "1.0.0", supportedTransactionVersions: ["legacy", 0], signTransaction: async (...inputs) => {
    asked("signTransaction");
    if (extra.waits) await new Promise(done => { testWallet[name].goOn = done; });
    return Promise.all(inputs.map(async ({ account, transaction, chain }) => {
      calls.push(chain);
      const count = transaction[0], message = transaction.slice(1 + 64 * count);
      if (extra.flips !== undefined) message[message.length - 1 - extra.flips] ^= 1;
      const { publicKey } = (await keys).find(each => each.address === account.address);
      const signed = Uint8Array.of(count, ...transaction.slice(1, 1 + 64 * count), ...message);
      const place = Array.from({ length: message[0] }, (_, at) => message.slice(4 + 32 * at, 36 + 32 * at)).findIndex(found => found.every((byte, at) => byte === publicKey[at]));
      const by = extra.signsWith === undefined ? account.address : (await keys)[extra.signsWith].address;
      signed.set(extra.zeros ? new Uint8Array(64) : await signature(by, message), 1 + 64 * place);
      return { signedTransaction: signed };
    }));
  } },
};
for (const [feature, value] of Object.entries(features)) if (!without.includes(feature)) wallet.features[feature] = value;
const change = async keep => {
  wallet.accounts = wallet.accounts.filter((_, at) => keep.includes(at));
  for (const listener of listeners) listener({ accounts: wallet.accounts });
};
globalThis.testWallet ??= {};
globalThis.testWallet[name] = { calls, change, keys };
const register = ({ register: give }) => give(wallet);
const announce = () => window.dispatchEvent(Object.assign(new Event("wallet-standard:register-wallet"), { detail: register }));
if (late) globalThis.testWallet[name].announce = announce;
else { window.addEventListener("wallet-standard:app-ready", ({ detail }) => register(detail)); announce(); }
