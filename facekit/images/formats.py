"""The formats of pictures that facekit reads, and those that it knows but does not read.

`reading` decodes with Pillow. Only formats whose decoders start no other program are listed (EPS
would start Ghostscript). A format is recognised by its first bytes, so a wrong ending does no harm.
"""

from __future__ import annotations

import functools
import importlib.util
from pathlib import PurePath

# Pillow's name of each format -> the endings that Pillow registers for it. Written down because
# loading every decoder to ask for its endings would slow down `import facekit`; a test compares the
# two. TGA stands last: its files have no signature, so that it would accept other formats' files.
SUFFIXES = {
    "JPEG": (".jpg", ".jpeg", ".jpe", ".jfif", ".mpo"),  # Pillow opens MPO as JPEG
    "PNG": (".png", ".apng"),
    "BMP": (".bmp",),
    "DIB": (".dib",),
    "GIF": (".gif",),
    "WEBP": (".webp",),
    "TIFF": (".tif", ".tiff"),
    "PPM": (".ppm", ".pgm", ".pbm", ".pnm", ".pfm"),
    "AVIF": (".avif", ".avifs"),
    "JPEG2000": (".jp2", ".j2k", ".jpc", ".jpf", ".jpx", ".j2c"),
    "HEIF": (".heic", ".heics", ".heif", ".heifs", ".hif"),
    "QOI": (".qoi",),
    "TGA": (".tga", ".icb", ".vda", ".vst"),
}
# The module that a format needs, where it is not part of every Pillow.
MODULES = {"AVIF": "PIL._avif", "HEIF": "pillow_heif", "WEBP": "PIL._webp"}


@functools.cache
def _is_installed(module: str) -> bool:
    return importlib.util.find_spec(module) is not None


FORMATS = tuple(
    name for name in SUFFIXES if name not in MODULES or _is_installed(MODULES[name])
)  # that the installed decoders read
IMAGE_SUFFIXES = tuple(suffix for name in FORMATS for suffix in SUFFIXES[name])

# Kinds of files that need sentences of their own.
VIDEO = "video"
CAMERA_RAW = "camera raw"

# Camera raw files are TIFF files inside, with a small preview that must not pass for the picture.
RAW_SUFFIXES = (
    ".3fr", ".arw", ".cr2", ".cr3", ".crw", ".dcr", ".dng", ".erf", ".iiq", ".kdc", ".mef", ".mos",
    ".mrw", ".nef", ".nrw", ".orf", ".pef", ".raf", ".raw", ".rw2", ".rwl", ".sr2", ".srf", ".srw",
    ".x3f",
)  # fmt: skip
# Endings of pictures that are not read, or not by every installation -> the name of their kind.
UNREAD_KINDS = {
    **dict.fromkeys(SUFFIXES["HEIF"], "HEIC"),
    **dict.fromkeys(SUFFIXES["AVIF"], "AVIF"),
    **dict.fromkeys(SUFFIXES["WEBP"], "WebP"),
    **dict.fromkeys(RAW_SUFFIXES, CAMERA_RAW),
    **dict.fromkeys((".jxr", ".wdp", ".hdp"), "JPEG XR"),
    **dict.fromkeys((".psd", ".psb"), "Photoshop"),
    **dict.fromkeys((".svg", ".svgz"), "SVG"),
    ".eps": "EPS",
    **dict.fromkeys((".wmf", ".emf"), "Windows metafile"),
    **dict.fromkeys((".ico", ".cur", ".icns"), "icon"),
    **dict.fromkeys((".pict", ".pct"), "PICT"),
    ".jxl": "JPEG XL", ".jls": "JPEG-LS", ".xcf": "GIMP", ".kra": "Krita", ".ai": "Illustrator",
    ".afphoto": "Affinity Photo", ".exr": "OpenEXR", ".hdr": "Radiance HDR",
    ".dcm": "DICOM", ".fits": "FITS", ".djvu": "DjVu", ".pcx": "PCX", ".dds": "DDS", ".sgi": "SGI",
    ".ras": "Sun raster", ".pam": "PAM", ".flif": "FLIF", ".bpg": "BPG", ".jng": "JNG",
    ".mng": "MNG",
}  # fmt: skip
UNREAD_SUFFIXES = tuple(suffix for suffix in UNREAD_KINDS if suffix not in IMAGE_SUFFIXES)

# Containers that OpenCV's FFmpeg reads. A `.ts` file may also be a program in TypeScript.
VIDEO_SUFFIXES = (
    ".mp4", ".m4v", ".mov", ".qt", ".3gp", ".3g2", ".avi", ".divx", ".mkv", ".webm", ".ogv", ".wmv",
    ".asf", ".flv", ".f4v", ".mpg", ".mpeg", ".mpe", ".m2v", ".vob", ".mts", ".m2ts", ".ts", ".mxf",
    ".dv", ".rm", ".rmvb", ".mjpg", ".mjpeg", ".y4m", ".insv", ".lrv",
)  # fmt: skip

HEIC_BRANDS = (
    b"heic",
    b"heix",
    b"heim",
    b"heis",
    b"hevc",
    b"hevx",
    b"hevm",
    b"hevs",
    b"mif1",
    b"msf1",
)
AVIF_BRANDS = (b"avif", b"avis")
QUICKTIME_BOXES = (b"ftyp", b"moov", b"mdat", b"wide", b"skip", b"free", b"pnot")
# Where the first bytes of a format begin, these bytes, and the name of the kind.
SIGNATURES = (
    (0, b"\x1a\x45\xdf\xa3", VIDEO),  # Matroska and WebM
    (8, b"AVI ", VIDEO),
    (0, b"FLV\x01", VIDEO),
    (0, b"OggS", VIDEO),
    (0, b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", VIDEO),  # Windows Media
    (0, b"\x00\x00\x01\xba", VIDEO),  # MPEG program stream
    (0, b"\x00\x00\x01\xb3", VIDEO),
    (0, b"\xff\x0a", "JPEG XL"),
    (4, b"JXL ", "JPEG XL"),
    (0, b"II\xbc\x01", "JPEG XR"),
    (0, b"8BPS", "Photoshop"),
    (0, b"gimp xcf", "GIMP"),
    (0, b"%PDF", "PDF"),
    (0, b"%!PS", "PostScript"),
    (0, b"\xc5\xd0\xd3\xc6", "EPS"),
    (0, b"\x76\x2f\x31\x01", "OpenEXR"),
    (0, b"#?R", "Radiance HDR"),
    (0, b"FUJIFILMCCD-RAW", CAMERA_RAW),
    (8, b"CR\x02\x00", CAMERA_RAW),
    (0, b"IIRO", CAMERA_RAW),
    (0, b"IIU\x00", CAMERA_RAW),
    (0, b"\x00\x00\x01\x00", "icon"),
    (128, b"DICM", "DICOM"),
    (0, b"PK\x03\x04", "ZIP"),
    (0, b"\x1f\x8b", "gzip"),
)
HEAD_BYTES = 512  # of a file, enough for every signature

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
# Formats whose first bytes leave no doubt; those of WebP follow the length of its RIFF list.
SIGNED_FORMATS = {
    b"\xff\xd8\xff": "JPEG",
    PNG_SIGNATURE: "PNG",
    b"GIF8": "GIF",
    b"II*\0": "TIFF",
    b"MM\0*": "TIFF",
    b"WEBP": "WEBP",
}


def name_signed_format(head: bytes) -> str:
    """Return Pillow's name of the format that a picture's first bytes state; "" if none.

    Example:
        >>> name_signed_format(b"GIF89a")
        'GIF'
    """
    start = head[8:] if head.startswith(b"RIFF") else head
    return next((name for sign, name in SIGNED_FORMATS.items() if start.startswith(sign)), "")


def name_kind(head: bytes, name: str | PurePath = "") -> str:
    """Return the kind of a file that is no picture of a format in `FORMATS`.

    Args:
        head: The first `HEAD_BYTES` of the file.
        name: The file's name; its ending decides where the bytes do not.

    Returns:
        `"video"`, the name of a format such as `"HEIC"` or `"JPEG XL"`, or `""` if it is unknown.

    Example:
        >>> name_kind(b"8BPS" + bytes(20))
        'Photoshop'
        >>> name_kind(b"", "holiday.jxl")
        'JPEG XL'
    """
    suffix = PurePath(name).suffix.lower()
    if suffix in RAW_SUFFIXES:  # whatever they hold
        return CAMERA_RAW
    if head[4:8] in QUICKTIME_BOXES:
        brands = head[8:12], *(head[start : start + 4] for start in range(16, 40, 4))
        if any(brand in AVIF_BRANDS for brand in brands) and head[4:8] == b"ftyp":
            return "AVIF"
        if brands[0] in HEIC_BRANDS:
            return "HEIC"
        return CAMERA_RAW if brands[0] == b"crx " else VIDEO
    for start in (0, 4):  # MPEG transport stream: a packet of 188 bytes, in .m2ts of 192
        if head[start : start + 1] == b"G" == head[start + 188 + start : start + 189 + start]:
            return VIDEO
    for start, signature, kind in SIGNATURES:
        if head[start : start + len(signature)] == signature:
            return kind
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if text.startswith((b"<!doctype html", b"<html")):
        return "HTML"
    if text.startswith((b"<svg", b"<?xml")) and b"<svg" in text:
        return "SVG"
    if suffix in VIDEO_SUFFIXES and suffix != ".ts":
        return VIDEO
    return UNREAD_KINDS.get(suffix, "")
