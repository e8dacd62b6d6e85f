"""Shared by the tests of detection."""

import numpy as np
import pytest


@pytest.fixture(scope="module")
def astronaut(portraits) -> np.ndarray:
    return portraits["astronaut.png"]
