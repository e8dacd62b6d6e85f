"""Turn the networks' probabilities into one profile per face: all steps of fusion together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from facekit.faces import FACE, Profile
from facekit.fusion.ages import compute_mean_age, find_age_interval, predict_age_classes
from facekit.fusion.answers import fuse_answers, sort_attributes
from facekit.fusion.confidence import measure_certainty, score_confidence
from facekit.fusion.constants import SCORE, FusionConstants
from facekit.taxonomy import DEFAULT_AGE_SCHEME, LABELS, name_age_ranges


def fuse_profiles(
    answers: Mapping[str, np.ndarray],
    constants: FusionConstants,
    age_scheme: str = DEFAULT_AGE_SCHEME,
    scores: np.ndarray | None = None,
) -> tuple[Profile, ...]:
    """Turn the networks' probabilities into one profile per face.

    Args:
        answers: For each requested attribute, the network's probabilities, (faces, classes), in the
            order of `taxonomy.LABELS`.
        constants: From `load_constants`.
        age_scheme: Key of `taxonomy.AGE_SCHEMES`, for `age_range`.
        scores: Scores of the detector, (faces,), below whose threshold nothing is sure; without
            them every face is taken for a face.

    Returns:
        One profile per face. Attributes that are not in `answers` are `None`.

    Raises:
        ValueError: If `answers` is empty, or its arrays do not have the classes of the taxonomy or
            the same number of faces, or `scores` have another number of faces.

    Example:
        >>> from facekit.fusion import load_constants
        >>> answers = {"gender": np.array([[0.1, 0.9]])}
        >>> fuse_profiles(answers, load_constants())[0].gender
        'male'
    """
    counts = {len(answer) for answer in answers.values()}
    if len(counts) != 1:
        raise ValueError(
            "`answers` must hold at least one attribute, all with the same number of faces; "
            f"got {sorted(counts)} faces."
        )
    for name, answer in answers.items():
        if name not in LABELS:
            raise ValueError(f"`answers` must be of {', '.join(LABELS)}; got {name!r}.")
        if answer.ndim != 2 or answer.shape[1] != len(LABELS[name]):
            raise ValueError(
                f"`answers` of {name} must have shape (faces, {len(LABELS[name])}); "
                f"got {answer.shape}."
            )
    ranges = name_age_ranges(age_scheme)  # checks it, also where there is no face
    (count,) = counts
    if scores is not None and len(scores) != count:
        raise ValueError(f"`scores` must hold one score per face ({count}); got {len(scores)}.")
    fused = fuse_answers(answers, constants)
    confidences = score_confidence(fused, constants)
    columns: dict[str, Sequence[Any]] = {"confidence_score": confidences.tolist()}
    doubted = np.zeros(count, bool) if scores is None else scores < constants.thresholds[SCORE]
    unsure = {FACE: doubted}
    for name in sort_attributes(fused):
        answer = fused[name]
        if name == "age":
            means = compute_mean_age(answer)
            low, high = find_age_interval(answer, constants.age_levels)
            columns["age_years"] = means.tolist()
            columns["age_low"], columns["age_high"] = low.tolist(), high.tolist()
            columns["age_range"] = [
                ranges[index] for index in predict_age_classes(answer, age_scheme)
            ]
        else:
            best = answer.argmax(axis=1)
            columns[name] = [LABELS[name][index] for index in best]
            columns[f"{name}_probability"] = answer.max(axis=1).tolist()
        if name == "emotion":
            columns["emotion_probabilities"] = [tuple(row) for row in answer.tolist()]
        certainty = measure_certainty(name, answer, age_scheme)
        unsure[name] = doubted | (certainty < constants.thresholds[name])
    columns["unsure"] = [
        tuple(name for name, is_unsure in zip(unsure, row, strict=True) if is_unsure)
        for row in zip(*unsure.values(), strict=True)
    ]
    return tuple(
        Profile(**dict(zip(columns, row, strict=True)))
        for row in zip(*columns.values(), strict=True)
    )
