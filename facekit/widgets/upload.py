"""Upload pictures in a notebook: dropped, chosen or pasted; each is annotated, its faces fill a
table, and a click opens one.

`analyze_picture` is the core; `UploadAnalyzer` the model, which knows no page; `upload.js` the
view. The page sends one picture at a time, in chunks, and the next when Python has answered, so
that thirty large ones take no more memory than one. Analysis runs in a thread beside the kernel's
event loop. Full-size pixels are let go after it: kept are a small picture, the crops of faces and
what was told of them, in memory only, and never in the state that a notebook's file may save.
"""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePath
from typing import TYPE_CHECKING

import anywidget
import cv2
import numpy as np
from PIL import Image
from traitlets import Any, Bool, Instance, Int, TraitError, Tuple, Unicode, validate

from facekit.analysis import Analysis
from facekit.drawing import write_label
from facekit.faces import Faces
from facekit.images import IMAGE_SUFFIXES, ImageError, cut_crops, decode_image
from facekit.pipeline import FaceAnalyzer
from facekit.registry import ModelError
from facekit.tables import write_csv

if TYPE_CHECKING:
    import pandas as pd

HERE = Path(__file__).parent
VIEW_SIDE = 1280  # pixels; the longest that a picture sent to the page is
CROP_SIDE = 224  # pixels; of a face that is opened
CHUNK_BYTES = 1_000_000  # Jupyter's server hangs up on messages above ten million
LARGEST_BYTES = 100_000_000  # of a file: more than any camera's, and still no danger to the memory
PNG_EFFORT = 1  # of 9; more takes several seconds longer for a twelfth of the size


@dataclass(frozen=True, eq=False)
class Picture:
    """One uploaded picture and what came of it.

    Attributes:
        name: Of the file; told apart where several share it.
        type: MIME type, as the browser guesses it.
        size: Bytes of the file.
        last_modified: Seconds since 1970.
        analysis: Without its pixels; `None` where the picture could not be read.
        error: Why not; else "".
        size_hw: Of the picture, pixels.
        preview: JPEG, at most `VIEW_SIDE` pixels long; the page marks the faces, so that words stay
            readable at any width.
        crops: JPEG of each face, upright, `CROP_SIDE` pixels.
    """

    name: str
    type: str = ""
    size: int = 0
    last_modified: float = 0.0
    analysis: Analysis | None = None
    error: str = ""
    size_hw: tuple[int, int] = (0, 0)
    preview: bytes = field(default=b"", repr=False)
    crops: tuple[bytes, ...] = field(default=(), repr=False)


def analyze_picture(content: bytes, name: str, analyzer: FaceAnalyzer) -> Picture:
    """Analyse a picture that is in memory, and keep what a page shows of it.

    Args:
        content: Of the file.
        name: Of the file.
        analyzer: What to look for.

    Returns:
        The picture; one that cannot be read has an `error`.
    """
    try:
        pixels = decode_image(content, name)
        analysis = replace(analyzer.analyze(pixels), image=name)
    except (ImageError, ModelError, MemoryError) as error:
        return Picture(
            name,
            error=str(error)
            or f"{name}: is too large for this machine's memory; make it smaller first.",
        )
    crops = tuple(
        _encode(crop, "JPEG", quality=88)
        for crop in cut_crops(pixels, analysis.faces, CROP_SIDE, 3)
    )
    preview = _encode(_shrink(pixels), "JPEG", quality=85)
    told, size_hw = replace(analysis, pixels=None), pixels.shape[:2]
    return Picture(name, analysis=told, size_hw=size_hw, preview=preview, crops=crops)


def draw_picture(content: bytes, analysis: Analysis) -> bytes:
    """Return the PNG of a picture, in its own size, annotated with what is known of it already."""
    return _encode(
        replace(analysis, pixels=decode_image(content, analysis.image)).draw(),
        "PNG",
        compress_level=PNG_EFFORT,
    )


def _shrink(pixels: np.ndarray) -> np.ndarray:
    scale = min(1.0, VIEW_SIDE / max(pixels.shape[:2]))
    size = [max(round(side * scale), 1) for side in pixels.shape[1::-1]]
    return cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)


def _encode(pixels: np.ndarray, form: str, **options) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, form, **options)
    return file.getvalue()


class UploadAnalyzer(anywidget.AnyWidget):
    """Drop, choose or paste pictures, see their faces told, and take the table along.

        upload = UploadAnalyzer()
        upload                # the widget
        upload.value          # as that of `ipywidgets.FileUpload`: one record a picture, with its
        analysis in place of its content upload.to_frame()     # one row a face

    Attributes:
        value: The pictures done so far, in their order; observe it to act on each.
        accept: What the browser offers to choose, as in HTML.
        multiple: Whether several may be chosen at once.
        disabled: Whether nothing is taken at present.
        largest_bytes: Of a file.
        analyzer: What to look for.
        explain: For the slot beside a face's probabilities: takes its upright crop, HxWx3 RGB uint8
            with the landmarks at `images.TEMPLATE_XY`, and returns pictures by name, such as a
            Grad-CAM an attribute. Called when a face is opened.
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
        self._partial = (
            "",
            bytearray(),
        )  # the picture that is arriving: its key, and what is there of it
        self._worker = ThreadPoolExecutor(1, "facekit-upload")  # one picture at a time
        self._tasks: set[asyncio.Task] = set()  # the event loop itself holds them but weakly
        self.on_msg(self._receive)

    @validate("explain")
    def _check_explain(self, proposal) -> Callable | None:
        if not (proposal["value"] is None or callable(proposal["value"])):
            raise TraitError(
                f"`explain` must be a function of a face's crop, or None; got {proposal['value']!r}."
            )
        return proposal["value"]

    def close(self) -> None:
        """End the view and the thread, and let go of all pictures."""
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
        """Let go of all pictures, here and in the page."""
        self._pictures.clear()
        self._publish()
        self.send({"kind": "cleared"})

    def _receive(self, _, message: dict, buffers: list[memoryview]) -> None:
        """Answer the page; what takes long goes on beside the event loop."""
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
        """Put chunks together, each of which is acknowledged, and begin when the picture is whole."""
        key, start, size = message["picture"], message["start"], message["size"]
        if size > self.largest_bytes:
            bound = f"{self.largest_bytes / 1e6:,.0f} MB"
            self._fail(
                message,
                f"{message['name']}: has {size / 1e6:,.0f} MB, more than the {bound} taken; make it smaller first.",
            )
            return
        if start == 0:
            self._partial = key, bytearray()
        expected, content = self._partial
        if expected != key or start != len(
            content
        ):  # another page began to send between two chunks
            self._fail(
                message, f"{message['name']}: was interrupted on its way here; add it again."
            )
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
        name = self._tell_apart(message["name"])
        try:
            picture = await self._work(analyze_picture, content, name, self.analyzer)
        except (
            Exception
        ) as error:  # whatever it is, the pictures after this one shall not wait in vain
            picture = Picture(
                name, error=f"{name}: could not be analysed ({type(error).__name__}: {error})."
            )
        self._keep(message, picture)

    async def _draw(self, message: dict, content: bytes) -> None:
        picture = self._pictures.get(message["picture"], Picture(message["name"]))
        try:
            png = await self._work(draw_picture, content, picture.analysis)
        except Exception as error:  # the page waits for an answer, whatever it is
            self._send_file(
                message,
                error=f"{picture.name}: could not be drawn ({type(error).__name__}: {error}).",
            )
        else:
            self._send_file(message, f"{PurePath(picture.name).stem}-annotated.png", png)

    async def _explain(self, key: str, face: int) -> None:
        crop = np.array(Image.open(io.BytesIO(self._pictures[key].crops[face])))
        told = {"kind": "explained", "picture": key, "face": face, "names": [], "error": ""}
        try:
            maps = await self._work(self.explain, crop)
            self.send(
                told | {"names": list(maps)}, [_encode(pixels, "PNG") for pixels in maps.values()]
            )
        except Exception as error:  # the caller's own function
            self.send(told | {"error": f"{type(error).__name__}: {error}"})

    def _fail(self, message: dict, error: str) -> None:
        self._keep(message, Picture(self._tell_apart(message["name"]), error=error))

    def _keep(self, message: dict, picture: Picture) -> None:
        about = {
            "type": message.get("type", ""),
            "size": message["size"],
            "last_modified": message.get("last_modified", 0) / 1000,
        }
        self._pictures[message["picture"]] = replace(picture, **about)
        self._publish()
        self._show(message["picture"])

    def _publish(self) -> None:
        self.value = tuple(self._pictures.values())

    def _show(self, key: str) -> None:
        picture = self._pictures[key]
        told = {
            "name": picture.name,
            "error": picture.error,
            "rows": picture.analysis.to_dicts() if picture.analysis else [],
        }
        told["labels"] = (
            [write_label(profile, None) for profile in picture.analysis.profiles]
            if picture.analysis
            else []
        )
        told |= {"size_hw": picture.size_hw, "explains": self.explain is not None}
        self.send({"kind": "picture", "picture": key} | told, [picture.preview, *picture.crops])

    def _tell_apart(self, name: str) -> str:
        """Return the name, with a number where it is taken: all pictures from a clipboard are called image.png."""
        taken = {picture.name for picture in self._pictures.values()}
        distinct, number, path = name, 2, PurePath(name)
        while distinct in taken:
            distinct, number = f"{path.stem} ({number}){path.suffix}", number + 1
        return distinct

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
