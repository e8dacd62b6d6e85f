"""The demo: sample photos, a sample film, and a page that shows the analysis of photos.

`portraits` and `film` give samples, `page` analyses photos and writes the page.
"""

from facekit.demo.film import make_film
from facekit.demo.page import run_demo
from facekit.demo.portraits import MONTAGE_PLACES, MONTAGE_SIZE, load_portraits, make_montage

__all__ = [
    "MONTAGE_PLACES",
    "MONTAGE_SIZE",
    "load_portraits",
    "make_film",
    "make_montage",
    "run_demo",
]
