#!/usr/bin/env python3
"""Take the screenshots of the documentation, with a headless Chromium.

    .venv/bin/python docs/screenshots.py

The script serves the example application in memory. It captures the page of the API, the log on a
terminal, and the demo page of the JavaScript client. Run ``npm ci`` in ``clients/javascript``
first.
"""

from __future__ import annotations

import base64
import html
import logging
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import urllib.request
from pathlib import Path

from waitress.server import create_server

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "examples"))

import bookmarks  # noqa: E402 (in the folder added above)

PICTURES = ROOT / "docs" / "howto"
DEMO = ROOT / "clients" / "javascript" / "tests" / "picture.js"
CHROMIUM = shutil.which("chromium") or sys.exit("Chromium not found: install the package chromium")
FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    *("--hide-scrollbars", "--virtual-time-budget=8000"),
)
SETTINGS = {
    "cliquet.project_name": "bookmarks",
    "cliquet.userid_hmac_secret": "not-a-secret",
    "cliquet.openapi_enabled": "true",
    **{
        f"cliquet.{kind}_backend": f"cliquet.{kind}.memory"
        for kind in ("storage", "permission", "cache")
    },
}
CREDENTIALS = base64.b64encode(b"alice:secret").decode("ascii")
REQUESTS = (
    ("GET", "/", None),
    ("POST", "/bookmarks", b'{"data": {"url": "https://www.example.com", "title": "An example"}}'),
    ("GET", "/bookmarks?_limit=10&_sort=title", None),
    ("GET", "/bookmarks?_since=yesterday", None),
)
#: The escape sequences of the log renderer, and their HTML.
ANSI = {"\x1b[1m": "<b>", "\x1b[2m": "<i>", "\x1b[0m": "</b></i>"}
TERMINAL = """<meta charset="utf-8"><style>
body {{ background: #1b1d23; color: #d8dee9; font: 14px/1.6 monospace; margin: 20px }}
b {{ color: #fff }} i {{ color: #8a93a6; font-style: normal }}
</style><pre style="white-space: pre-wrap">{}</pre>"""


class Lines(logging.Handler):
    """Store the lines of the log."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []
        self.stream = self  # the renderer checks whether its stream is a terminal

    def isatty(self) -> bool:
        return True

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


def send(url: str) -> None:
    """Send some requests, one of them invalid."""
    for method, path, body in REQUESTS:
        request = urllib.request.Request(url + path, body, method=method)
        request.add_header("Authorization", f"Basic {CREDENTIALS}")
        request.add_header("Content-Type", "application/json")
        try:
            urllib.request.urlopen(request).close()
        except urllib.request.HTTPError as refused:
            refused.close()


def terminal(lines: list[str]) -> str:
    """Return a page that looks like the terminal with these lines."""
    text = html.escape("\n".join(lines))
    return TERMINAL.format(re.sub(r"\x1b\[\dm", lambda match: ANSI[match.group()], text))


def take(url: str, name: str, size: str) -> None:
    """Take a screenshot of a page."""
    with tempfile.TemporaryDirectory() as profile:
        picture = PICTURES / name
        command = (CHROMIUM, *FLAGS, f"--user-data-dir={profile}", f"--window-size={size}")
        subprocess.run([*command, f"--screenshot={picture}", url], check=True, capture_output=True)
        print(picture.relative_to(ROOT))


def take_demo(url: str, name: str) -> None:
    """Take a screenshot of the demo page after creating and changing some bookmarks."""
    picture = PICTURES / name
    env = {**os.environ, "CHROMIUM": CHROMIUM}
    subprocess.run(["node", DEMO, url, picture], check=True, env=env)
    print(picture.relative_to(ROOT))


def main() -> None:
    log = logging.getLogger("cliquet")
    log.setLevel(logging.INFO)
    log.propagate = False
    log.addHandler(lines := Lines())
    server = create_server(bookmarks.main({}, **SETTINGS), host="127.0.0.1", port=0)
    threading.Thread(target=server.run, daemon=True).start()
    origin = f"http://127.0.0.1:{server.effective_port}"
    url = f"{origin}/v1"
    send(url)
    with tempfile.NamedTemporaryFile("w", suffix=".html", encoding="utf-8") as page:
        page.write(terminal(lines.lines))
        page.flush()
        take(f"file://{page.name}", "log.png", "1100,370")
    take(f"{url}/__api__/", "api.png", "1100,900")
    take_demo(origin, "demo.png")


if __name__ == "__main__":
    main()
