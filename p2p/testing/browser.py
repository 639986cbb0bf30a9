"""A real headless Chromium, driven over its DevTools protocol.

Protocol: https://chromedevtools.github.io/devtools-protocol/
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import trio
import trio_websocket

from p2p.core.clock import SYSTEM_CLOCK

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
STOP_S = 10.0
STEP_S = 30.0


@contextmanager
def chromium() -> Iterator[str]:
    """A fresh browser with an empty profile; the address of its debugger. It can reach 127.0.0.1 only."""
    program = next(filter(None, map(shutil.which, BROWSERS)), None)
    assert program is not None, "no Chromium here: run scripts/setup browser"
    profile = Path(tempfile.mkdtemp(prefix="cyxwiz-chromium-"))
    flags = [*FLAGS, *(["--no-sandbox"] if os.geteuid() == 0 else []), f"--user-data-dir={profile}"]
    with (profile / "stderr").open("wb") as errors:
        command = [program, *flags, "about:blank"]
        process = subprocess.Popen(command, stdout=errors, stderr=errors, start_new_session=True)
    try:
        yield _debugger_of(process, profile)
    finally:
        _stop(process)
        shutil.rmtree(profile, ignore_errors=True)


def _stop(process: subprocess.Popen[bytes]) -> None:
    """End the whole group: Debian's command is a shell script that stays in front of the browser."""
    deadline_s = SYSTEM_CLOCK.monotonic_s() + STOP_S
    with suppress(ProcessLookupError):  # raised once the last of the group is gone
        os.killpg(process.pid, signal.SIGTERM)
        while SYSTEM_CLOCK.monotonic_s() < deadline_s:
            process.poll()
            os.killpg(process.pid, 0)
            time.sleep(0.02)
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _debugger_of(process: subprocess.Popen[bytes], profile: Path) -> str:
    deadline_s = SYSTEM_CLOCK.monotonic_s() + START_S
    while SYSTEM_CLOCK.monotonic_s() < deadline_s and process.poll() is None:
        try:
            port, path = (profile / "DevToolsActivePort").read_text().split()
            return f"ws://127.0.0.1:{port}{path}"
        except (FileNotFoundError, ValueError):
            with suppress(subprocess.TimeoutExpired):
                process.wait(0.02)
    raise AssertionError("Chromium did not start: " + (profile / "stderr").read_text()[-2000:])


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

    async def inject(self, script: str) -> None:
        """Run ``script`` before anything else on every page from now on, as an extension would."""
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

    async def screenshot(self, *, dark: bool = False, width: int = 800) -> bytes:
        """The whole page as a PNG."""
        features = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        await self.send("Emulation.setEmulatedMedia", features=features)
        height = int(await self.evaluate("Math.ceil(document.body.scrollHeight)"))
        size = {"width": width, "height": max(600, height), "deviceScaleFactor": 1, "mobile": False}
        await self.send("Emulation.setDeviceMetricsOverride", **size)
        picture = await self.send("Page.captureScreenshot", format="png")
        return base64.b64decode(picture["data"])


T = TypeVar("T", bound=Tab)


@asynccontextmanager
async def open_tab(debugger: str, kind: type[T]) -> AsyncIterator[T]:
    """A page in a context of its own; afterwards, nothing may have gone wrong on it."""
    async with trio_websocket.open_websocket_url(debugger, max_message_size=2**26) as socket:
        tab = kind(socket)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(tab.read)
            context = (await tab.send("Target.createBrowserContext"))["browserContextId"]
            target = await tab.send("Target.createTarget", url="about:blank", browserContextId=context)
            session = await tab.send("Target.attachToTarget", targetId=target["targetId"], flatten=True)
            tab.session = session["sessionId"]
            for domain in ("Page", "Runtime", "Log"):
                await tab.send(f"{domain}.enable")
            yield tab
            tab.session = ""
            await tab.send("Target.disposeBrowserContext", browserContextId=context)
            nursery.cancel_scope.cancel()
    assert tab.faults == [], tab.faults
