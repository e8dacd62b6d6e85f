"""Serve the app as a page of its own, with Voila. The content of the page is in `view`."""

from __future__ import annotations

import json
import os
import socket
import threading
import urllib.parse
import webbrowser
from pathlib import Path

from facekit.app.view import OPTIONS

NOTEBOOK = Path(__file__).with_name("app.ipynb")
LOOPBACK = ("localhost", "127.0.0.1", "::1")
START_SECONDS = 2  # about the time that the server takes to start; the browser waits anyway
# After this time the kernel of a page that disappeared without notice, as on phones, is ended.
IDLE_SECONDS = 120
# The page may connect to its own server only, so that no script can send a picture elsewhere.
CONTENT_POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob: data:; "
    "style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; font-src 'self' data:; "
    "connect-src 'self' blob: data:; media-src 'self' blob:; worker-src 'self' blob:; "
    "frame-ancestors 'self'"
)


def check_address(host: str, port: int) -> None:
    """Check that a server can listen on an address.

    Args:
        host: Name or address of this machine.
        port: Port to listen on.

    Raises:
        OSError: If the address is not one of this machine, or the port is in use.

    Example:
        >>> check_address("localhost", 0)  # any free port
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except UnicodeError as error:  # a name that is too long or has an empty part
        raise OSError(None, f"not a name of a machine: {error}") from None
    family, kind, protocol, _, address = found[0]
    with socket.socket(family, kind, protocol) as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind(address)


def make_url(host: str, port: int, token: str) -> str:
    """Return the address of the page, with the token that opens it.

    Example:
        >>> make_url("127.0.0.1", 8866, "secret word")
        'http://localhost:8866/?token=secret%20word'
    """
    if host in LOOPBACK:
        name = "localhost"
    elif host in ("0.0.0.0", "::", ""):
        name = socket.gethostname()
    else:
        name = f"[{host}]" if ":" in host else host
    return f"http://{name}:{port}/?token={urllib.parse.quote(token, safe='')}"


def serve_app(
    options: dict, host: str, port: int, token: str, theme: str = "light", open_browser: bool = True
) -> None:
    """Serve the page until the process is stopped.

    Args:
        options: Options of `view.show_app`.
        host: Address to listen on.
        port: Port to listen on.
        token: The token that opens the page.
        theme: "light" or "dark".
        open_browser: Whether to open the page in this machine's browser.

    Raises:
        ModuleNotFoundError: If Voila is not installed.

    Example:
        >>> serve_app({"minutes": 5}, "localhost", 8866, "open-sesame")  # doctest: +SKIP
    """
    from voila.app import Voila

    os.environ[OPTIONS] = json.dumps(options)
    settings = {
        "Voila.ip": host,
        "Voila.port": port,
        "Voila.port_retries": 0,
        "Voila.token": token,
        "Voila.open_browser": False,
        "Voila.log_level": "ERROR",
        "VoilaConfiguration.theme": theme,
        "MappingKernelManager.cull_idle_timeout": IDLE_SECONDS,
        "MappingKernelManager.cull_interval": IDLE_SECONDS // 4,
    }
    server = Voila.instance()
    server.initialize([str(NOTEBOOK), *(f"--{name}={value}" for name, value in settings.items())])
    server.tornado_settings = {"headers": {"Content-Security-Policy": CONTENT_POLICY}}
    if open_browser:
        threading.Timer(START_SECONDS, webbrowser.open, [make_url(host, port, token)]).start()
    server.start()
