"""The model without a page: tests send the messages of a page, and catch the answers."""

import asyncio
import csv
import io
import json

import pytest
from traitlets import TraitError

from facekit.drawing import EMOTION_COLOURS
from facekit.faces import COLUMNS
from facekit.images import decode_image
from facekit.pipeline import FaceAnalyzer
from facekit.widgets import upload
from facekit.widgets.upload import HERE, UploadAnalyzer

ANALYZER = FaceAnalyzer(min_face_size=60)


class Page:
    """What `upload.js` does, without showing anything."""

    def __init__(self, monkeypatch, **traits) -> None:
        self.sent: list[tuple[dict, list]] = []
        monkeypatch.setattr(
            UploadAnalyzer,
            "send",
            lambda _, content, buffers=(): self.sent.append((content, list(buffers))),
        )
        self.upload = UploadAnalyzer(**{"analyzer": ANALYZER} | traits)

    def say(self, kind: str, **content) -> None:
        """Send a message that is answered at once."""
        self.upload._receive(None, {"kind": kind, "page": "p", **content}, [])

    async def send(self, key: str, name: str, content: bytes, **more) -> tuple[dict, list]:
        """Send a picture in chunks, and return the answer to the last."""
        step = self.upload.chunk_bytes
        for start in range(0, max(len(content), 1), step):
            before = len(self.sent)
            message = {
                "kind": "chunk",
                "page": "p",
                "picture": key,
                "name": name,
                "size": len(content),
                "start": start,
                "type": "image/x",
            }
            self.upload._receive(None, message | more, [memoryview(content[start : start + step])])
            last = start + step >= len(content)
            while len(self.sent) == before or (last and self.sent[-1][0]["kind"] == "more"):
                await asyncio.sleep(0.01)
        return self.sent[-1]

    def send_all(self, contents: dict[str, bytes]) -> None:
        async def send() -> None:
            for index, (name, content) in enumerate(contents.items()):
                await self.send(f"k{index}", name, content)

        asyncio.run(send())


def test_good_and_broken_pictures(monkeypatch, contents):
    page = Page(monkeypatch, chunk_bytes=20_000)
    seen = []
    page.upload.observe(lambda change: seen.append(len(change["new"])), "value")
    page.send_all(contents)
    answers = [(content, buffers) for content, buffers in page.sent if content["kind"] == "picture"]
    assert [content["name"] for content, _ in answers] == list(contents)
    assert [bool(content["error"]) for content, _ in answers] == [False, False, True, True, True]
    assert [len(buffers) for _, buffers in answers] == [2, 1, 1, 1, 1]
    assert answers[0][0]["rows"] == page.upload.value[0].analysis.to_dicts()
    assert any(line.startswith("happiness") for line in answers[0][0]["labels"][0])
    assert answers[0][0]["answers"][0]["emotion"] == "happiness"
    json.dumps([content for content, _ in answers])
    assert seen == [1, 2, 3, 4, 5]
    assert [(picture.name, picture.type, picture.size) for picture in page.upload.value] == [
        (name, "image/x", len(content)) for name, content in contents.items()
    ]
    frame = page.upload.to_frame()
    assert frame.columns.tolist() == list(COLUMNS)
    assert frame["image"].tolist() == ["portrait.jpg"]


def test_nothing_uploaded(monkeypatch):
    page = Page(monkeypatch)
    assert page.upload.value == ()
    assert page.upload.to_frame().columns.tolist() == list(COLUMNS)
    page.say("hello")
    assert page.sent == []
    page.say("table", form="csv")
    assert page.sent[-1][1][0].decode().splitlines() == [",".join(COLUMNS)]


def test_a_saved_notebook_holds_no_picture(monkeypatch, contents):
    page = Page(monkeypatch)
    before = page.upload.get_state()
    page.send_all(contents)
    assert page.upload.get_state() == before


def test_downloads(monkeypatch, contents):
    page = Page(monkeypatch)
    page.send_all({"portrait.jpg": contents["portrait.jpg"], "cut.jpg": contents["cut.jpg"]})
    for form in ("csv", "json"):
        page.say("table", form=form)
    (csv_answer, [table]), (json_answer, [rows]) = page.sent[-2:]
    assert (csv_answer["name"], json_answer["name"], csv_answer["page"]) == (
        "faces.csv",
        "faces.json",
        "p",
    )
    assert json.loads(rows) == page.upload.value[0].analysis.to_dicts()
    assert [row["emotion"] for row in csv.DictReader(io.StringIO(table.decode()))] == ["happiness"]
    answer, [png] = asyncio.run(
        page.send("k0", "portrait.jpg", contents["portrait.jpg"], draw=True)
    )
    assert (answer["kind"], answer["name"]) == ("file", "portrait-annotated.png")
    assert decode_image(png, "png").shape == (640, 640, 3)


def test_a_drawing_that_fails_is_answered(monkeypatch, contents):
    page = Page(monkeypatch)
    answer, buffers = asyncio.run(
        page.send("gone", "portrait.jpg", contents["portrait.jpg"], draw=True)
    )
    assert (answer["kind"], answer["picture"], buffers) == ("file", "gone", [])
    assert answer["error"].startswith("portrait.jpg: could not be drawn")


def test_like_names_get_numbers(monkeypatch, contents):
    page = Page(monkeypatch)

    async def send() -> None:
        for key in "abc":
            await page.send(key, "image.png", contents["plain.png"])

    asyncio.run(send())
    assert [picture.name for picture in page.upload.value] == [
        "image.png",
        "image (2).png",
        "image (3).png",
    ]


def test_a_new_view_receives_all(monkeypatch, contents):
    page = Page(monkeypatch)
    page.send_all(contents)
    answers = [content for content, _ in page.sent if content["kind"] == "picture"]
    page.sent.clear()
    page.say("hello")
    assert [content for content, _ in page.sent] == answers


def test_removing(monkeypatch, contents):
    page = Page(monkeypatch)
    page.send_all({name: contents[name] for name in ("plain.png", "empty.png")})
    page.say("remove", picture="k0")
    assert [picture.name for picture in page.upload.value] == ["empty.png"]
    assert page.sent[-1][0] == {"kind": "removed", "picture": "k0"}
    page.say("clear")
    assert page.upload.value == ()
    assert page.sent[-1][0] == {"kind": "cleared"}


def test_a_file_too_large(monkeypatch, contents):
    page = Page(monkeypatch, largest_bytes=1_000_000)
    answer, _ = asyncio.run(page.send("a", "huge.tif", b"0" * 2_000_000))
    assert (
        answer["error"] == "huge.tif: has 2 MB, more than the limit of 1 MB; make it smaller first."
    )


def test_an_upload_that_another_interrupts(monkeypatch, contents):
    page = Page(monkeypatch, chunk_bytes=20_000)
    message = {"picture": "a", "name": "a.jpg", "size": 30_000}
    page.upload._receive(None, {"kind": "chunk", "start": 0} | message, [b"0" * 20_000])
    asyncio.run(page.send("b", "b.png", contents["plain.png"]))
    page.upload._receive(None, {"kind": "chunk", "start": 20_000} | message, [b"0" * 10_000])
    assert page.sent[-1][0]["error"] == "a.jpg: the upload was interrupted; add it again."
    assert [bool(picture.error) for picture in page.upload.value] == [False, True]


def test_what_nobody_foresaw_loses_no_other_picture(monkeypatch, contents):
    page = Page(monkeypatch)

    def fail(content, name, analyzer):
        raise RuntimeError("no luck")

    monkeypatch.setattr(upload, "analyze_picture", fail)
    page.send_all({"plain.png": contents["plain.png"]})
    assert page.upload.value[0].error == "plain.png: could not be analysed (RuntimeError: no luck)."


class TestExplain:
    def explain(self, monkeypatch, contents, function) -> tuple[dict, list]:
        page = Page(monkeypatch, explain=function)

        async def ask() -> None:
            await page.send("a", "portrait.jpg", contents["portrait.jpg"])
            page.say("explain", picture="a", face=0)
            while page.sent[-1][0]["kind"] != "explained":
                await asyncio.sleep(0.01)

        asyncio.run(ask())
        return page.sent[-1]

    def test_maps(self, monkeypatch, contents):
        answer, buffers = self.explain(
            monkeypatch, contents, lambda crop: {"emotion": crop, "age": crop // 2}
        )
        assert answer == {
            "kind": "explained",
            "picture": "a",
            "face": 0,
            "names": ["emotion", "age"],
            "error": "",
        }
        assert [decode_image(png, "png").shape for png in buffers] == [
            (upload.CROP_SIDE, upload.CROP_SIDE, 3)
        ] * 2

    def test_failure(self, monkeypatch, contents):
        answer, buffers = self.explain(monkeypatch, contents, lambda crop: 1 / 0)
        assert (answer["error"], buffers) == ("ZeroDivisionError: division by zero", [])

    def test_without(self, monkeypatch, contents):
        page = Page(monkeypatch)
        page.send_all({"plain.png": contents["plain.png"]})
        before = len(page.sent)
        page.say("explain", picture="k0", face=0)
        assert len(page.sent) == before


@pytest.mark.parametrize(
    ("trait", "value", "message"),
    [
        ("explain", 3, "must be a function"),
        ("chunk_bytes", 0, "chunk_bytes"),
        ("analyzer", "fast", "analyzer"),
        ("multiple", 2, "multiple"),
    ],
)
def test_wrong_traits(trait, value, message):
    with pytest.raises(TraitError, match=message):
        UploadAnalyzer(**{trait: value})


def test_the_look_has_the_colours_of_drawing():
    look = (HERE / "look.css").read_text()
    assert [
        colour
        for name, colour in EMOTION_COLOURS.items()
        if name != "neutral" and colour not in look
    ] == []
