import warnings

import click
import pytest
from click.testing import CliRunner

from facekit.commands import main
from facekit.commands.errors import explain_errors
from facekit.registry import ModelError


@pytest.mark.parametrize("error", [ValueError("why"), OSError("why"), ModelError("why")])
def test_foreseeable_errors_become_one_line(error):
    with pytest.raises(click.ClickException, match=r"^why$"), explain_errors():
        raise error


@pytest.mark.parametrize("arguments", [["lessons", "course"], ["demo", "/x.jpg"]])
def test_the_current_folder_was_deleted(arguments, tmp_path, monkeypatch):
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    result = CliRunner().invoke(main, arguments)
    assert (result.exit_code, "folder of this terminal was deleted" in result.output) == (1, True)


def test_a_missing_package_names_its_extra():
    remedy = pytest.raises(click.ClickException, match=r"needs nowhere\. Run: .*facekit\[train\]")
    with remedy, explain_errors("train"):
        import nowhere  # noqa: F401


@pytest.mark.parametrize(
    "error", [ModuleNotFoundError("x", name="facekit.typo"), KeyError("x"), KeyboardInterrupt()]
)
def test_our_own_faults_stay_visible(error):
    with pytest.raises(type(error)), explain_errors("train"):
        raise error


def test_warnings_become_lines(capsys):
    with explain_errors():
        warnings.warn("careful", stacklevel=1)
    assert capsys.readouterr().err == "facekit: careful\n"
