"""Treat the signals that end a program as Ctrl-C is treated, so that it keeps what it has."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator

# Sent by `timeout`, SLURM and `docker stop`, and by a terminal that is closed. Windows has no
# SIGHUP.
NAMES = ("SIGTERM", "SIGHUP")


@contextlib.contextmanager
def stop_on_signals() -> Iterator[None]:
    """Raise `KeyboardInterrupt` at the first SIGTERM or SIGHUP; further ones are ignored.

    In a thread other than the main one it does nothing, because signals reach the main one.

    Example:
        >>> with stop_on_signals():
        ...     try:
        ...         signal.raise_signal(signal.SIGTERM)
        ...     except KeyboardInterrupt as interrupt:
        ...         print(interrupt)
        SIGTERM
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(number: int, _) -> None:
        signal.signal(number, signal.SIG_IGN)  # the rows are being written now
        raise KeyboardInterrupt(signal.Signals(number).name)

    numbers = [getattr(signal, name) for name in NAMES if hasattr(signal, name)]
    ignored = [number for number in numbers if signal.getsignal(number) is signal.SIG_IGN]
    before = {number: signal.signal(number, stop) for number in numbers if number not in ignored}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
