import pytest
from PIL import Image

from facekit.images import IMAGE_SUFFIXES, UNREAD_SUFFIXES
from facekit.images.formats import FORMATS, SUFFIXES, VIDEO_SUFFIXES, name_kind


def test_endings_are_those_that_the_decoders_register():
    Image.init()
    if "HEIF" in FORMATS:
        import pillow_heif

        pillow_heif.register_heif_opener()
    for name in FORMATS:
        registered = {ending for ending, other in Image.EXTENSION.items() if other == name}
        if name == "JPEG":
            registered.add(".mpo")  # Pillow opens it as JPEG and registers it for writing
        assert registered == set(SUFFIXES[name]), name
        assert name in Image.OPEN


def test_an_ending_stands_for_one_thing():
    groups = (IMAGE_SUFFIXES, UNREAD_SUFFIXES, VIDEO_SUFFIXES)
    assert sum(len(group) for group in groups) == len({*groups[0], *groups[1], *groups[2]})


def test_no_format_starts_a_program():
    assert not {"EPS", "PDF", "WMF"} & set(FORMATS)


@pytest.mark.parametrize(
    "suffix", [".mpo", ".jpe", ".dib", ".pbm", ".pnm", ".pfm", ".apng", ".jp2", ".tga"]
)
def test_endings_that_folders_once_left_out(suffix):
    assert suffix in IMAGE_SUFFIXES


@pytest.mark.parametrize("suffix", [".jxl", ".cr2", ".nef", ".dng", ".svg", ".psd", ".raw"])
def test_endings_that_are_named_as_unread(suffix):
    assert suffix in UNREAD_SUFFIXES


@pytest.mark.parametrize(
    ("head", "name", "kind"),
    [
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "", "HEIC"),
        (b"\0\0\0\x1cftypmif1\0\0\0\0mif1avifmiaf", "", "AVIF"),
        (b"\0\0\0\x20ftypavif\0\0\0\0", "", "AVIF"),
        (b"\0\0\0\x18ftypcrx \0\0\0\1crx isom", "", "camera raw"),
        (b"\0\0\0\x20ftypisom\0\0\2\0isomiso2", "photo.jpg", "video"),
        (b"\0\0\0\x08wide\0\0\1\0mdat", "", "video"),
        (b"RIFF\0\0\0\0AVI LIST", "", "video"),
        (b"\x1a\x45\xdf\xa3", "", "video"),
        (b"G" + bytes(187) + b"G", "", "video"),
        (bytes(4) + b"G" + bytes(191) + b"G", "", "video"),
        (b"damaged", "clip.MP4", "video"),
        (b"const a = 1;", "main.ts", ""),
        (b"\0\0\0\x0cJXL \r\n\x87\n", "", "JPEG XL"),
        (b"II*\0\x10\0\0\0CR\2\0", "", "camera raw"),
        (b"II*\0", "photo.NEF", "camera raw"),
        (b"  <!DOCTYPE html><html>", "photo.jpg", "HTML"),
        (b"<?xml version='1.0'?>\n<svg>", "", "SVG"),
        (b"Dear diary", "photo.jpg", ""),
        (b"", "photo.jxl", "JPEG XL"),
        (b"", "", ""),
    ],
)
def test_kinds_of_files(head, name, kind):
    assert name_kind(head, name) == kind
