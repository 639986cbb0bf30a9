"""A real headless Chromium driven over its DevTools protocol, and a real localnet.

Protocol: https://chromedevtools.github.io/devtools-protocol/
"""

from __future__ import annotations

import json
import math
import os
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import trio
import trio_websocket

from p2p.chain.config import ChainConfig
from p2p.chain.deploy import bootstrap
from p2p.chain.localnet import open_localnet

BROWSERS = ("chromium-headless-shell", "chromium", "google-chrome")  # as in scripts/setup
FLAGS = (
    "--headless",
    "--disable-gpu",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--remote-debugging-port=0",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
)
START_S = 60.0
STEP_S = 30.0
WALLET_SCRIPT = (Path(__file__).parent / "testwallet.js").read_text()


@pytest.fixture(scope="session")
def chromium() -> Iterator[str]:
    """The address of a fresh browser's debugger."""
    program = next(filter(None, map(shutil.which, BROWSERS)), None)
    assert program is not None, "no Chromium here: run scripts/setup browser"
    profile = Path(tempfile.mkdtemp(prefix="cyxwiz-chromium-"))
    flags = [*FLAGS, *(["--no-sandbox"] if os.geteuid() == 0 else []), f"--user-data-dir={profile}"]
    with (profile / "stderr").open("wb") as errors:
        process = subprocess.Popen([program, *flags, "about:blank"], stdout=errors, stderr=errors)
    try:
        yield debugger_of(process, profile)
    finally:
        process.terminate()
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        shutil.rmtree(profile, ignore_errors=True)


def debugger_of(process: subprocess.Popen[bytes], profile: Path) -> str:
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline and process.poll() is None:
        try:
            port, path = (profile / "DevToolsActivePort").read_text().split()
            return f"ws://127.0.0.1:{port}{path}"
        except (FileNotFoundError, ValueError):
            time.sleep(0.02)
    raise AssertionError("Chromium did not start: " + (profile / "stderr").read_text()[-2000:])


@pytest.fixture(scope="session")
def chain_config(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ChainConfig]:
    """A localnet with the escrow program on it."""
    folder = tmp_path_factory.mktemp("localnet")
    server, chain = open_localnet(folder, 0)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield trio.run(bootstrap, server.url, folder)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
        with server.lock:
            chain.close()


@dataclass
class Tab:
    """One page in a browser context of its own: no cookies, no storage, nothing of other tests."""

    socket: trio_websocket.WebSocketConnection
    session: str = ""
    faults: list[str] = field(default_factory=list)
    urls: list[str] = field(default_factory=list)
    _next: int = 0
    _waiting: dict[int, trio.MemorySendChannel[dict[str, Any]]] = field(default_factory=dict)

    async def read(self) -> None:
        """Deliver replies; keep what went wrong on the page."""
        while True:
            try:
                message = json.loads(await self.socket.get_message())
            except trio_websocket.ConnectionClosed:
                return
            if "id" in message:
                self._waiting.pop(message["id"]).send_nowait(message)
            elif message.get("method") == "Runtime.exceptionThrown":
                self.faults.append(str(message["params"]["exceptionDetails"])[:500])
            elif message.get("method") == "Log.entryAdded":
                entry = message["params"]["entry"]
                if entry["source"] in ("security", "javascript", "violation"):
                    self.faults.append(entry["text"])

    async def send(self, method: str, **params: Any) -> dict[str, Any]:
        self._next += 1
        number = self._next
        writer, reader = trio.open_memory_channel[dict[str, Any]](1)
        self._waiting[number] = writer
        message = {"id": number, "method": method, "params": params}
        if self.session:
            message["sessionId"] = self.session
        with trio.fail_after(STEP_S):
            await self.socket.send_message(json.dumps(message))
            reply = await reader.receive()
        assert "error" not in reply, f"{method}: {reply['error']}"
        result: dict[str, Any] = reply["result"]
        return result

    async def install(self, **wallet: Any) -> None:
        """Inject a test wallet into every page from now on, as an extension would."""
        script = f"(() => {{ const options = {json.dumps(wallet)};\n{WALLET_SCRIPT}\n}})();"
        await self.send("Page.addScriptToEvaluateOnNewDocument", source=script)

    async def open(self, url: str) -> bool:
        self.urls.append(url)
        await self.send("Page.navigate", url=url)
        return True

    async def evaluate(self, expression: str) -> Any:
        reply = await self.send(
            "Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True
        )
        assert "exceptionDetails" not in reply, reply["exceptionDetails"]
        return reply["result"].get("value")

    async def see(self, text: str) -> str:
        """Wait until the page shows ``text``; everything that it shows then."""
        with trio.move_on_after(STEP_S):
            while True:
                shown = await self.text()
                if text in shown:
                    return shown
                await trio.sleep(0.02)
        raise AssertionError(f"{text!r} was not shown, but:\n{await self.text()}\n{self.faults}")

    async def text(self) -> str:
        return str(await self.evaluate("document.body?.innerText ?? ''"))

    async def click(self, label: str) -> None:
        """Wait for something to press with this text, and press it."""
        await self.see(label)
        await self.evaluate(
            "[...document.querySelectorAll('button:not(:disabled),label,a')]"
            f".find(node => node.innerText.includes({json.dumps(label)})).click()"
        )

    async def screenshot(self, path: Path, *, dark: bool = False, width: int = 800) -> None:
        import base64

        features = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        await self.send("Emulation.setEmulatedMedia", features=features)
        height = await self.evaluate("document.documentElement.scrollHeight")
        await self.send(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=max(600, math.ceil(height)),
            deviceScaleFactor=1,
            mobile=False,
        )
        picture = await self.send("Page.captureScreenshot", format="png")
        await trio.Path(path).write_bytes(base64.b64decode(picture["data"]))


@pytest.fixture
async def tab(chromium: str) -> AsyncIterator[Tab]:
    async with trio_websocket.open_websocket_url(chromium, max_message_size=2**26) as socket:
        tab = Tab(socket)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(tab.read)
            context = (await tab.send("Target.createBrowserContext"))["browserContextId"]
            target = (await tab.send("Target.createTarget", url="about:blank", browserContextId=context))[
                "targetId"
            ]
            session = await tab.send("Target.attachToTarget", targetId=target, flatten=True)
            tab.session = session["sessionId"]
            for domain in ("Page", "Runtime", "Log"):
                await tab.send(f"{domain}.enable")
            yield tab
            tab.session = ""
            await tab.send("Target.disposeBrowserContext", browserContextId=context)
            nursery.cancel_scope.cancel()
    assert tab.faults == []
