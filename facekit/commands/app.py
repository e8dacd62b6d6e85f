"""The command `facekit app`."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

import click

from facekit.commands.errors import explain_errors
from facekit.commands.numbers import FiniteRange
from facekit.video import VIDEO_SUFFIXES, measure_frame_rate

APP_HELP = """Serve a page that shows who is in view: a large card for each face with age range,
gender and emotion, or "not sure", and counts over the last minutes.

\b
  facekit app                      the browser's camera
  facekit app photos/              a folder: its pictures in turn, and new ones as they arrive
  facekit app film.mp4             a film in place of the camera
  facekit app --host 0.0.0.0       for other devices, such as a phone in the same network

The page opens only with its token. Pictures go only to this machine, and nothing is stored.
Browsers allow the camera only on https pages and on localhost: to use a phone's camera, put a
server with a certificate in front of this one (Caddy, nginx), or forward the port to the device.

This command needs: pip install 'facekit[notebooks]'
"""
LONGEST_MINUTES = 24 * 60
SHORTEST_TOKEN = 8  # characters


@click.command(help=APP_HELP, short_help="Serve a page that shows who is in view.")
@click.argument(
    "source", metavar="[FOLDER|VIDEO]", required=False, type=click.Path(exists=True, path_type=Path)
)
@click.option(
    "--host",
    metavar="ADDRESS",
    default="localhost",
    show_default=True,
    help="Address to listen on; 0.0.0.0 for other devices.",
)
@click.option("--port", type=click.IntRange(1, 65535), default=8866, show_default=True)
@click.option(
    "--token",
    metavar="TEXT",
    default="",
    help=f"Token that opens the page, {SHORTEST_TOKEN} characters or more.  [default: random]",
)
@click.option(
    "--minutes",
    type=FiniteRange(0, LONGEST_MINUTES, min_open=True),
    help="Minutes for which a face counts.  [default: 10]",
)
@click.option("--theme", type=click.Choice(("light", "dark")), default="light", show_default=True)
@click.option(
    "--browser/--no-browser", default=True, help="Whether to open the page in the browser here."
)
def app(
    source: Path | None,
    host: str,
    port: int,
    token: str,
    minutes: float | None,
    theme: str,
    browser: bool,
) -> None:
    """Check the options before the server starts, and serve the page."""
    if token and len(token) < SHORTEST_TOKEN:
        raise click.BadParameter(
            f"must have {SHORTEST_TOKEN} characters or more; leave it out for a random one.",
            param_hint="--token",
        )
    if source:
        _check_source(source)
    with explain_errors("notebooks"):
        import voila  # noqa: F401 (a missing one is reported before the server starts)

        from facekit.app.serving import LOOPBACK, check_address, make_url, serve_app
    try:
        check_address(host, port)
    except OSError as error:
        raise click.ClickException(
            f"The server cannot listen on {host}:{port} ({error.strerror}); "
            "choose another --host or --port."
        ) from None
    token = token or secrets.token_urlsafe(16)
    click.echo(f"Open {make_url(host, port, token)}\nPress Ctrl+C to stop. Nothing is stored.")
    if host not in LOOPBACK:
        click.echo(
            "facekit: other devices in the network can reach this page; they need the token to "
            "open it. Browsers allow the camera only on https pages and on localhost: at this "
            "address the camera works only behind a server with a certificate.",
            err=True,
        )
    options = {"source": source and str(source.resolve()), "minutes": minutes}
    given = {name: value for name, value in options.items() if value is not None}
    with explain_errors("notebooks"):
        serve_app(given, host, port, token, theme, browser)


def _check_source(source: Path) -> None:
    if source.is_dir():
        if not os.access(source, os.R_OK | os.X_OK):
            raise click.BadParameter(
                f"{source} may not be read; change its permissions.", param_hint="SOURCE"
            )
    elif not source.name.lower().endswith(VIDEO_SUFFIXES):
        raise click.BadParameter(
            f"{source} is neither a folder nor a video ({', '.join(VIDEO_SUFFIXES)}).",
            param_hint="SOURCE",
        )
    else:
        with explain_errors():
            measure_frame_rate(source)  # opens the video
