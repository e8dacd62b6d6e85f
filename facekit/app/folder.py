"""Show the pictures of a folder one after the other, and new ones as they arrive."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from facekit.images import IMAGE_SUFFIXES, encode_jpeg, shrink_image
from facekit.pipeline import FaceAnalyzer

if TYPE_CHECKING:
    from facekit.app.view import ShopBoard

SHOW_SECONDS = 4.0  # for which each picture is shown
VIEW_SIDE = 900  # pixels; the longer side of a picture on the page is at most this
QUALITY = 85  # of JPEG


class FolderWatch:
    """Show a folder's pictures, the newest first, and continue with those that arrive.

    Args:
        folder: Folder of the pictures. Folders inside it count; hidden files and folders do not.
        board: The board that shows them.
        analyzer: The analyzer to use.

    Example:
        >>> import tempfile
        >>> from facekit.app.view import ShopBoard
        >>> board = ShopBoard()
        >>> FolderWatch(Path(tempfile.mkdtemp("photos")), board).step()
        False
    """

    def __init__(
        self, folder: Path, board: ShopBoard, analyzer: FaceAnalyzer | None = None
    ) -> None:
        self.folder, self.board, self.analyzer = folder, board, analyzer or FaceAnalyzer()
        self._done: set[tuple[Path, float]] = set()
        self._ended = threading.Event()

    def step(self) -> bool:
        """Show the next picture, or the reason why it cannot be shown.

        Returns:
            Whether there was a next picture.
        """
        found = set(self._list_pictures())
        waiting = found - self._done
        self._done &= found
        if not waiting:
            if not self._done:
                self.board.message = f"Waiting for pictures in {self.folder.name}."
            return False
        path, modified = max(waiting, key=lambda each: each[1])
        self._done.add((path, modified))
        try:
            analysis = self.analyzer.analyze(path)
            drawn = analysis.draw()
        except Exception as error:  # any, because the other pictures of the folder wait
            self.board.message = (
                str(error).replace(str(path), path.name)
                or f"{path.name}: is too large for this machine's memory."
            )
            return True
        small = shrink_image(drawn, VIEW_SIDE)
        with self.board.hold_sync():  # everything arrives at once
            self.board.message = ""
            self.board.picture, self.board.caption = encode_jpeg(small, QUALITY), path.name
            self.board.show(analysis, (path, modified), at_once=True)
        return True

    def _list_pictures(self) -> Iterator[tuple[Path, float]]:
        for path in self.folder.rglob("*"):
            names = path.relative_to(self.folder).parts
            if path.name.lower().endswith(IMAGE_SUFFIXES) and not any(
                name.startswith(".") for name in names
            ):
                with contextlib.suppress(OSError):  # the file was deleted in the meantime
                    yield path, path.stat().st_mtime

    def start(self) -> None:
        """Show the pictures in a thread."""
        threading.Thread(target=self._run, name="facekit-folder", daemon=True).start()

    def stop(self) -> None:
        """End the thread after the present picture."""
        self._ended.set()

    def _run(self) -> None:
        while not self._ended.is_set():
            self.step()
            self._ended.wait(SHOW_SECONDS)
