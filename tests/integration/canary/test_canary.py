"""No key, phrase, password or token in any log, error, crash report, process list, table or temporary file.

The real programs run with secrets that can be told apart: commands that succeed, that fail, and that crash,
with and without ``--debug``. Then everything that they wrote, and every command line and environment that was
to be seen meanwhile, is searched. The few files where a key belongs are known by name.
"""

from __future__ import annotations

import json
import re
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from shutil import copyfile

import httpx
import psycopg
import pytest
import trio
from psycopg.conninfo import make_conninfo
from solders.keypair import Keypair

from coordinator.store.embedded import EmbeddedPostgres
from p2p.chain.deploy import bootstrap
from p2p.chain.faucet import faucet
from p2p.core.ids import Wallet
from p2p.core.money import Asset
from tests.integration.canary import secrets_in
from tests.integration.canary.secrets_in import Secret, found_in
from tests.integration.canary.stage import CRASH, DEADLINE_S, Stage, Watch, free_port

pytestmark = pytest.mark.process
PASSWORD, NEW_PASSWORD, WRONG_PASSWORD = "Canary-pass-4711", "Canary-fresh-4712", "Canary-wrong-4713"
DSN_PASSWORD, SEEN_DSN_PASSWORD = "Canary-dsn-4714", "Canary-seen-4715"
PHRASE = "legal winner thank year wave sausage worth useful legal winner thank yellow"
BAD_PHRASE = "legal winner thank year wave sausage worth useful legal winner thank sausage"
ENGINE, NODE, COORDINATOR = "p2p.engine.cli", "p2p.node.cli", "coordinator.cli"


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    made = Stage(tmp_path)
    try:
        yield made
    finally:
        made.stop()


def build(stage: Stage, server: EmbeddedPostgres) -> str:
    """Chain, database and coordinator, the last with a mistake planted; the DSN."""
    home, port = stage.home, free_port()
    stage.start("localnet", ["-m", "p2p.engine.localnet_process", str(port)])
    url = f"http://127.0.0.1:{port}"
    stage.until(lambda: (stage.said / "localnet.out").read_text(), "the chain does not start")
    config = trio.run(bootstrap, url, home.localnet.folder)
    home.coordinator.folder.mkdir()
    copyfile(home.localnet.folder / "coordinator.json", home.coordinator.folder / "coordinator.json")
    (home.coordinator.folder / "coordinator.json").chmod(0o600)
    dsn = make_conninfo(server.start(), password=DSN_PASSWORD)
    (home.root / "dsn").write_text(dsn)
    placeholder = '[coordinator]\naddress = "/ip4/127.0.0.1/tcp/1/p2p/x"\n\n'
    home.config.write_text(placeholder + config.to_toml())
    boom = "from p2p.chain.escrow import EscrowClient\nright, left = EscrowClient.prepare, [1]\n"
    boom += "async def wrong(self, steps, payer, signers=()):\n"
    boom += "    if left: left.pop(); secret = bytes(payer._keypair); raise RuntimeError('planted')\n"
    boom += "    return await right(self, steps, payer, signers)\nEscrowClient.prepare = wrong\n"
    argv = ["x", "--debug", "serve", "--dsn-file", str(home.root / "dsn"), "--listen", "/ip4/127.0.0.1/tcp/0"]
    stage.start("coordinator", ["-c", CRASH.format(patch=boom, module=COORDINATOR, argv=argv)])
    stage.until(lambda: (stage.said / "coordinator.out").read_text().strip(), "no coordinator")
    address = (stage.said / "coordinator.out").read_text().strip()
    home.config.write_text(f'[coordinator]\naddress = "{address}"\n\n{config.to_toml()}')
    buyer = Keypair()
    (home.root / "buyer.json").write_text(json.dumps(list(bytes(buyer))))
    for asset, units in ((Asset.SOL, 10**9), (Asset.USDC, 10**8)):
        trio.run(faucet, url, Wallet(str(buyer.pubkey())), asset, units)
    return dsn


def use_keystores(stage: Stage) -> None:
    """Wallets made, opened rightly and wrongly, changed, given away; and mistakes in between."""
    run, root = stage.run, stage.home.root
    mine = ("--keystore", str(root / "imported.keystore"))
    run("import", ENGINE, "wallet", "import", *mine, secrets=(PHRASE, PASSWORD))
    bad = ("--keystore", str(root / "none"))
    run("import-bad", ENGINE, "--debug", "wallet", "import", *bad, secrets=(BAD_PHRASE, PASSWORD), code=1)
    run("password", ENGINE, "wallet", "password", *mine, secrets=(PASSWORD, NEW_PASSWORD))
    exported = ("--keypair", str(root / "exported.json"))
    run("export", ENGINE, "wallet", "export", *exported, *mine, secrets=(NEW_PASSWORD,))
    run("wrong", ENGINE, "--debug", "login", *mine, secrets=(WRONG_PASSWORD,), code=1)
    numbers = json.loads((root / "buyer.json").read_text())
    (root / "broken.json").write_text(json.dumps(numbers[:63]))
    run("broken", ENGINE, "--debug", "wallet", "import", "--keypair", str(root / "broken.json"), code=1)
    (root / "broken.json").unlink()
    planted = "import p2p.chain.owners\n"
    planted += "async def wrong(signer, requests): raise RuntimeError('planted')\n"
    planted += "p2p.chain.owners.answer_with = wrong\n"
    for debug in ((), ("--debug",)):
        arguments = (*debug, "login", *mine)
        said = stage.crash(f"crash{len(debug)}", ENGINE, planted, *arguments, secrets=(NEW_PASSWORD,))
        assert "planted" in said
        assert ("Traceback" in said) is bool(debug)


def run_a_job(stage: Stage) -> None:
    """Money in, a job opened by a session key, cancelled and refunded, although the coordinator stumbles."""
    run, root = stage.run, stage.home.root
    run("create", ENGINE, "wallet", "create", "--yes", secrets=(PASSWORD,))
    run("login", ENGINE, "login", "--keystore", secrets=(PASSWORD,))
    run("login-keypair", ENGINE, "login", "--keypair", str(root / "buyer.json"))
    run("deposit", ENGINE, "--debug", "wallet", "deposit", "20", "--yes")
    run("too-much", ENGINE, "wallet", "withdraw", "5000", "--yes", code=4)
    (root / "train.py").write_text("print(1)\n")
    found = json.loads(run("submit", ENGINE, "submit", str(root / "train.py"), "--yes", "--json"))
    run("cancel", ENGINE, "cancel", found["job_id"], "--yes", code=None)

    def refunded() -> bool:
        shown = json.loads(run("show", ENGINE, "show", found["job_id"], "--json"))
        return bool(shown["state"] == "refunded")

    stage.until(refunded, "the job is not refunded")
    assert "planted" in (stage.said / "coordinator.err").read_text()
    use_the_page(stage)


def use_the_page(stage: Stage) -> None:
    """A page is opened, claimed by whoever has its token, and cancelled; and once there is no browser."""
    process = stage.start("page", ["-m", ENGINE, "--debug", "login", "--browser"])
    stage.until(stage.page.exists, "no page")
    url = stage.page.read_text()
    origin, token = url.split("/#")
    stage.tokens.append(token)
    headers = {"origin": origin, "content-type": "application/json"}
    with httpx.Client(headers=headers, timeout=DEADLINE_S, trust_env=False) as page:
        reply = page.post(f"{origin}/api/claim", json={}, headers={"authorization": f"Bearer {token}"})
        key = reply.json()["key"]
        stage.tokens.append(key)
        page.post(f"{origin}/api/cancel", json={}, headers={"authorization": f"Bearer {key}"})
    assert process.wait(DEADLINE_S) != 0


def operate(stage: Stage) -> None:
    """The operator's commands, with the database's password right, wrong, misplaced and misspelt; a node."""
    run, root, localnet = stage.run, stage.home.root, stage.home.localnet.folder
    node = stage.start("node", ["-m", NODE, "--debug", "run"])  # which finds no Docker
    run("status", COORDINATOR, "--debug", "status", "--dsn-file", str(root / "dsn"), code=None)
    run("set", COORDINATOR, "escrow", "set", "--fee", "9", "--keypair", str(localnet / "admin.json"), "--yes")
    wrong = ("escrow", "pause", "--keypair", str(localnet / "arbiter.json"), "--yes")
    run("pause", COORDINATOR, "--debug", *wrong, code=1)
    run("new-key", COORDINATOR, "escrow", "new-key")
    run(
        "dsn-seen",
        COORDINATOR,
        "--debug",
        "status",
        "--dsn",
        f"postgresql://u:{SEEN_DSN_PASSWORD}@h/x",
        code=1,
    )
    for name, text in (
        ("gone", make_conninfo("", host="127.0.0.1", port=str(free_port()), password=DSN_PASSWORD)),
        ("misspelt", f"host=127.0.0.1 passwort {DSN_PASSWORD}"),
        ("uri", f"postgresql://u:{DSN_PASSWORD}@[::1/x"),
    ):
        (root / name).write_text(text)
        run(f"dsn-{name}", COORDINATOR, "--debug", "status", "--dsn-file", str(root / name), code=1)
        (root / name).unlink()
    wallet = stage.home.node.folder / "wallet.json"
    stage.until(lambda: wallet.exists() or node.poll() is not None, "no node")
    run("node-status", NODE, "status", code=None)


def known_places(stage: Stage) -> set[Path]:
    """Where a secret belongs; each is for its owner alone."""
    home = stage.home
    files = {
        home.localnet.folder / f"{name}.json"
        for name in ("admin", "coordinator", "arbiter", "fee-owner", "program")
    }
    files |= {
        home.coordinator.folder / "coordinator.json",
        home.coordinator.folder / "dsn",
        home.root / "exported.json",
    }
    files |= set((home.coordinator.folder / "keys").glob("*.json"))
    files |= set((home.engine.folder / "sessions").rglob("*.json"))
    files |= {
        paths.peer_key for paths in (home.engine, home.node, home.coordinator) if paths.peer_key.exists()
    }
    if (home.node.folder / "wallet.json").exists():
        files.add(home.node.folder / "wallet.json")
    for file in files:
        assert file.stat().st_mode & 0o077 == 0, file
    ours = {home.root / "buyer.json", home.root / "dsn", stage.page, stage.said / "create.out"}
    return files | ours


def secrets_of(stage: Stage, places: set[Path]) -> list[Secret]:
    secrets = [
        secrets_in.text("a keystore's password", PASSWORD),
        secrets_in.text("a keystore's new password", NEW_PASSWORD),
        secrets_in.text("a wrong password", WRONG_PASSWORD),
        secrets_in.text("the database's password", DSN_PASSWORD),
        secrets_in.text("a seed phrase", PHRASE),
        secrets_in.text("a seed phrase with a slip", BAD_PHRASE),
        secrets_in.text("a fresh seed phrase", created_phrase(stage)),
        *(secrets_in.text("the wallet page's token or key", token) for token in stage.tokens),
    ]
    for file in places:
        if file.suffix == ".json":
            secrets.append(secrets_in.keypair_file(file))
        elif file.name == "peer.key":
            secrets.append(secrets_in.key(str(file), file.read_bytes()[:32]))
    return secrets


def created_phrase(stage: Stage) -> str:
    """The words, which `wallet create` shows once."""
    found = re.search(r"^[a-z]+( [a-z]+){23}$", (stage.said / "create.out").read_text(), re.MULTILINE)
    assert found
    return found[0]


def tables_of(dsn: str) -> bytes:
    """Every row of every table of ours."""
    with psycopg.connect(dsn) as connection:
        names = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
        assert len(names) > 10
        rows = [connection.execute(f'SELECT t::text FROM "{name}" t').fetchall() for (name,) in names]
    return "\n".join(row[0] for table in rows for row in table).encode()


def test_no_secret_is_written_down_anywhere(stage: Stage, tmp_path_factory: pytest.TempPathFactory) -> None:
    server = EmbeddedPostgres(tmp_path_factory.mktemp("pg") / "postgres")
    try:
        with Watch(stage.root) as watch:
            dsn = build(stage, server)
            with ThreadPoolExecutor() as threads:
                for part in [threads.submit(part, stage) for part in (use_keystores, run_a_job, operate)]:
                    part.result()
        tables = tables_of(dsn)
        log = (server.folder / "server.log").read_bytes()
    finally:
        stage.stop()
        server.stop()
    places = known_places(stage)
    secrets = secrets_of(stage, places)
    check_that_the_search_finds(stage, secrets)
    found = [f"{name} in a table" for name in found_in(tables, secrets)]
    found += [f"{name} in the log of PostgreSQL" for name in found_in(log, secrets)]
    for (_, kind), data in watch.seen.items():
        if (
            str(stage.browser).encode() not in data or kind == "environ"
        ):  # a browser is told the page's address
            found += [f"{name} in a {kind}: {data[:200]!r}" for name in found_in(data, secrets)]
    assert len(watch.seen) > 50
    searched = 0
    for file in stage.root.rglob("*"):
        if file.is_file() and file not in places:
            searched += 1
            found += [f"{name} in {file}" for name in found_in(file.read_bytes(), secrets)]
    assert searched > 60
    seen = secrets_in.text("a password that was typed on the command line", SEEN_DSN_PASSWORD)
    for file in stage.said.iterdir():
        found += [f"{name} in {file}" for name in found_in(file.read_bytes(), [seen])]
    assert found == []
    check_the_support_bundle(stage, secrets)


def check_the_support_bundle(stage: Stage, secrets: list[Secret]) -> None:
    """Even when the node's keys, a phrase and a keypair are in its log, the bundle has none, in no form."""
    node = stage.home.node
    own = [secret for secret in secrets if secret.name.startswith(f"{node.folder}/")]
    planted = [secret for secret in secrets if "phrase" in secret.name]
    assert {Path(secret.name).name for secret in own} == {"peer.key", "wallet.json"}
    with node.log.open("ab") as log:
        log.write(b"\n".join(form for secret in (*own, *planted) for form in secret.forms[:-2]))
        log.write((stage.home.root / "buyer.json").read_bytes())
    planted.append(secrets_in.keypair_file(stage.home.root / "buyer.json"))
    bundle = stage.root / "bundle.zip"
    listed = json.loads(stage.run("bundle", NODE, "support-bundle", str(bundle), "--json"))
    with zipfile.ZipFile(bundle) as parts:
        held = {name: parts.read(name) for name in parts.namelist()}
    assert {part["name"] for part in listed["parts"]} == set(held)
    assert b"node" in held["agent.log"]
    assert [name for data in held.values() for name in found_in(data, secrets)] == []


def check_that_the_search_finds(stage: Stage, secrets: list[Secret]) -> None:
    """Each kind, where it does lie: a search that finds nothing anywhere would prove nothing."""
    home = stage.home
    for file in (
        home.root / "buyer.json",
        home.coordinator.folder / "coordinator.json",
        home.engine.peer_key,
    ):
        assert str(file) in set(found_in(file.read_bytes(), secrets)), file
    assert "the database's password" in set(found_in((home.coordinator.folder / "dsn").read_bytes(), secrets))
    assert "the wallet page's token or key" in set(found_in(stage.page.read_bytes(), secrets))
    assert "a fresh seed phrase" in set(found_in((stage.said / "create.out").read_bytes(), secrets))
    assert len([secret for secret in secrets if "/sessions/" in secret.name]) >= 1
