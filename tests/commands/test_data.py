"""`facekit data` as users meet it."""

import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from matplotlib.figure import Figure
from PIL import Image

from facekit.commands import main
from facekit.datasets import fingerprints
from facekit.datasets.manifest import load_manifest
from facekit.datasets.outputs import check_page_output
from facekit.images import read_image


def run(*arguments):
    return CliRunner().invoke(main, ["data", *map(str, arguments)])


@pytest.fixture
def data_folder(save_noise, tmp_path) -> Path:
    """UTKFace of 20 pictures and a misnamed one."""
    for index in range(20):
        save_noise(
            tmp_path / "UTKFace" / f"{index + 1}_{index % 2}_{index % 5}_2017{index}.jpg.chip.jpg",
            index,
        )
    save_noise(tmp_path / "UTKFace" / "selfie.jpg", 99)
    return tmp_path


def test_list_counts_files(data_folder):
    result = run("list", "--data", data_folder)
    assert result.exit_code == 0
    lines = {line.split()[0]: line for line in result.output.splitlines()}
    assert "21 of 23708" in lines["utkface"]
    assert lines["fairface"].split()[1] == "-"
    assert "https://susanqq.github.io/UTKFace" in lines["utkface"]


def test_list_describes_one(data_folder):
    result = run("list", "wider_face", "utkface", "--data", data_folder)
    assert result.exit_code == 0
    for text in (
        "md5 dfa7d7e790efa35df3788964cf0bbaea WIDER_val.zip",
        "3226 files such as images/*/*.jpg",
        "licence:   non-commercial research",
    ):
        assert text in result.output


def test_prepare_saves_manifest_and_faces(data_folder):
    result = run("prepare", "utkface", "--data", data_folder)
    assert result.exit_code == 0
    assert "facekit: " in result.stderr
    assert "1 malformed names left out: selfie.jpg" in result.stderr
    manifest = load_manifest(data_folder / "prepared" / "utkface.parquet")
    assert len(manifest) == 20
    assert (data_folder / "prepared" / "utkface-64x3.npz").is_file()
    assert "utkface: 20 faces" in result.stdout
    assert manifest.attrs == {"protocol": "group_disjoint", "seed": 0}
    rows = {
        tuple(line.split()[:-4])[-1]: line.split()[-4:]
        for line in result.stdout.splitlines()
        if line.split()[4:]
    }
    assert sum(map(int, rows["all"])) == 20
    assert "0" not in rows["all"]
    assert sum(map(int, rows["female"] + rows["male"])) == 20
    assert sum(map(int, rows["0-2"])) == 2


def test_prepare_an_own_csv_by_another_protocol(portraits, tmp_path):
    Image.fromarray(portraits["group.jpg"]).save(tmp_path / "group.png")
    rows = (
        "group.png,923,211,1025,342,female",
        "group.png,450,507,550,641,",
        "group.png,2,2,40,40,male",
        "group.png,2,50,40,90,male",
    )
    (tmp_path / "mine.csv").write_text("\n".join(("path,x1,y1,x2,y2,gender", *rows)))
    target = tmp_path / "out" / "manifest.parquet"
    result = run(
        "prepare",
        tmp_path / "mine.csv",
        "--data",
        tmp_path,
        "--output",
        target,
        "--protocol",
        "random_frames",
    )
    assert result.exit_code == 0
    assert "4 faces, 50.0% of them not found" in result.output
    assert "random_frames leaks" in result.output
    assert len(load_manifest(target)) == 4


def test_prepare_leaves_out_bad_rows_and_pictures(save_noise, tmp_path):
    rows = []
    for index in range(8):
        save_noise(tmp_path / f"{index}.jpg", index)
        rows.append(f"{index}.jpg,{150 if index == 3 else 30},Female ")
    (tmp_path / "1.jpg").write_bytes(b"")
    (tmp_path / "6.jpg").write_bytes((tmp_path / "6.jpg").read_bytes()[:500])
    (tmp_path / "mine.csv").write_text("\n".join(("path,age,gender", *rows)))
    result = run("prepare", tmp_path / "mine.csv", "--data", tmp_path)
    assert result.exit_code == 0, result.output
    assert "`age` is not from 0 to 120 years (line 5)" in result.stderr
    assert "the image file is empty (line 3)" in result.stderr
    assert "6.jpg: the picture is damaged" in result.stderr
    assert "mine.csv: 5 faces" in result.stdout
    assert set(load_manifest(tmp_path / "prepared" / "mine.parquet")["gender"]) == {"female"}


class TestOutputs:
    """Nothing but an earlier result is replaced, and that is found before any work."""

    @pytest.fixture
    def photo(self, save_noise, tmp_path) -> Path:
        return save_noise(tmp_path / "photo.jpg", 0)

    @pytest.mark.parametrize(
        ("command", "output"),
        [
            (("prepare", "utkface", "--output"), "photo.parquet"),
            (("combine", "utkface", "--size", "9", "--output"), "photo.parquet"),
            (("audit", "utkface", "--no-faces", "--output"), "photo.csv"),
            (("audit", "utkface", "--no-faces", "--plots"), "photo.png"),
        ],
    )
    def test_a_file_of_the_user_is_kept(self, command, output, data_folder, photo):
        target = photo.rename(photo.with_name(output))
        content = target.read_bytes()
        result = run(*command, target, "--data", data_folder)
        assert result.exit_code == 1
        assert f"{target}: exists and is not a" in result.stderr
        assert target.read_bytes() == content
        assert not (data_folder / "prepared").exists()

    @pytest.mark.parametrize(
        ("command", "suffix"),
        [
            (("prepare", "utkface", "--output"), ".parquet"),
            (("combine", "utkface", "--size", "9", "--output"), ".parquet"),
            (("audit", "utkface", "--no-faces", "--output"), ".csv"),
            (("audit", "utkface", "--no-faces", "--plots"), ".png or .svg or .pdf"),
        ],
    )
    def test_another_ending_is_refused(self, command, suffix, data_folder, photo):
        content = photo.read_bytes()
        result = run(*command, photo, "--data", data_folder)
        assert result.exit_code == 1
        assert f"photo.jpg: the output must end in {suffix}." in result.stderr
        assert photo.read_bytes() == content

    def test_an_input_is_not_replaced(self, data_folder, tmp_path):
        own = data_folder / "UTKFace" / "mine.csv"
        own.write_text("path\n1_0_0_20170.jpg.chip.jpg\n")
        result = run("audit", own, "--no-faces", "--output", own)
        assert result.exit_code == 1
        assert "mine.csv: the output must be another file than the inputs" in result.stderr
        assert own.read_text().startswith("path\n")
        run("prepare", "utkface", "--data", data_folder)
        manifest = data_folder / "prepared" / "utkface.parquet"
        content = manifest.read_bytes()
        result = run("prepare", manifest, "--data", data_folder)
        assert result.exit_code == 1
        assert "utkface.parquet: the output must be another file" in result.stderr
        assert manifest.read_bytes() == content

    def test_earlier_results_are_replaced(self, data_folder, tmp_path):
        table, target = tmp_path / "found.csv", tmp_path / "out.parquet"
        for _ in range(2):
            for line in (
                ("audit", "utkface", "--no-faces", "--output", table),
                ("prepare", "utkface", "--output", target),
            ):
                result = run(*line, "--data", data_folder)
                assert result.exit_code == 0, result.output

    @pytest.mark.parametrize("suffix", [".png", ".svg", ".pdf"])
    def test_an_earlier_page_is_replaced(self, suffix, tmp_path):
        page = tmp_path / f"page{suffix}"
        Figure().savefig(page)
        check_page_output(page, [])
        page.write_bytes(b"mine")
        with pytest.raises(FileExistsError, match="exists and is not a page of plots"):
            check_page_output(page, [])

    def test_two_tables_of_one_name_are_refused(self, save_noise, tmp_path):
        for folder in ("a", "b"):
            for index in range(4):
                save_noise(tmp_path / folder / f"{index}.jpg", index)
            names = "\n".join(f"{index}.jpg" for index in range(4))
            (tmp_path / folder / "mine.csv").write_text(f"path\n{names}\n")
        names = [tmp_path / folder / "mine.csv" for folder in ("a", "b")]
        result = run("prepare", *names, "--data", tmp_path)
        assert result.exit_code == 2
        assert "would both be saved as" in result.stderr

    def test_a_folder_of_photos_is_not_drawn_into(self, photo):
        result = run("synthesize", photo.parent, "--count", 3, "--size", 48)
        assert result.exit_code == 1
        assert "exists and holds other files" in result.stderr
        assert [path.name for path in photo.parent.iterdir()] == ["photo.jpg"]


def test_audit_decodes_each_picture_once(data_folder, monkeypatch):
    decoded = []

    def decode(content, name):
        decoded.append(Path(name).name)
        return read_image(name)

    monkeypatch.setattr(fingerprints, "decode_image", decode)
    result = run("audit", "utkface", "--data", data_folder)
    assert result.exit_code == 0, result.output
    assert len(decoded) == len(set(decoded)) == 20
    assert run("audit", "utkface", "--data", data_folder).output == result.output
    assert len(decoded) == 20  # remembered, while the files do not change


def test_audit_counts_unreadable_pictures_and_scores_the_others(data_folder):
    path = data_folder / "UTKFace" / "5_0_4_20174.jpg.chip.jpg"
    path.write_bytes(path.read_bytes()[:300])
    result = run("audit", "utkface", "--data", data_folder)
    assert result.exit_code == 0
    assert "1 of 20          5.0%  unreadable files" in result.output
    assert "19 of 20         95.0%  no face found by MTCNN" in result.output


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["fairface"], 1, "fairface is not there; get it from https://github.com/joojs/fairface"),
        (["celeba"], 1, "`name` must be one of utkface"),
        (
            ["utkface", "--protocol", "official"],
            1,
            "official needs a split of the dataset's own, which utkface does not have",
        ),
        (["utkface", "--protocol", "stratified"], 1, "`name` must be one of the protocols"),
        (
            ["utkface", "--fold", "3"],
            1,
            "`fold` must be from 0 to 9, and is for subject_disjoint and random_frames",
        ),
        (["utkface", "--download"], 1, "`download` is for dataturks"),
        (
            ["utkface", "fairface", "--output", "a.parquet"],
            2,
            "--output takes the manifest of one dataset",
        ),
        ([], 2, "Missing argument"),
    ],
)
def test_mistakes_are_named(arguments, code, message, data_folder):
    result = run("prepare", *arguments, "--data", data_folder)
    assert result.exit_code == code
    assert message in result.stderr
    assert "Traceback" not in result.output
    assert not (data_folder / "prepared").exists()


def test_help_does_without_pandas():
    script = (
        "import sys, facekit.commands; print(*{'pandas', 'scipy', 'pyarrow'} & set(sys.modules))"
    )
    assert (
        subprocess.run(
            [sys.executable, "-c", script], capture_output=True, text=True, check=True
        ).stdout.strip()
        == ""
    )


BASE_INSTALL = """
import sys

class Blocker:
    names = {"scipy", "skimage", "sklearn", "matplotlib", "tensorflow", "keras", "mtcnn", "pywt"}

    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in self.names:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Blocker())
from facekit.commands import main
main(sys.argv[1:])
"""


class TestBaseInstall:
    """An installation without extras: NumPy, pandas, OpenCV, Pillow and ONNX Runtime alone."""

    @staticmethod
    def run(*arguments) -> subprocess.CompletedProcess:
        line = [sys.executable, "-c", BASE_INSTALL, "data", *map(str, arguments)]
        return subprocess.run(line, capture_output=True, text=True, timeout=100)

    def test_datasets_are_listed(self, data_folder):
        result = self.run("list", "--data", data_folder)
        assert result.returncode == 0, result.stderr
        assert "21 of 23708" in result.stdout
        assert self.run("list", "utkface").returncode == 0

    def test_datasets_are_prepared_and_audited(self, data_folder):
        result = self.run("prepare", "utkface", "--data", data_folder)
        assert result.returncode == 0, result.stderr
        result = self.run("audit", "utkface", "--data", data_folder)
        assert result.returncode == 0, result.stderr

    def test_a_missing_extra_is_named_in_one_line(self, data_folder, tmp_path):
        page = tmp_path / "page.png"
        result = self.run("audit", "utkface", "--data", data_folder, "--plots", page)
        assert result.returncode == 1
        assert result.stderr.splitlines() == [
            "Error: This command needs matplotlib. Run: pip install 'facekit[train]'"
        ]
