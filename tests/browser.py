"""A headless Chromium, driven by its DevTools protocol through two pipes: no driver, no port, no network."""

import base64
import fcntl
import json
import os
import select
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
SWITCHES = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--remote-debugging-pipe",
)
SECONDS = 60  # that an answer may take on a busy machine
KEYS = {"Tab": ("Tab", 9), "ArrowRight": ("ArrowRight", 39), "ArrowDown": ("ArrowDown", 40), " ": ("Space", 32)}


class Browser:
    """One page. `events` are what it said since it was opened; to be used as a context."""

    def __init__(self, profile: Path):
        """Starts the browser with `profile`, an empty folder, as its own."""
        (self._read, output), (input_, self._write) = _pipe(), _pipe()
        handed = (input_, output)
        command = ["bash", "-c", f'exec "$@" 3<&{input_} 4>&{output}', "bash", CHROMIUM]
        self._process = subprocess.Popen(
            [*command, *SWITCHES, f"--user-data-dir={profile}", "about:blank"],
            pass_fds=handed,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for end in handed:
            os.close(end)
        self._waiting, self._number, self._session = b"", 0, None
        self.events: list[dict] = []

    def __enter__(self) -> "Browser":
        target = self.send("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.send("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.send(f"{domain}.enable")
        return self

    def __exit__(self, *_) -> None:
        self._process.terminate()
        self._process.wait(timeout=SECONDS)
        os.close(self._read)
        os.close(self._write)

    def send(self, method: str, **params: Any) -> dict[str, Any]:
        """A command's result. Raises RuntimeError if the browser refuses it, TimeoutError if it does not answer."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": params}
        if self._session is not None:
            message["sessionId"] = self._session
        os.write(self._write, json.dumps(message).encode() + b"\0")
        while (answer := self._receive()).get("id") != self._number:
            self.events.append(answer)
        if "error" in answer:
            raise RuntimeError(f"{method}: {answer['error']['message']}")
        return answer["result"]

    def open(self, address: str) -> None:
        """Loads a page and waits until it is there."""
        self.events.clear()
        self.send("Page.navigate", url=address)
        while not self.named("Page.loadEventFired"):
            self.events.append(self._receive())

    def evaluate(self, expression: str) -> Any:
        """The value of a JavaScript expression. Raises RuntimeError if it throws."""
        answer = self.send("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in answer:
            raise RuntimeError(answer["exceptionDetails"]["exception"].get("description", expression))
        return answer["result"].get("value")

    def press(self, key: str) -> None:
        """A key as the keyboard sends it."""
        code, number = KEYS.get(key, (f"Key{key.upper()}", ord(key.upper()[0])))
        text = {"text": key} if len(key) == 1 else {}
        names = {"key": key, "code": code, "windowsVirtualKeyCode": number}
        self.send("Input.dispatchKeyEvent", type="keyDown", **names, **text)
        self.send("Input.dispatchKeyEvent", type="keyUp", **names)

    def show(self, width: int, height: int, scheme: str = "light", mobile: bool = False) -> None:
        """Size of the screen in CSS pixels, and whether it is light or dark."""
        self.send("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=mobile)
        self.send("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])

    def screenshot(self, path: Path) -> None:
        """What the screen shows, as PNG."""
        path.write_bytes(base64.b64decode(self.send("Page.captureScreenshot")["data"]))

    def named(self, method: str) -> list[dict]:
        """The parameters of the events of one kind."""
        return [event["params"] for event in self.events if event.get("method") == method]

    def complaints(self) -> list[str]:
        """Everything on the console that is a warning or an error, and every exception that nothing caught."""
        self.evaluate("new Promise(done => setTimeout(done, 50))")  # what is under way is said
        logged = [entry["entry"] for entry in self.named("Log.entryAdded")]
        texts = [f"{entry['level']}: {entry['text']}" for entry in logged if entry["level"] in ("error", "warning")]
        calls = [call for call in self.named("Runtime.consoleAPICalled") if call["type"] in ("error", "warning")]
        thrown = [event["exceptionDetails"]["text"] for event in self.named("Runtime.exceptionThrown")]
        return [*texts, *(str(call["args"]) for call in calls), *thrown]

    def _receive(self) -> dict[str, Any]:
        end = time.monotonic() + SECONDS
        while b"\0" not in self._waiting:
            if not select.select([self._read], [], [], max(end - time.monotonic(), 0))[0]:
                raise TimeoutError(f"Chromium said nothing for {SECONDS} s")
            if not (part := os.read(self._read, 1 << 20)):
                raise RuntimeError("Chromium ended by itself")
            self._waiting += part
        message, _, self._waiting = self._waiting.partition(b"\0")
        return json.loads(message)


def _pipe() -> tuple[int, int]:
    """Read and write end, numbered from 10, so that neither is one of those (3 and 4) that Chromium expects."""
    ends = os.pipe()
    high = tuple(fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 10) for end in ends)
    for end in ends:
        os.close(end)
    return high
