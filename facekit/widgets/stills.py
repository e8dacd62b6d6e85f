"""Give widgets a still picture, for pages without a kernel: GitHub, nbconvert, a static site.

The picture stands beside the widget in the output of a cell. JupyterLab shows the widget; a page
that cannot run widgets shows the picture, and a screen reader reads its text alternative.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

KINDS = {b"\x89PNG": "image/png", b"\xff\xd8": "image/jpeg"}  # by the first bytes of a file


def add_still(
    output: Mapping[str, Any] | tuple[Mapping[str, Any], Mapping[str, Any]],
    picture: bytes,
    alt: str,
) -> tuple[dict[str, Any], dict[str, Any]]:
    r"""Return the output of a widget with a picture beside it.

    Args:
        output: What the widget's `_repr_mimebundle_` returns: its data by MIME type, alone or with
            their metadata.
        picture: A PNG or JPEG file.
        alt: What the picture shows, in one sentence.

    Returns:
        Data and metadata, both by MIME type.

    Example:
        >>> data, metadata = add_still({"text/plain": "Slider()"}, b"\x89PNG...", "A curve rises.")
        >>> data["image/png"], metadata
        ('iVBORy4uLg==', {'image/png': {'alt': 'A curve rises.'}})
    """
    data, metadata = output if isinstance(output, tuple) else (output, {})
    kind = next(kind for start, kind in KINDS.items() if picture.startswith(start))
    encoded = base64.b64encode(picture).decode("ascii")
    return {**data, kind: encoded}, {**metadata, kind: {"alt": alt}}
