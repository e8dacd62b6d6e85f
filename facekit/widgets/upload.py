"""Upload pictures in a notebook: drop, choose or paste them, and see the faces of each.

`pictures` analyses one picture; `UploadAnalyzer` is the model, which knows no page; `upload.js` is
the view. The page sends one picture at a time, in chunks, and the next one when Python has
answered, so that thirty large pictures take no more memory than one. Analysis runs in a thread
beside the kernel's event loop. Full-size pixels are deleted after it. A small picture, the crops of
faces and their predictions are kept, in memory only, and never in the state that a notebook's file
may save.
"""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path, PurePath
from typing import TYPE_CHECKING

import anywidget
from traitlets import Any, Bool, Instance, Int, TraitError, Tuple, Unicode, validate

from facekit.analysis import Analysis
from facekit.drawing import write_label
from facekit.faces import Faces, Profile, name_answer, name_unsure
from facekit.images import IMAGE_SUFFIXES, decode_image
from facekit.images.encoding import encode_png
from facekit.pipeline import FaceAnalyzer
from facekit.tables import write_csv
from facekit.taxonomy import ATTRIBUTES
from facekit.widgets.pictures import (
    CROP_SIDE,
    VIEW_SIDE,
    Picture,
    analyze_picture,
    draw_picture,
)

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "CROP_SIDE",
    "VIEW_SIDE",
    "Picture",
    "UploadAnalyzer",
    "analyze_picture",
    "draw_picture",
]

HERE = Path(__file__).parent
CHUNK_BYTES = 1_000_000  # Jupyter's server closes the connection at messages above ten million
LARGEST_BYTES = 100_000_000  # of a file: more than any camera's, and still safe for the memory


def name_answers(profile: Profile) -> dict[str, str | list[str]]:
    """Return what the page shows of a face: each attribute's label, and what is not sure.

    Example:
        >>> answers = name_answers(Profile(gender="male", emotion="fear", unsure=("emotion",)))
        >>> answers["gender"], answers["emotion"], answers["unsure"], answers["note"]
        ('male', 'not sure', ['emotion'], 'not sure of emotion')
    """
    return {
        **{name: name_answer(profile, name) for name in (*ATTRIBUTES, "age_range")},
        "unsure": list(profile.unsure),
        "note": name_unsure(profile),
    }


class UploadAnalyzer(anywidget.AnyWidget):
    """Drop, choose or paste pictures, see the predictions for their faces, download the table.

        upload = UploadAnalyzer()
        upload                # shows the widget
        upload.value          # one record per picture, as of `ipywidgets.FileUpload`, but with the
                              # analysis in place of the content
        upload.to_frame()     # one row per face

    Attributes:
        value: The pictures analysed so far, in their order. Observe it to react to each.
        accept: File types that the browser offers, as in HTML.
        multiple: Whether several files can be chosen at once.
        disabled: Whether the widget takes no pictures at present.
        largest_bytes: Largest size of a file.
        analyzer: The analyzer to use.
        explain: A function that explains a face's predictions: it takes the upright crop, HxWx3 RGB
            uint8 with the landmarks at `images.TEMPLATE_XY`, and returns pictures by name, such as
            one Grad-CAM per attribute. It is called when a face is opened.

    Raises:
        TraitError: If an option is out of its range.

    Example:
        >>> upload = UploadAnalyzer()
        >>> len(upload.value), len(upload.to_frame())
        (0, 0)
        >>> upload.close()
    """

    _esm = HERE / "upload.js"
    _css = (HERE / "look.css").read_text(encoding="utf-8") + (HERE / "upload.css").read_text(
        encoding="utf-8"
    )

    value = Tuple()
    accept = Unicode(",".join(("image/*", *IMAGE_SUFFIXES))).tag(sync=True)
    multiple = Bool(True).tag(sync=True)
    disabled = Bool(False).tag(sync=True)
    chunk_bytes = Int(CHUNK_BYTES, min=1, max=8_000_000).tag(sync=True)
    largest_bytes = Int(LARGEST_BYTES, min=1)
    analyzer = Instance(FaceAnalyzer, ())
    explain = Any(None)

    def __init__(self, analyzer: FaceAnalyzer | None = None, **traits) -> None:
        super().__init__(**traits | ({"analyzer": analyzer} if analyzer else {}))
        self._pictures: dict[str, Picture] = {}
        # Key of the picture that is arriving, and its content so far.
        self._partial = ("", bytearray())
        self._worker = ThreadPoolExecutor(1, "facekit-upload")  # one picture at a time
        self._tasks: set[asyncio.Task] = set()  # the event loop holds only weak references
        self.on_msg(self._receive)

    @validate("explain")
    def _check_explain(self, proposal) -> Callable | None:
        if not (proposal["value"] is None or callable(proposal["value"])):
            raise TraitError(
                "`explain` must be a function that takes a face's crop, or None; "
                f"got {proposal['value']!r}."
            )
        return proposal["value"]

    def close(self) -> None:
        """Close the view and the thread, and delete all pictures."""
        self._worker.shutdown(wait=False, cancel_futures=True)
        self._pictures.clear()
        super().close()

    def to_frame(self) -> pd.DataFrame:
        """Return the table of all faces, with the columns and types of `Analysis.to_frame`."""
        import pandas as pd

        frames = [picture.analysis.to_frame() for picture in self.value if picture.analysis]
        empty = Analysis("", Faces.empty(), ()).to_frame()
        return pd.concat([empty, *frames], ignore_index=True)

    def clear(self) -> None:
        """Delete all pictures, here and in the page."""
        self._pictures.clear()
        self._publish()
        self.send({"kind": "cleared"})

    def _receive(self, _, message: dict, buffers: list[memoryview]) -> None:
        """Handle a message of the page; long work runs beside the event loop."""
        key = message.get("picture", "")
        match message["kind"]:
            case "hello":
                for known in self._pictures:
                    self._show(known)
            case "chunk":
                self._gather(message, buffers[0] if buffers else b"")
            case "remove":
                self._pictures.pop(key, None)
                self._publish()
                self.send({"kind": "removed", "picture": key})
            case "clear":
                self.clear()
            case "table":
                self._send_file(
                    message, f"faces.{message['form']}", self._write_table(message["form"])
                )
            case "explain" if self.explain and key in self._pictures:
                self._start(self._explain(key, message["face"]))

    def _start(self, work: Coroutine) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _work(self, function: Callable, *arguments) -> asyncio.Future:
        return asyncio.get_running_loop().run_in_executor(self._worker, function, *arguments)

    def _gather(self, message: dict, chunk: bytes | memoryview) -> None:
        """Join chunks, acknowledge each, and start to work when the picture is complete."""
        key, start, size = message["picture"], message["start"], message["size"]
        if size > self.largest_bytes:
            bound = f"{self.largest_bytes / 1e6:,.0f} MB"
            self._fail(
                message,
                f"{message['name']}: has {size / 1e6:,.0f} MB, more than the limit of {bound}; "
                "make it smaller first.",
            )
            return
        if start == 0:
            self._partial = key, bytearray()
        expected, content = self._partial
        if expected != key or start != len(content):  # another page sent between two chunks
            self._fail(message, f"{message['name']}: the upload was interrupted; add it again.")
            return
        content += chunk
        self.send({"kind": "more", "picture": key})
        if len(content) < size:
            return
        self._partial = "", bytearray()
        self._start(
            self._draw(message, bytes(content))
            if message.get("draw")
            else self._analyze(message, bytes(content))
        )

    async def _analyze(self, message: dict, content: bytes) -> None:
        name = self._find_free_name(message["name"])
        try:
            picture = await self._work(analyze_picture, content, name, self.analyzer)
        except Exception as error:  # any, because the pictures after this one wait
            picture = Picture(
                name, error=f"{name}: could not be analysed ({type(error).__name__}: {error})."
            )
        self._keep(message, picture)

    async def _draw(self, message: dict, content: bytes) -> None:
        picture = self._pictures.get(message["picture"], Picture(message["name"]))
        try:
            if picture.analysis is None:
                raise ValueError("the picture was removed")
            png = await self._work(draw_picture, content, picture.analysis)
        except Exception as error:  # any, because the page waits for an answer
            self._send_file(
                message,
                error=f"{picture.name}: could not be drawn ({type(error).__name__}: {error}).",
            )
        else:
            self._send_file(message, f"{PurePath(picture.name).stem}-annotated.png", png)

    async def _explain(self, key: str, face: int) -> None:
        picture = self._pictures[key]
        crop = decode_image(picture.crops[face], picture.name)
        answer = {"kind": "explained", "picture": key, "face": face, "names": [], "error": ""}
        try:
            maps = await self._work(self.explain, crop)
            pictures = [encode_png(pixels) for pixels in maps.values()]
        except Exception as error:  # any, because the function is the caller's
            self.send(answer | {"error": f"{type(error).__name__}: {error}"})
        else:
            self.send(answer | {"names": list(maps)}, pictures)

    def _fail(self, message: dict, error: str) -> None:
        self._keep(message, Picture(self._find_free_name(message["name"]), error=error))

    def _keep(self, message: dict, picture: Picture) -> None:
        self._pictures[message["picture"]] = replace(
            picture,
            type=message.get("type", ""),
            size=message["size"],
            last_modified=message.get("last_modified", 0) / 1000,
        )
        self._publish()
        self._show(message["picture"])

    def _publish(self) -> None:
        self.value = tuple(self._pictures.values())

    def _show(self, key: str) -> None:
        picture = self._pictures[key]
        analysis = picture.analysis
        message = {
            "kind": "picture",
            "picture": key,
            "name": picture.name,
            "error": picture.error,
            "rows": analysis.to_dicts() if analysis else [],
            "labels": [write_label(each, None) for each in analysis.profiles] if analysis else [],
            "answers": list(map(name_answers, analysis.profiles)) if analysis else [],
            "size_hw": picture.size_hw,
            "explains": self.explain is not None,
        }
        self.send(message, [picture.preview, *picture.crops])

    def _find_free_name(self, name: str) -> str:
        """Return a free name: browsers call every picture from the clipboard image.png."""
        taken = {picture.name for picture in self._pictures.values()}
        free, number, path = name, 2, PurePath(name)
        while free in taken:
            free, number = f"{path.stem} ({number}){path.suffix}", number + 1
        return free

    def _write_table(self, form: str) -> bytes:
        rows = [
            row for picture in self.value if picture.analysis for row in picture.analysis.to_dicts()
        ]
        if form == "json":
            return json.dumps(rows, ensure_ascii=False, indent=1).encode()
        file = io.StringIO()
        write_csv(rows, file)
        return file.getvalue().encode()

    def _send_file(
        self, message: dict, name: str = "", content: bytes | None = None, error: str = ""
    ) -> None:
        about = {
            "page": message.get("page", ""),
            "picture": message.get("picture", ""),
            "name": name,
            "error": error,
        }
        self.send({"kind": "file"} | about, [] if content is None else [content])
