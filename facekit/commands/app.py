"""The command `facekit app`."""

from __future__ import annotations

import secrets
from pathlib import Path

import click

from facekit.video import VIDEO_SUFFIXES

APP_HELP = """Serve a page that shows who is in view: a large card for each face with age range, gender, emotion and confidence, and counts
over the last minutes.

\b
  facekit app                      the browser's camera
  facekit app photos/              a folder: its pictures in turn, and those that come
  facekit app film.mp4             a film in the camera's place
  facekit app --host 0.0.0.0       for other devices, such as a phone in the same network

The page is open to who has its token, and asks for it otherwise. Pictures go to this machine alone, and nothing is stored. Browsers give
their cameras to https pages and to localhost alone: for a phone's camera, put a server with a certificate before this one (Caddy,
nginx), or forward the port to the device itself.
Needs: pip install 'facekit[notebooks]'.
"""


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
    help="What opens the page, 8 characters or more.  [default: a random one]",
)
@click.option(
    "--sure",
    type=click.FloatRange(0, 1),
    help="Confidence below which a card says 'Not sure'.  [default: 0.5]",
)
@click.option(
    "--minutes", type=click.FloatRange(0, min_open=True), help="That a face counts.  [default: 10]"
)
@click.option("--theme", type=click.Choice(("light", "dark")), default="light", show_default=True)
@click.option("--browser/--no-browser", default=True, help="Open the page here.")
def app(source, host, port, token, sure, minutes, theme, browser) -> None:
    """Check what can be checked before the page is there, and serve it."""
    if token and len(token) < 8:
        raise click.BadParameter(
            "must have 8 characters or more; leave it out for a random one.", param_hint="--token"
        )
    if source and not source.is_dir() and not source.name.lower().endswith(VIDEO_SUFFIXES):
        raise click.BadParameter(
            f"{source} is neither a folder nor a video ({', '.join(VIDEO_SUFFIXES)}).",
            param_hint="SOURCE",
        )
    try:
        import voila  # noqa: F401 (what follows needs it)

        from facekit.app.serving import LOOPBACK, check_address, make_url, serve_app
    except ModuleNotFoundError as error:
        raise click.ClickException(
            f"The app needs {error.name}; run: pip install 'facekit[notebooks]'"
        ) from None
    try:
        check_address(host, port)
    except OSError as error:
        raise click.ClickException(
            f"{host}:{port} cannot be listened on ({error.strerror}); give another --host or --port."
        ) from None
    token = token or secrets.token_urlsafe(16)
    click.echo(f"Open {make_url(host, port, token)}\nCtrl+C ends it. Nothing is stored.")
    if host not in LOOPBACK:
        click.echo(
            "facekit: others in the network can reach this page; only who has the token can open it. Browsers give their cameras to https "
            "pages and to localhost alone: through this address a camera stays dark, unless a server with a certificate is put before it.",
            err=True,
        )
    options = {"source": source and str(source.resolve()), "sure_from": sure, "minutes": minutes}
    serve_app(
        {name: value for name, value in options.items() if value is not None},
        host,
        port,
        token,
        theme,
        browser,
    )
