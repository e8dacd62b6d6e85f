import socket

import nbformat
import pytest

from facekit.app.serving import NOTEBOOK, check_address, make_url


def test_a_port_that_is_taken():
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        with pytest.raises(OSError, match="in use"):
            check_address("localhost", server.getsockname()[1])
        free = server.getsockname()[1]
    check_address("localhost", free)


@pytest.mark.parametrize(
    ("host", "name"),
    [
        ("localhost", "localhost"),
        ("127.0.0.1", "localhost"),
        ("0.0.0.0", socket.gethostname()),
        ("10.1.2.3", "10.1.2.3"),
    ],
)
def test_urls(host, name):
    assert make_url(host, 8866, "secret") == f"http://{name}:8866/?token=secret"


def test_the_notebook_is_in_the_package():
    [cell] = nbformat.read(NOTEBOOK, 4).cells
    assert cell.source.endswith("show_served_app()")
