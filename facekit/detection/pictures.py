"""Check the pictures that detectors are given."""

import numpy as np


def check_image(image: np.ndarray) -> np.ndarray:
    """Return an image if it has the form that detectors take.

    Raises:
        ValueError: If it is not HxWx3 uint8, or has no pixels.

    Example:
        >>> check_image(np.zeros((4, 4), np.uint8))
        Traceback (most recent call last):
        ValueError: `image` must be HxWx3 RGB uint8 of 1x1 or more; got uint8 of shape (4, 4).
    """
    image = np.asarray(image)
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or image.size == 0:
        raise ValueError(
            "`image` must be HxWx3 RGB uint8 of 1x1 or more; "
            f"got {image.dtype} of shape {image.shape}."
        )
    return image
