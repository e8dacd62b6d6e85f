"""Show the errors that a user can fix as one line, and name the extra that a command needs."""

from __future__ import annotations

import contextlib
import sys
import warnings
from collections.abc import Iterator

import click
from tqdm import tqdm

from facekit.files import describe_error
from facekit.registry import ModelError


@contextlib.contextmanager
def explain_errors(extra: str = "") -> Iterator[None]:
    """Show warnings, and errors that a user can fix, as one line each, without a traceback.

    Args:
        extra: The extra of the package that installs what the command needs, such as `train`.

    Raises:
        click.ClickException: In place of a missing package, and of an error of a file, a value or
            a model; the command then ends with exit status 1.
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
        except BrokenPipeError:  # as in `facekit analyze photos | head`: click ends silently
            raise
        except (OSError, ValueError, ModelError) as error:
            if isinstance(error, FileNotFoundError) and error.errno and error.filename is None:
                raise click.ClickException(
                    "The folder of this terminal was deleted; change to another one."
                ) from None
            raise click.ClickException(describe_error(error)) from None


def say(sentence: str) -> None:
    """Print a sentence for the user on the error stream, above a progress bar if there is one."""
    with contextlib.suppress(OSError):  # a full disk behind stderr must not cost rows
        tqdm.write(f"facekit: {sentence}", file=sys.stderr)
