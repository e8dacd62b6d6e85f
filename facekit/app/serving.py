"""Serve the shop floor's view as a page of its own, by Voila. What it shows is left to `app`."""

from __future__ import annotations

import json
import os
import socket
import threading
import webbrowser
from pathlib import Path

from facekit.app.view import OPTIONS

NOTEBOOK = Path(__file__).with_name("app.ipynb")
LOOPBACK = ("localhost", "127.0.0.1", "::1")
START_SECONDS = 2  # that the server takes, about; the browser waits for it anyway
IDLE_SECONDS = (
    120  # after which the kernel of a page that went away without a word, as phones do, is ended
)
# The page may talk to its own server and to nobody else, so that no picture can leave, whatever a
# script might try.
CONTENT_POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob: data:; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self' blob: data:; media-src 'self' blob:; "
    "worker-src 'self' blob:; frame-ancestors 'self'"
)


def check_address(host: str, port: int) -> None:
    """Fail before the server does.

    Raises:
        OSError: If the address is not this machine's, or the port is taken.
    """
    family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    with socket.socket(family, kind, protocol) as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind(address)


def make_url(host: str, port: int, token: str) -> str:
    """Return the page's address, with the token that opens it."""
    name = (
        "localhost"
        if host in LOOPBACK
        else socket.gethostname()
        if host in ("0.0.0.0", "::", "")
        else host
    )
    return f"http://{name}:{port}/?token={token}"


def serve_app(
    options: dict, host: str, port: int, token: str, theme: str = "light", open_browser: bool = True
) -> None:
    """Serve the page until the process is stopped.

    Args:
        options: Of `app.show_app`.
        host: Address to listen on.
        port: Port to listen on.
        token: What opens the page.
        theme: "light" or "dark".
        open_browser: Whether to open the page in this machine's browser.

    Raises:
        ModuleNotFoundError: If Voila is not installed.
    """
    from voila.app import Voila

    os.environ[OPTIONS] = json.dumps(options)
    settings = {
        "Voila.ip": host, "Voila.port": port, "Voila.port_retries": 0, "Voila.token": token, "Voila.open_browser": False,
        "Voila.log_level": "ERROR", "VoilaConfiguration.theme": theme,
        "MappingKernelManager.cull_idle_timeout": IDLE_SECONDS, "MappingKernelManager.cull_interval": IDLE_SECONDS // 4,
    }  # fmt: skip
    server = Voila.instance()
    server.initialize([str(NOTEBOOK), *(f"--{name}={value}" for name, value in settings.items())])
    server.tornado_settings = {"headers": {"Content-Security-Policy": CONTENT_POLICY}}
    if open_browser:
        threading.Timer(START_SECONDS, webbrowser.open, [make_url(host, port, token)]).start()
    server.start()
