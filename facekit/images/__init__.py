"""Pictures: read them, encode them, and cut faces out of them.

`reading` turns any file into HxWx3 RGB uint8, upright; `formats` lists what is read, `depth` brings
deep pictures to 8 bits, and `failures` words the errors. `encoding` turns pixels into JPEG and PNG.
`crops` turns a picture and five landmarks into an upright square crop: the one preprocessing that
training and analysis share. Where the faces are is found by `detection`.
"""

from facekit.images.crops import (
    TEMPLATE_XY,
    convert_to_grey,
    cut_crops,
    equalise_crops,
    estimate_similarity,
    normalise,
    round_box,
    shrink_image,
)
from facekit.images.depth import scale_to_8_bits
from facekit.images.encoding import encode_jpeg, encode_png, make_data_uri
from facekit.images.failures import MAX_PIXELS, ImageError
from facekit.images.formats import FORMATS, IMAGE_SUFFIXES, UNREAD_SUFFIXES
from facekit.images.reading import convert_image, decode_image, read_image

__all__ = [
    "FORMATS",
    "IMAGE_SUFFIXES",
    "MAX_PIXELS",
    "TEMPLATE_XY",
    "UNREAD_SUFFIXES",
    "ImageError",
    "convert_image",
    "convert_to_grey",
    "cut_crops",
    "decode_image",
    "encode_jpeg",
    "encode_png",
    "equalise_crops",
    "estimate_similarity",
    "make_data_uri",
    "normalise",
    "read_image",
    "round_box",
    "scale_to_8_bits",
    "shrink_image",
]
