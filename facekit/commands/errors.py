"""Turn foreseeable errors of a command into one line, and name the extra that it needs."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator

import click

from facekit.registry import ModelError


@contextlib.contextmanager
def explain_errors(extra: str = "") -> Iterator[None]:
    """Show warnings and foreseeable errors as one line each, without a traceback.

    Args:
        extra: The extra of the package that installs what the command needs, such as `train`.

    Raises:
        click.ClickException: In place of a missing package, an error of a file, of a value or of a
            model; the command then ends with exit status 1.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("always", UserWarning)
        warnings.showwarning = lambda message, *_: click.echo(f"facekit: {message}", err=True)
        try:
            yield
        except ModuleNotFoundError as error:
            if not extra or (error.name or "").startswith("facekit"):
                raise
            raise click.ClickException(
                f"This command needs {error.name}. Run: pip install 'facekit[{extra}]'"
            ) from None
        except (OSError, ValueError, ModelError) as error:
            raise click.ClickException(str(error)) from None
