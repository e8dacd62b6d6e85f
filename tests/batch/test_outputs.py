"""Where outputs go: no file of the user's is overwritten."""

import os
import re
from pathlib import Path

import pytest

from facekit.batch import OptionError
from facekit.batch.drawings import read_mark
from facekit.batch.outputs import ERRORS_HEADER, check_outputs, place_drawings
from facekit.batch.walk import InputFile
from facekit.faces import COLUMNS
from facekit.tables import save_rows

CSV_HEADER = ",".join(COLUMNS) + "\n"


def place(*names: str, folder: str = "drawn", said: list | None = None) -> list[str]:
    files = [InputFile(name, Path(Path(name).name)) for name in names]
    places = place_drawings(files, Path(folder), [].append if said is None else said.append)
    return [str(path) for path in places]


class TestDrawings:
    def test_two_inputs_of_one_name_beside_one_of_them(self, save_face, run):
        here, there = save_face(Path("x.jpg"), 1), save_face(Path("sub/x.jpg"), 2)
        before = here.read_bytes(), there.read_bytes()
        result = run([there, here], annotate=".", output="faces.csv")
        assert (here.read_bytes(), there.read_bytes()) == before
        assert result.to_frame()["image"].tolist() == ["sub/x.jpg", "x.jpg"]
        assert {path.name for path in Path().glob("x*")} == {"x.jpg", "x-2.jpg", "x-annotated.jpg"}
        assert any("x.jpg is taken; the drawing of sub/x.jpg" in line for line in run.said)

    @pytest.mark.parametrize("name", ["p.jpg", "p-2.jpg"])
    def test_a_file_of_the_user_stays(self, name, save_face, run):
        save_face(Path("photos/p.jpg"))
        Path("drawn").mkdir()
        Path("drawn", name).write_text("mine")
        Path("drawn", "p.jpg").write_text("mine")
        run("photos", annotate="drawn")
        assert Path("drawn", name).read_text() == "mine"
        assert len(list(Path("drawn").iterdir())) == len({name, "p.jpg"}) + 1

    def test_a_file_called_annotated_stays(self, save_face, run):
        save_face(Path("p.jpg"))
        Path("p-annotated.jpg").write_text("mine")
        run("p.jpg", annotate=".")
        assert Path("p-annotated.jpg").read_text() == "mine"
        assert read_mark(Path("p-annotated-2.jpg"))

    @pytest.mark.parametrize(
        ("names", "places"),
        [
            (["a.png", "a.png.jpg"], ["a.png.jpg", "a.png-2.jpg"]),
            (["a.png.jpg", "a.png"], ["a.png.jpg", "a-2.png.jpg"]),
            (["u/a.jpg", "v/a.jpg", "a-2.jpg"], ["a.jpg", "a-2.jpg", "a-2-2.jpg"]),
            (["a.jpg", "A.JPG"], ["a.jpg", "A-2.JPG"]),
            (["\u00e9.jpg", "e\u0301.jpg"], ["\u00e9.jpg", "e\u0301-2.jpg"]),
            (["a.mp4", "a.avi", "a.jpg"], ["a.mp4", "a.avi.mp4", "a.jpg"]),
            ([], []),
        ],
    )
    def test_no_two_go_to_one_place(self, names, places):
        assert place(*names) == [f"drawn/{name}" for name in places]

    @pytest.mark.parametrize("link", [os.link, os.symlink])
    def test_a_link_to_the_source_stays(self, link, save_face, run):
        source = save_face(Path("p.jpg"))
        before = source.read_bytes()
        Path("drawn").mkdir()
        link(source.absolute(), "drawn/p.jpg")
        run("p.jpg", annotate="drawn")
        assert source.read_bytes() == before
        assert read_mark(Path("drawn/p-annotated.jpg"))

    def test_a_drawing_that_is_an_input_stays(self, save_face, run):
        save_face(Path("p.jpg"))
        run("p.jpg", annotate=".")
        before = Path("p-annotated.jpg").stat().st_ino
        run(["p.jpg", "p-annotated.jpg"], annotate=".")
        assert Path("p-annotated.jpg").stat().st_ino == before
        assert any("are drawings that facekit made (p-annotated.jpg)" in each for each in run.said)

    @pytest.mark.parametrize("option", ["output", "errors"])
    def test_a_table_in_place_of_a_folder_of_drawings(self, option, save_face, run):
        save_face(Path("photos/t.csv/p.jpg"))
        with pytest.raises(
            OptionError, match=r"t\.csv would be a folder of drawings; name another"
        ):
            run("photos", annotate="drawn", **{option: "drawn/t.csv"})

    def test_a_second_run_replaces_its_drawings(self, save_face, run):
        save_face(Path("photos/p.jpg"))
        for _ in range(2):
            run("photos", annotate="photos", output="faces.csv")
        assert {path.name for path in Path("photos").iterdir()} == {"p.jpg", "p-annotated.jpg"}
        assert len(Path("faces.csv").read_text().splitlines()) == 2
        assert "photos: left out 1 drawing that facekit made." in run.said

    def test_a_drawing_of_another_picture_or_a_changed_one_stays(self, save_face, run):
        save_face(Path("u/p.jpg"), 1)
        save_face(Path("v/p.jpg"), 2)
        for folder in ("u", "v", "u", "v"):
            run(folder, annotate="drawn")
        assert {path.name for path in Path("drawn").iterdir()} == {"p.jpg", "p-2.jpg"}
        content = bytearray(Path("drawn/p.jpg").read_bytes())
        content[40] ^= 1
        Path("drawn/p.jpg").write_bytes(content)
        run("u", annotate="drawn")
        assert Path("drawn/p.jpg").read_bytes() == content

    def test_many_renamed_drawings_are_counted(self):
        Path("drawn").mkdir()
        names = [f"{number}.jpg" for number in range(8)]
        for name in names:
            Path("drawn", name).touch()
        said = []
        place(*names, said=said)
        assert len(said) == 6
        assert said[-1] == "3 more drawings go to other names, because theirs are taken."

    def test_an_unwritable_folder_is_found_before_the_work(self, save_face, run, monkeypatch):
        monkeypatch.setattr("facekit.batch.run.read_image", None)  # nothing is read
        Path("file").touch()
        with pytest.raises(OptionError, match=r"file/drawn cannot be written \(a file is where"):
            run("p.jpg", annotate="file/drawn")
        with pytest.raises(OptionError, match="file is a file; name a folder"):
            run("p.jpg", annotate="file")


class TestTables:
    def refuse(self, message: str, inputs=("x.jpg",), output=None, annotate=None, errors=None):
        before = {path: path.read_bytes() for path in Path().iterdir() if path.is_file()}
        paths = (path and Path(path) for path in (output, annotate, errors))
        with pytest.raises(OptionError, match=re.escape(message)):
            check_outputs(inputs, *paths)
        assert before == {path: path.read_bytes() for path in Path().iterdir() if path.is_file()}

    @pytest.mark.parametrize(
        ("output", "errors"), [("x.csv/y.csv", "x.csv"), ("x.csv", "x.csv/y.csv")]
    )
    def test_one_output_below_another(self, output, errors):
        self.refuse("cannot both be files", output=output, errors=errors)
        assert not Path("x.csv").exists()

    def test_a_photo_as_list_of_errors(self, save_face):
        save_face(Path("photo.jpg"))
        self.refuse("photo.jpg must end in .csv", errors="photo.jpg")

    @pytest.mark.parametrize("name", ["mine.csv", "mine.jsonl", "mine.parquet"])
    @pytest.mark.parametrize("content", [b"a,b\n1,2\n", b'{"a": 1}\n', b"[1]", b"\xff\xd8\xff\x00"])
    def test_a_file_of_the_user(self, name, content):
        Path(name).write_bytes(content)
        self.refuse(f"{name} exists and is not a table that facekit wrote", output=name)

    def test_a_file_of_the_user_as_list_of_errors(self):
        Path("mine.csv").write_text(CSV_HEADER)
        self.refuse("mine.csv exists and is not a table that facekit wrote", errors="mine.csv")

    @pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".parquet"])
    @pytest.mark.parametrize("rows", [0, 1])
    def test_an_earlier_table_may_be_replaced(self, suffix, rows):
        path = Path(f"faces{suffix}")
        save_rows([dict.fromkeys(COLUMNS) | {"image": "a.jpg"}] * rows, path)
        Path("errors.csv").write_text(",".join(ERRORS_HEADER) + "\na.jpg,why\n")
        check_outputs(["x.jpg"], path, None, Path("errors.csv"))

    @pytest.mark.parametrize("other", ["e.csv", "E.csv", "link.csv"])
    def test_output_and_errors_in_one_file(self, other):
        Path("link.csv").symlink_to("e.csv")
        self.refuse(f"{other} is also the output", output="e.csv", errors=other)

    @pytest.mark.parametrize("option", ["output", "errors"])
    def test_an_input(self, option):
        header = CSV_HEADER if option == "output" else ",".join(ERRORS_HEADER)
        Path("x.csv").write_text(header)
        self.refuse("x.csv is also an input", inputs=["./x.csv"], **{option: "x.csv"})

    def test_the_folder_of_drawings(self):
        self.refuse("x.csv is also the folder", output="x.csv", annotate="x.csv/drawn")

    @pytest.mark.parametrize("option", ["output", "errors"])
    def test_what_is_no_file(self, option):
        Path("x.csv").mkdir()
        self.refuse("x.csv is not a file", **{option: "x.csv"})
        os.mkfifo("pipe.csv")
        self.refuse("pipe.csv is not a file", **{option: "pipe.csv"})

    @pytest.mark.parametrize("option", ["output", "errors"])
    def test_a_folder_that_cannot_be(self, option):
        Path("file").touch()
        self.refuse(
            "file/x.csv cannot be written (a file is where its folder should be)",
            **{option: "file/x.csv"},
        )
        long = "x" * 300 + ".csv"
        self.refuse(f"{long} cannot be ", **{option: long})

    def test_wrong_ending(self):
        self.refuse("faces.xls must end in .csv, .parquet, .jsonl", output="faces.xls")

    def test_missing_folders_are_created(self):
        check_outputs(["x.jpg"], Path("u/v.csv"), Path("w/drawn"), Path("x/y.csv"))
        assert {"u", "w", "x"} == {path.name for path in Path().iterdir()}

    @pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".parquet"])
    def test_a_run_that_reads_nothing_keeps_last_weeks_table(self, suffix, save_face, run):
        output = Path(f"faces{suffix}")
        run(save_face(Path("p.jpg")), output=output)
        before = output.read_bytes()
        result = run(["typo.jpg"], output=output, errors="errors.csv")
        assert output.read_bytes() == before
        assert result.files == 0
        assert any("keeps the table of an earlier run" in line for line in run.said)
        assert Path("errors.csv").read_text().splitlines()[1].startswith("typo.jpg,")
        assert {path.name for path in Path().iterdir()} == {"p.jpg", output.name, "errors.csv"}
