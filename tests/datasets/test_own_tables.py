"""A user's own csv of faces: strict about meaning, patient with single rows."""

import unicodedata
from pathlib import Path

import pytest

from facekit.datasets.manifest import BOX, COLUMNS
from facekit.datasets.own_tables import _find_listed_file, read_own_table


@pytest.fixture
def table(save_noise, tmp_path) -> Path:
    for seed, name in enumerate("abc"):
        save_noise(tmp_path / "photos" / f"{name}.jpg", seed)
    return tmp_path / "mine.csv"


def get_stems(manifest) -> list[str]:
    return [Path(path).stem for path in manifest["path"]]


class TestReading:
    def test_any_of_the_columns_in_any_order(self, table, tmp_path):
        elsewhere = tmp_path / "photos" / "c.jpg"
        table.write_text(
            "gender,path,age,subject,group,split,x1,y1,x2,y2,source\n"
            "female,photos/a.jpg,30.5,007,wedding,train,1,2,30,40,\n"
            ",photos/b.jpg,,,17,test,,,,,album\n"
            f"male,{elsewhere},0,9,wedding,train,,,,,\n"
        )
        manifest = read_own_table(table)
        assert tuple(manifest.columns) == COLUMNS
        assert manifest["path"].tolist() == [
            str(tmp_path / "photos" / f"{name}.jpg") for name in "abc"
        ]
        assert manifest["gender"].fillna("").tolist() == ["female", "", "male"]
        assert manifest["age"].fillna(-1).tolist() == [30.5, -1, 0]
        assert manifest["subject"].fillna("").tolist() == ["007", "", "9"]
        assert manifest["source"].tolist() == ["mine", "album", "mine"]
        assert manifest["group"].tolist()[0] == manifest["group"].tolist()[2]
        assert manifest["group"].tolist()[1] == 17
        assert manifest["split"].tolist() == ["train", "test", "train"]
        assert manifest.loc[0, list(BOX)].tolist() == [1, 2, 30, 40]
        assert manifest.loc[1:, list(BOX)].isna().all(axis=None)

    def test_paths_alone(self, table):
        table.write_text("path\nphotos/a.jpg\n")
        assert read_own_table(table)["source"].tolist() == ["mine"]

    def test_labels_in_capitals_and_with_blanks(self, table):
        table.write_text(
            "path,gender,emotion,split\n"
            "photos/a.jpg, Female,FEAR ,Train\nphotos/b.jpg,MALE,,calibration\n"
        )
        manifest = read_own_table(table)
        assert manifest["gender"].tolist() == ["female", "male"]
        assert manifest["emotion"].fillna("").tolist() == ["fear", ""]
        assert manifest["split"].tolist() == ["train", "calibration"]

    def test_the_name_of_a_group_gives_its_number(self, table):
        table.write_text("path,group\nphotos/b.jpg,beach\n")
        alone = read_own_table(table)["group"].tolist()
        table.write_text("path,group\nphotos/a.jpg,alps\nphotos/b.jpg,beach\n")
        assert read_own_table(table)["group"].tolist()[1:] == alone


class TestContradictions:
    def test_one_face_with_two_labels(self, table):
        table.write_text("path,gender\nphotos/a.jpg,male\nphotos/b.jpg,\n./photos/a.jpg,female\n")
        with pytest.raises(ValueError, match=r"lines 2, 4: .*a\.jpg is listed more than once"):
            read_own_table(table)

    def test_two_faces_of_one_picture(self, table):
        rows = "photos/a.jpg,male,0,0,9,9\nphotos/a.jpg,female,9,0,18,9\n"
        table.write_text(f"path,gender,x1,y1,x2,y2\n{rows}")
        assert read_own_table(table)["gender"].tolist() == ["male", "female"]


class TestPaths:
    @pytest.mark.parametrize("stored", ["NFC", "NFD"])
    @pytest.mark.parametrize("listed", ["NFC", "NFD"])
    def test_accents_in_either_form(self, stored, listed, save_noise, tmp_path):
        name = "fotos/Zoë.jpg"
        save_noise(tmp_path / unicodedata.normalize(stored, name), 0)
        (tmp_path / "mine.csv").write_text(f"path\n{unicodedata.normalize(listed, name)}\n")
        assert len(read_own_table(tmp_path / "mine.csv")) == 1

    def test_accents_in_both_forms(self, save_noise, tmp_path):
        place = Path(unicodedata.normalize("NFD", "é"), unicodedata.normalize("NFC", "ü.jpg"))
        path = save_noise(tmp_path / place, 0)
        assert _find_listed_file(tmp_path, unicodedata.normalize("NFC", str(place))) == path

    def test_backslashes(self, table):
        table.write_text("path\nphotos\\a.jpg\n")
        assert get_stems(read_own_table(table)) == ["a"]

    def test_a_file_that_does_not_exist_stays_as_named(self, tmp_path):
        assert _find_listed_file(tmp_path, "é/a.jpg") == tmp_path / "é/a.jpg"

    def test_none_exists(self, table):
        table.write_text("path\nz.jpg\ny.jpg\n")
        with pytest.raises(
            FileNotFoundError,
            match=r"none of the 2 images listed exists, such as .*z\.jpg; correct the paths",
        ):
            read_own_table(table)


class TestBadRows:
    """They are left out, counted and named, and the other rows are kept."""

    @pytest.mark.parametrize("name", ["a" * 300 + ".jpg", "é" * 300, "iVBORw0KGgo/" * 4000])
    def test_a_path_that_is_too_long(self, name, table):
        table.write_text(f"path\n{name}\nphotos/b.jpg\n")
        with pytest.warns(UserWarning, match=r"1 of 2 rows are left out: the image does not exist"):
            assert get_stems(read_own_table(table)) == ["b"]
        table.write_text(f"path\n{name}\n")
        with pytest.raises(FileNotFoundError, match="none of the 1 images") as raised:
            read_own_table(table)
        assert len(str(raised.value)) < 1000

    @pytest.mark.parametrize("again", ["photos/a.jpg", "./photos/a.jpg", "photos\\a.jpg"])
    def test_a_face_that_is_listed_twice(self, again, table):
        table.write_text(f"path,gender\nphotos/a.jpg,male\nphotos/b.jpg,male\n{again},Male\n")
        with pytest.warns(UserWarning, match=r"the face is that of an earlier row \(line 4\)"):
            assert get_stems(read_own_table(table)) == ["a", "b"]

    @pytest.mark.parametrize(
        ("header", "row", "reason"),
        [
            ("age", "150", "`age` is not from 0 to 120 years"),
            ("age", "-1", "`age` is not from 0 to 120 years"),
            ("age", "inf", "`age` is not from 0 to 120 years"),
            ("age", "old", "`age` is not a number"),
            ("age", "nan", "`age` is not a number"),
            ("age", "True", "`age` is not a number"),
            ("age", '"30,5"', "`age` is not a number"),
            ("x1,y1,x2,y2", "9,2,4,40", "`x2` is not more than `x1`"),
            ("x1,y1,x2,y2", "9,2,,40", "`x2` is not more than `x1`"),
            ("x1,y1,x2,y2", "1,2,3,top", "`y2` is not a number"),
            ("x1,y1,x2,y2", "1,2,inf,40", "`x2` is not finite"),
        ],
    )
    def test_numbers(self, header, row, reason, table):
        empty = "," * header.count(",")
        table.write_text(f"path,{header}\nphotos/a.jpg,{row}\nphotos/b.jpg,{empty}\n")
        with pytest.warns(UserWarning) as warned:
            assert get_stems(read_own_table(table)) == ["b"]
        assert f"mine.csv: 1 of 2 rows are left out: {reason} (line 2)" in str(warned[0].message)

    def test_images(self, table, tmp_path):
        (tmp_path / "photos" / "empty.jpg").touch()
        lines = ("photos/a.jpg", "photos/z.jpg", "photos/empty.jpg", "photos/y.jpg", '""')
        table.write_text("\n".join(("path", *lines)))
        with pytest.warns(UserWarning) as warned:
            assert get_stems(read_own_table(table)) == ["a"]
        assert str(warned[0].message).endswith(
            "mine.csv: 4 of 5 rows are left out: a `path` is missing (line 6);"
            " the image does not exist (lines 3, 5); the image file is empty (line 4)."
        )

    def test_many_lines_are_counted(self, table):
        table.write_text("path,age\nphotos/a.jpg,30\n" + "photos/b.jpg,999\n" * 5)
        with pytest.warns(UserWarning, match=r"\(lines 3, 4, 5 and 2 more\)"):
            read_own_table(table)

    def test_all_rows_bad_are_an_error(self, table):
        table.write_text("path,age\nphotos/a.jpg,150\nphotos/b.jpg,160\n")
        with pytest.raises(
            ValueError, match=r"mine\.csv: no row can be used: `age` is not .* \(lines 2, 3\)"
        ):
            read_own_table(table)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"mine\.csv: the file is empty"),
        ("path\n", r"mine\.csv: there are no rows below the header"),
        ("file,age\na.jpg,3\n", r"mine\.csv: line 1: the column path is missing; .* file, age"),
        ("path,gender,gender\na,b,c\n", r"mine\.csv: line 1: the columns gender, gender"),
        ("path;gender\na;b\n", r"mine\.csv: line 1: the columns are separated by semicolons"),
        ("path,gender\nphotos/a.jpg,male,\n", r"mine\.csv: line 2 must have 2 cells"),
        (
            "path,sex\nphotos/a.jpg,male\n",
            r"mine\.csv: unknown column sex; the known ones are path, x1, .*, split",
        ),
        (
            "path,gender\nphotos/a.jpg,male\nphotos/b.jpg,man\nphotos/c.jpg,man\n",
            r"mine\.csv: lines 3, 4: `gender` must be one of female, male; got 'man'\. Correct it",
        ),
        (
            "path,gender\nphotos/a.jpg,NA\n",
            r"line 2: `gender` must be .*; got 'NA'\. Leave the cell empty if the value is unknown",
        ),
        ("path,emotion\nphotos/a.jpg,None\n", r"got 'None'\. Leave the cell empty"),
        (
            "path,subject\nphotos/a.jpg,S1\nphotos/b.jpg,NA\n",
            r"line 3: `subject` is 'NA'\. Leave the cell empty",
        ),
        (
            "path,group\nphotos/a.jpg,x\nphotos/b.jpg,\n",
            r"mine\.csv: line 3: `group` must be given in every row or in none",
        ),
    ],
)
def test_ambiguous_files_are_refused(text, message, table):
    table.write_text(text)
    with pytest.raises(ValueError, match=message):
        read_own_table(table)


def test_latin_1_is_named(table):
    table.write_bytes("path,subject\nphotos/a.jpg,Zoë\n".encode("latin-1"))
    with pytest.raises(ValueError, match=r"mine\.csv: line 2: byte 0xEB is not UTF-8 text"):
        read_own_table(table)


def test_a_missing_file(table):
    with pytest.raises(FileNotFoundError, match=r"mine\.csv: no such file; check the spelling"):
        read_own_table(table)
