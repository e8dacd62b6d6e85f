import os
import socket
import sys

import pytest
from click.testing import CliRunner

from facekit.commands import main


def run(*arguments):
    return CliRunner().invoke(main, ["app", *map(str, arguments)])


@pytest.fixture
def served(monkeypatch) -> list[tuple]:
    """The arguments of each call of the server, which is not started."""
    pytest.importorskip("voila", reason="Voila is not installed: pip install 'facekit[notebooks]'")
    calls = []
    monkeypatch.setattr("facekit.app.serving.serve_app", lambda *arguments: calls.append(arguments))
    return calls


def test_defaults_keep_to_this_machine(served):
    result = run("--port", 8899)
    assert result.exit_code == 0, result.output
    [(options, host, port, token, theme, browser)] = served
    assert options == {}
    assert (host, port, theme, browser) == ("localhost", 8899, "light", True)
    assert len(token) >= 20
    assert f"http://localhost:8899/?token={token}" in result.stdout
    assert "https" not in result.stderr


def test_other_devices(served, tmp_path):
    address = ("--host", "0.0.0.0", "--port", 8899, "--token", "open sesame")
    result = run(tmp_path, *address, "--minutes", 3, "--no-browser")
    options = {"source": str(tmp_path), "minutes": 3}
    assert served == [(options, "0.0.0.0", 8899, "open sesame", "light", False)]
    assert "?token=open%20sesame" in result.stdout
    assert "camera only on https" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--token", "short"], "8 characters"),
        (["/dev/null"], "neither a folder nor a video"),
        (["nowhere"], "does not exist"),
        (["--minutes", 0], "not in the range"),
        (["--minutes", -1], "not in the range"),
        (["--minutes", "nan"], "'nan' is not a finite number"),
        (["--minutes", "inf"], "not in the range"),
        (["--minutes", "1e300"], "not in the range"),
        (["--port", 0], "not in the range"),
        (["--port", 70000], "not in the range"),
    ],
)
def test_wrong_usage(served, arguments, message):
    result = run(*arguments)
    assert result.exit_code == 2
    assert message in result.stderr
    assert served == []


@pytest.mark.parametrize("host", ["192.0.2.1", "a" * 300, ".."])
def test_an_address_of_another_machine(served, host):
    result = run("--host", host)
    assert result.exit_code == 1
    assert f"The server cannot listen on {host}:8866" in result.stderr
    assert "choose another --host or --port" in result.stderr
    assert served == []


def test_a_port_in_use(served):
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        port = server.getsockname()[1]
        result = run("--host", "127.0.0.1", "--port", port)
    assert result.exit_code == 1
    assert f"cannot listen on 127.0.0.1:{port} (Address already in use)" in result.stderr
    assert served == []


def test_a_broken_video(served, tmp_path):
    (tmp_path / "film.mp4").write_text("Dear diary")
    result = run(tmp_path / "film.mp4")
    assert result.exit_code == 1
    assert "film.mp4: " in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert served == []


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read every folder"
)
def test_a_folder_without_permission(served, tmp_path):
    (tmp_path / "photos").mkdir(mode=0)
    result = run(tmp_path / "photos")
    assert result.exit_code == 2
    assert "may not be read; change its permissions" in result.stderr


def test_without_voila(monkeypatch):
    monkeypatch.setitem(sys.modules, "voila", None)
    result = run()
    assert result.exit_code == 1
    remedy = "This command needs voila. Run: pip install 'facekit[notebooks]'"
    assert result.stderr.strip() == f"Error: {remedy}"
