"""Runs: what fails costs nothing else, and what is interrupted can be resumed."""

import errno
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import facekit
from facekit.analysis import Analysis
from facekit.batch import OptionError, analyze_folder
from facekit.batch import run as engine
from facekit.batch.journal import get_journal_path
from facekit.faces import COLUMNS
from facekit.pipeline import FaceAnalyzer
from facekit.registry import ModelError
from facekit.video import VideoWriter

TABLES = ["faces.csv", "faces.jsonl", "faces.parquet"]


@pytest.fixture
def photos(save_face) -> list[str]:
    return [str(save_face(Path(f"photos/{name}.png"), seed)) for seed, name in enumerate("abcd")]


@pytest.fixture
def film() -> str:
    with VideoWriter("film.mp4", 10) as writer:
        for value in range(4):
            writer.write(np.full((48, 64, 3), 40 * value, np.uint8))
    return "film.mp4"


class Stop:
    """Stands in for the reading of pictures, and raises an error at one of them."""

    def __init__(self, name: str, error: BaseException) -> None:
        self.name, self.error, self.read = name, error, []

    def __call__(self, path):
        if path.endswith(self.name):
            raise self.error
        self.read.append(Path(path).name)
        return facekit.read_image(path)


# === Results ===


def test_is_public():
    assert facekit.analyze_folder is analyze_folder
    assert "analyze_folder" in dir(facekit)


def test_without_an_output_the_rows_are_in_the_result(photos, run):
    result = run("photos")
    assert (result.files, result.faces, result.failures, result.output) == (4, 4, (), None)
    assert [row["image"] for row in result.rows] == photos
    assert result.to_frame()["image"].tolist() == photos


def test_rows_can_be_handed_on_as_they_come(photos, run):
    taken = []
    result = run(Path("photos"), on_rows=taken.extend)
    assert [row["image"] for row in taken] == photos
    assert (result.faces, result.rows) == (4, ())


@pytest.mark.parametrize("output", TABLES)
def test_frames_are_the_same_from_every_form(output, photos, run):
    expected = run("photos").to_frame()
    result = run("photos", output=output)
    assert result.rows == ()
    pd.testing.assert_frame_equal(result.to_frame(), expected)
    analysis = FaceAnalyzer(("gender",), cropped=True).analyze(photos[0]).to_frame()
    pd.testing.assert_series_equal(expected.dtypes, analysis.dtypes)


@pytest.mark.parametrize("output", [None, *TABLES])
def test_nobody(output, run):
    result = run([], output=output)
    assert (result.files, result.faces) == (0, 0)
    assert result.to_frame().columns.tolist() == list(COLUMNS)


@pytest.mark.parametrize("output", [None, *TABLES])
def test_names_that_are_not_utf8(output, photos, run):
    name = os.fsdecode(b"photos/caf\xe9.png")
    Path(photos[0]).rename(name)
    result = run([name, os.fsdecode(b"caf\xe9.jpg")], output, errors="errors.csv", annotate="drawn")
    assert result.to_frame()["image"].tolist() == [r"photos/caf\xe9.png"]
    assert pd.read_csv("errors.csv")["image"].tolist() == [r"caf\xe9.jpg"]
    assert [os.fsencode(path.name) for path in Path("drawn").iterdir()] == [b"caf\xe9.png.jpg"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"attributes": ("height",)}, "`attributes` must be one or more of"),
        ({"attributes": "age"}, "`attributes` must be one or more of"),
        ({"min_face_size": float("nan")}, "`min_face_size` must be 12 pixels or more; got nan"),
        ({"resume": True}, "Only a run with an output can be resumed"),
        ({"detector": "haar"}, "`detector` must be one of mtcnn, yunet, viola_jones; got 'haar'"),
    ],
)
def test_wrong_options(options, message, run):
    with pytest.raises(ValueError, match=message):
        run("x.jpg", **options)


# === One failure costs nothing else ===


def test_a_picture_that_cannot_be_read(photos, run):
    Path("photos/b.png").write_text("no picture")
    Path("photos/c.png").unlink()
    result = run([*photos, "x" * 300, "https://example.org/x.jpg"], "faces.csv", errors="e.csv")
    assert [Path(name).name for name in result.to_frame()["image"]] == ["a.png", "d.png"]
    failed = [failure.image for failure in result.failures]
    assert failed == [photos[1], photos[2], "x" * 300, "https://example.org/x.jpg"]
    assert pd.read_csv("e.csv")["image"].tolist() == failed
    assert all(Path(failure.image).name[:60] in failure.error for failure in result.failures)
    assert run.said[:4] == [failure.error for failure in result.failures]


def test_an_empty_name(run):
    assert run("").failures[0].error == "'': no such file; check the spelling."


def test_a_picture_that_cannot_be_analyzed(photos, run, monkeypatch):
    analyze = FaceAnalyzer.analyze_images

    def refuse(self, images, names):
        if photos[1] in names:
            raise MemoryError
        return analyze(self, images, names)

    monkeypatch.setattr(FaceAnalyzer, "analyze_images", refuse)
    result = run("photos")
    assert [row["image"] for row in result.rows] == [photos[0], *photos[2:]]
    (failure,) = result.failures
    assert failure.error == f"{photos[1]}: needs more memory than there is"


def test_groups_are_bounded(photos, run, monkeypatch):
    sizes = []
    analyze = FaceAnalyzer.analyze_images

    def watch(self, images, names):
        sizes.append(len(images))
        return analyze(self, images, names)

    monkeypatch.setattr(FaceAnalyzer, "analyze_images", watch)
    run("photos")
    monkeypatch.setattr(engine, "GROUP_FILES", 3)
    run("photos")
    monkeypatch.setattr(engine, "GROUP_PIXELS", 24 * 24 * 2)
    run("photos")
    monkeypatch.setattr(engine, "GROUP_PIXELS", 1)
    run("photos")
    assert sizes == [4, 3, 1, 2, 2, 1, 1, 1, 1]


def test_a_drawing_that_cannot_be_written(photos, run):
    Path("drawn").mkdir()
    Path("drawn/deep").touch()
    Path("photos/deep").mkdir()
    Path("photos/b.png").rename("photos/deep/b.png")
    result = run("photos", "faces.csv", "drawn")
    assert len(result.to_frame()) == 4
    (failure,) = result.failures
    assert failure.image == "photos/deep/b.png"
    assert failure.error.startswith("drawn/deep/b.png.jpg: ")
    assert len(list(Path("drawn").glob("*.jpg"))) == 3


def test_drawings_on_a_full_disk(photos, film, run, small_disk):
    result = run(["photos", film], small_disk / "faces.csv", small_disk / "drawn")
    assert len(result.to_frame()) == 8
    assert result.failures
    assert all("drawn" in failure.error for failure in result.failures)
    for path in (small_disk / "drawn").iterdir():
        assert facekit.batch.drawings.read_mark(path), "whole or not at all"


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".parquet"])
def test_drawings_leave_space_for_the_table(suffix, save_face, run, small_disk):
    for seed in range(20):
        save_face(Path(f"photos/{seed}.png"), seed)
    options = {"annotate": small_disk / "drawn", "errors": small_disk / "errors.csv"}
    result = run(["photos", "typo.jpg"], small_disk / f"faces{suffix}", **options)
    assert len(result.to_frame()) == 20
    failed = pd.read_csv(small_disk / "errors.csv")["error"].tolist()
    assert len(failed) > 1
    assert failed == [failure.error for failure in result.failures]


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".parquet"])
def test_a_table_on_a_full_disk(suffix, photos, run, small_disk):
    output = small_disk / f"faces{suffix}"
    run(photos[0], output=output)
    before = output.read_bytes()
    with pytest.raises(OSError, match="No space"):
        (small_disk / "ballast").write_bytes(b"x" * 100_000)
    with pytest.raises(OSError, match=r"No space left on device.*faces\."):
        run([*photos, "typo.jpg"], output, errors="errors.csv")
    assert output.read_bytes() == before
    assert pd.read_csv("errors.csv")["image"].tolist() == ["typo.jpg"]
    assert {path.name for path in small_disk.iterdir()} == {"ballast", output.name}


def test_a_list_of_errors_on_a_full_disk(photos, run, small_disk):
    with pytest.raises(OSError, match="No space"):
        (small_disk / "ballast").write_bytes(b"x" * 100_000)
    with pytest.raises(OSError, match=r"No space left on device: .*errors\.csv"):
        run(photos, "faces.csv", errors=small_disk / "errors.csv")
    assert len(pd.read_csv("faces.csv")) == 4


def test_a_table_and_a_list_of_errors_on_a_full_disk(photos, run, small_disk):
    with pytest.raises(OSError, match="No space"):
        (small_disk / "ballast").write_bytes(b"x" * 100_000)
    with pytest.raises(OSError, match=r"No space left on device: .*faces\.csv"):
        run(photos, small_disk / "faces.csv", errors=small_disk / "errors.csv")
    assert run.said[-1] == f"{small_disk / 'errors.csv'}: No space left on device"


def test_a_reader_that_goes_away_is_not_a_failure_of_a_picture(photos, run):
    def close(rows):
        raise BrokenPipeError(errno.EPIPE, "Broken pipe")

    with pytest.raises(BrokenPipeError):
        run(photos, on_rows=close)


# === Videos ===


def test_videos_have_rows_and_drawings(film, run):
    result = run(film, "faces.csv", "drawn")
    assert result.to_frame()["frame"].tolist() == [0, 1, 2, 3]
    assert Path("drawn/film.mp4").stat().st_size > 0
    assert result.failures == ()


def test_a_video_that_breaks_off_keeps_its_first_frames(film, run, monkeypatch):
    def break_off(self, path):
        for index in range(2):
            pixels = np.zeros((48, 64, 3), np.uint8)
            yield Analysis(path, self.detect(pixels), (facekit.Profile(),), index, pixels)
        raise facekit.VideoError(f"{path}: the video breaks off")

    monkeypatch.setattr(FaceAnalyzer, "analyze_video", break_off)
    result = run(film, "faces.csv", "drawn")
    assert len(result.to_frame()) == 2
    assert [failure.error for failure in result.failures] == ["film.mp4: the video breaks off"]
    assert facekit.batch.drawings.read_mark(Path("drawn/film.mp4"))


@pytest.mark.parametrize("annotate", [None, "drawn"])
def test_a_video_that_cannot_be_read(annotate, run):
    Path("empty.mp4").touch()
    result = run(["empty.mp4", "none.mp4"], "faces.csv", annotate)
    assert [failure.image for failure in result.failures] == ["empty.mp4", "none.mp4"]
    assert result.files == 0


# === Interruptions ===


@pytest.mark.parametrize("output", TABLES)
@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_an_interrupted_run_keeps_its_rows_and_resumes(output, error, photos, run, monkeypatch):
    monkeypatch.setattr(engine, "GROUP_FILES", 1)
    monkeypatch.setattr(engine, "read_image", Stop("c.png", error()))
    with pytest.raises(error):
        run("photos", output, "drawn", "errors.csv")
    assert Path("errors.csv").read_text() == "image,error\n"
    assert "Repeat the command with --resume to continue." in run.said[-1]
    reader = Stop("nothing", error())
    monkeypatch.setattr(engine, "read_image", reader)
    result = run("photos", output, "drawn", "errors.csv", resume=True)
    assert reader.read == ["c.png", "d.png"]
    assert result.to_frame()["image"].tolist() == photos
    assert (result.files, result.faces) == (4, 4)
    assert not get_journal_path(Path(output)).exists()
    assert len(list(Path("drawn").iterdir())) == 4


def test_what_an_interrupted_run_leaves(photos, run, monkeypatch):
    monkeypatch.setattr(engine, "GROUP_FILES", 1)

    def interrupt(at):
        monkeypatch.setattr(engine, "read_image", Stop(at, KeyboardInterrupt()))
        with pytest.raises(KeyboardInterrupt):
            run("photos", "faces.csv")
        return len(pd.read_csv("faces.csv"))

    assert interrupt("b.png") == 1
    assert interrupt("d.png") == 3, "the table of an interrupted run is replaced"
    monkeypatch.setattr(engine, "read_image", facekit.read_image)
    assert len(run("photos", "faces.csv").to_frame()) == 4
    assert interrupt("b.png") == 4, "a complete table is kept"
    assert "holds the table of an earlier run" in run.said[-1]
    assert get_journal_path(Path("faces.csv")).exists()


def test_nothing_is_left_of_a_run_that_is_interrupted_at_once(photos, run, monkeypatch):
    run("photos", "faces.csv")
    before = Path("faces.csv").read_bytes()
    monkeypatch.setattr(engine, "read_image", Stop("a.png", KeyboardInterrupt()))
    with pytest.raises(KeyboardInterrupt):
        run("photos", "faces.csv")
    assert Path("faces.csv").read_bytes() == before
    assert not get_journal_path(Path("faces.csv")).exists()


def test_a_killed_run_resumes(photos, run, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(engine, "GROUP_FILES", 1)
        patch.setattr(engine, "read_image", Stop("c.png", KeyboardInterrupt()))
        patch.setattr(engine._Run, "finish", lambda run: run._journal.close(keep=True))
        with pytest.raises(KeyboardInterrupt):
            run("photos", "faces.csv")
    assert not Path("faces.csv").exists()
    reader = Stop("nothing", KeyboardInterrupt())
    monkeypatch.setattr(engine, "read_image", reader)
    assert len(run(photos, "faces.csv", resume=True).to_frame()) == 4
    assert reader.read == ["c.png", "d.png"]


@pytest.mark.parametrize(
    ("first", "second"),
    [({}, {"attributes": ("age",)}), ({"cropped": False}, {"cropped": False, "detector": "yunet"})],
)
def test_resuming_with_other_options_is_refused(photos, run, monkeypatch, first, second):
    monkeypatch.setattr(engine, "GROUP_FILES", 1)
    monkeypatch.setattr(engine, "read_image", Stop("c.png", KeyboardInterrupt()))
    with pytest.raises(KeyboardInterrupt):
        run("photos", "faces.csv", **first)
    with pytest.raises(OptionError, match="the interrupted run had other options"):
        run("photos", "faces.csv", **second, resume=True)


def test_a_broken_model_ends_the_run_and_keeps_the_rows(photos, run, monkeypatch):
    monkeypatch.setattr(engine, "GROUP_FILES", 1)
    analyze = FaceAnalyzer.analyze_images

    def refuse(self, images, names):
        if photos[1] in names:
            raise ModelError("gender.onnx: the model file is damaged")
        return analyze(self, images, names)

    monkeypatch.setattr(FaceAnalyzer, "analyze_images", refuse)
    with pytest.raises(ModelError, match="is damaged"):
        run(photos, "faces.csv")
    assert len(pd.read_csv("faces.csv")) == 1
