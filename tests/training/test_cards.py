import numpy as np
import pandas as pd

from facekit.taxonomy import EMOTIONS
from facekit.training.cards import describe_weakest


class TestWeakest:
    def test_the_class_of_least_recall(self):
        classes = np.eye(len(EMOTIONS))
        table = pd.DataFrame(classes[[0, 0, 1, 1]], columns=[f"p_{name}" for name in EMOTIONS])
        table = table.assign(
            label=["anger", "anger", "disgust", "fear"], split="test", source="mine"
        )
        table.loc[4] = [*classes[2], "anger", "validation", "mine"]
        assert describe_weakest("emotion", table) == (
            "The lowest recall is 0% on mine test, for fear (1 face)."
        )

    def test_sources_are_not_pooled(self):
        classes = np.eye(len(EMOTIONS))
        table = pd.DataFrame(classes[[0, 1, 1, 1]], columns=[f"p_{name}" for name in EMOTIONS])
        table = table.assign(
            label=["anger", "anger", "disgust", "fear"], split="test", source=["a", "a", "b", "b"]
        )
        assert describe_weakest("emotion", table) == (
            "The lowest recall is 50% on a test, for anger (2 faces); "
            "0% on b test, for fear (1 face)."
        )

    def test_the_age_of_largest_error(self):
        years = np.eye(101)[[30, 2]]
        table = pd.DataFrame(years, columns=[f"p_{year}" for year in range(101)])
        table = table.assign(label=[34.0, 1.0], split="test", source="mine")
        assert describe_weakest("age", table) == (
            "The largest mean error is 4.0 years on mine test, for ages 28-45 (1 face)."
        )
