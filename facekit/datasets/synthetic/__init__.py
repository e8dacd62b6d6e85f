"""Datasets of drawn faces: to train on in minutes, without a download.

`sampling` chooses traits at random, `drawing` draws a face, `folder` draws and reads a dataset,
`sequences` draws people who pose emotions, in the form of CK+48, and `crowds` composes photos of
many faces, drawn or real.
"""

from facekit.datasets.synthetic.crowds import (
    DETAILS,
    PLACES_TABLE,
    compose_crowds,
    read_crowds,
)
from facekit.datasets.synthetic.folder import TABLE, TRAITS_TABLE, make_synthetic, read_synthetic
from facekit.datasets.synthetic.sampling import (
    FACIAL_HAIR,
    FAIR,
    GROUPS,
    LOOKS,
    PICTURES,
    SHARES,
    STYLES,
    Bias,
    sample_splits,
    sample_traits,
    tabulate_traits,
)

__all__ = [
    "DETAILS",
    "FACIAL_HAIR",
    "FAIR",
    "GROUPS",
    "LOOKS",
    "PICTURES",
    "PLACES_TABLE",
    "SHARES",
    "STYLES",
    "TABLE",
    "TRAITS_TABLE",
    "Bias",
    "compose_crowds",
    "make_synthetic",
    "read_crowds",
    "read_synthetic",
    "sample_splits",
    "sample_traits",
    "tabulate_traits",
]
