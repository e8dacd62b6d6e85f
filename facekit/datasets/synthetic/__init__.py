"""Datasets of drawn faces: to train on in minutes, without a download.

`sampling` chooses traits at random, `drawing` draws a face, `folder` draws and reads a dataset, and
`sequences` draws people who pose emotions, in the form of CK+48.
"""

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
    "FACIAL_HAIR",
    "FAIR",
    "GROUPS",
    "LOOKS",
    "PICTURES",
    "SHARES",
    "STYLES",
    "TABLE",
    "TRAITS_TABLE",
    "Bias",
    "make_synthetic",
    "read_synthetic",
    "sample_splits",
    "sample_traits",
    "tabulate_traits",
]
