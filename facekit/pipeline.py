"""From images to analyses: detect, cut, infer, fuse. Each step lives in its own module.

Faces of several images go through the networks together, which is faster than one image at a time.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from PIL import Image

from facekit.analysis import Analysis
from facekit.detection import DEFAULT_DETECTOR, DetectorError, locate_face, open_detector
from facekit.faces import Faces
from facekit.fusion import fuse_profiles, load_constants
from facekit.images import convert_image, cut_crops, equalise_crops, normalise, read_image
from facekit.inference import run_model
from facekit.registry import ModelEntry, ModelError, find_model, load_index
from facekit.taxonomy import AGE_SCHEMES, ATTRIBUTES, DEFAULT_AGE_SCHEME, DEFAULT_ATTRIBUTES, LABELS
from facekit.video import read_frames

FACES = 512  # turned into float at once, so that memory does not grow with the number of faces


@dataclass(frozen=True, eq=False)
class Crops:
    """Faces cut out for the networks, from one image or from several.

    Attributes:
        by_form: For each form that a network takes (side in pixels, number of channels, scale as
            of `images.cut_crops`) the same faces in the same order, (faces, side, side, channels)
            uint8.

    Raises:
        ValueError: If the forms do not hold the same number of faces.

    Example:
        >>> crops = Crops({(64, 3, 1.0): np.zeros((2, 64, 64, 3), np.uint8)})
        >>> len(Crops.join([crops, crops]))
        4
    """

    by_form: dict[tuple[int, int, float], np.ndarray]

    def __post_init__(self) -> None:
        counts = {len(crops) for crops in self.by_form.values()}
        if len(counts) != 1:
            raise ValueError(
                "`by_form` must hold at least one form, all with the same number of faces; "
                f"got {sorted(counts)} faces."
            )

    def __len__(self) -> int:
        return len(next(iter(self.by_form.values())))

    @classmethod
    def join(cls, parts: Sequence[Crops]) -> Crops:
        """Return the faces of all parts, one after the other.

        Raises:
            ValueError: If there are no parts, or they were cut for different networks.
        """
        forms = [list(part.by_form) for part in parts]
        if not forms or any(each != forms[0] for each in forms):
            raise ValueError(
                "`parts` must be one or more crops that were cut by the same analyzer; "
                f"got {len(forms)} parts."
            )
        return cls({form: np.concatenate([p.by_form[form] for p in parts]) for form in forms[0]})


@dataclass(frozen=True)
class FaceAnalyzer:
    """Analyze images with one set of options.

    Attributes:
        attributes: One or more of `taxonomy.ATTRIBUTES`. Ethnicity is sensitive and is predicted
            only on request.
        min_face_size: Side in pixels of the smallest face to detect, 12 or more.
        cropped: Whether each image is one face already; then each gives exactly one face, which
            MTCNN locates.
        age_scheme: Key of `taxonomy.AGE_SCHEMES`, for the age classes.
        models: Models to use in place of the default ones: for each attribute the name of a model,
            or names of models, each for every requested attribute that it serves. The constants
            of fusion were fitted on the default models; probabilities of others are less well
            calibrated.
        detector: Key of `detection.DETECTORS`. The networks learned from faces that MTCNN found,
            and its scores alone tell a doubtful face: with another detector no face is doubted.

    Raises:
        ModelError: If `models` names a model that is not listed, or does not serve the attribute.
        ValueError: If another option is out of its range, `detector` needs a package that is
            missing, or it is not MTCNN and the images are cropped.

    Example:
        >>> from facekit.demo import load_portraits
        >>> analyzer = FaceAnalyzer(("gender",), models={"gender": "faces"})
        >>> analyzer.analyze(load_portraits()["astronaut.png"]).profiles[0].gender
        'female'
    """

    attributes: Sequence[str] = DEFAULT_ATTRIBUTES
    min_face_size: float = 20
    cropped: bool = False
    age_scheme: str = DEFAULT_AGE_SCHEME
    models: Mapping[str, str] | Sequence[str] = ()
    detector: str = DEFAULT_DETECTOR
    _chosen: dict[str, str] = field(init=False, repr=False, compare=False, hash=False)

    def __post_init__(self) -> None:
        unknown = [name for name in self.attributes if name not in ATTRIBUTES]
        if unknown or not self.attributes or isinstance(self.attributes, str):
            raise ValueError(
                f"`attributes` must be one or more of {', '.join(ATTRIBUTES)}; "
                f"got {self.attributes!r}."
            )
        if self.age_scheme not in AGE_SCHEMES:
            raise ValueError(
                f"`age_scheme` must be one of {', '.join(AGE_SCHEMES)}; got {self.age_scheme!r}."
            )
        open_detector(self.detector, min_face_size=self.min_face_size)  # checks both
        if self.cropped and self.detector != DEFAULT_DETECTOR:
            raise DetectorError(
                f"`detector` must be {DEFAULT_DETECTOR} if the images are cropped; "
                f"got {self.detector!r}."
            )
        object.__setattr__(self, "_chosen", _choose_models(self.models, self.attributes))

    def detect(self, pixels: np.ndarray) -> Faces:
        """Detect the faces of HxWx3 RGB uint8.

        Raises:
            ValueError: If `pixels` has another shape or type.

        Example:
            >>> len(FaceAnalyzer().detect(np.zeros((40, 60, 3), np.uint8)))
            0
        """
        if self.cropped:
            return locate_face(pixels)
        return open_detector(self.detector, min_face_size=self.min_face_size).detect(pixels)

    def cut(self, pixels: np.ndarray, faces: Faces) -> Crops:
        """Cut faces out of an image in every form that the networks take.

        Args:
            pixels: HxWx3 RGB uint8.
            faces: Where they are.

        Returns:
            Small crops, about 30 kB per face, so that the image itself need not be kept.

        Raises:
            ModelError: If a model is missing or damaged.

        Example:
            >>> crops = FaceAnalyzer(("emotion",)).cut(np.zeros((9, 9, 3), np.uint8), Faces.empty())
            >>> {form: each.shape for form, each in crops.by_form.items()}
            {(48, 1, 1.15): (0, 48, 48, 1)}
        """
        forms = dict.fromkeys(_get_form(entry) for entry, _ in self._plan())
        return Crops({form: cut_crops(pixels, faces, *form) for form in forms})

    def infer(
        self, picture: np.ndarray | Crops | Sequence[Crops], faces: Faces | None = None
    ) -> dict[str, np.ndarray]:
        """Return each attribute network's probabilities.

        Args:
            picture: HxWx3 RGB uint8; or, without `faces`, what `cut` returned for one image or
                for several, whose faces are then inferred together.
            faces: Where the faces of `picture` are.

        Returns:
            For each attribute (faces, classes) float32, classes in the order of `taxonomy.LABELS`.

        Raises:
            ModelError: If a model is missing or damaged.
            ValueError: If the crops were not cut by an analyzer of the same attributes.

        Example:
            >>> analyzer, pixels = FaceAnalyzer(cropped=True), np.zeros((9, 9, 3), np.uint8)
            >>> crops = [analyzer.cut(pixels, analyzer.detect(pixels)) for _ in range(3)]
            >>> analyzer.infer(crops)["emotion"].shape
            (3, 7)
        """
        if faces is not None:
            crops = self.cut(_check_pixels(picture), faces)
        elif isinstance(picture, np.ndarray):
            raise ValueError("`faces` must be given with an image; detect them first.")
        else:
            crops = picture if isinstance(picture, Crops) else Crops.join(picture)
        plan = self._plan()
        missing = [entry.name for entry, _ in plan if _get_form(entry) not in crops.by_form]
        if missing:
            raise ValueError(
                f"`picture` must be crops cut by this analyzer; there are none for "
                f"{', '.join(missing)}."
            )
        answers: dict[str, np.ndarray] = {}
        for entry, tasks in plan:
            own = crops.by_form[_get_form(entry)]
            parts = []
            for start in range(0, max(len(own), 1), FACES):
                part = own[start : start + FACES]
                inputs = normalise(equalise_crops(part) if entry.input.get("equalise") else part)
                views = [inputs, inputs[:, :, ::-1]] if entry.input.get("mirror") else [inputs]
                seen = run_model(tasks[0], np.concatenate(views), tasks, entry.name)
                # The mean over the views of each face.
                parts.append([np.mean(np.split(each, len(views)), axis=0) for each in seen])
            joined = (np.concatenate(each) for each in zip(*parts, strict=True))
            answers |= dict(zip(tasks, joined, strict=True))
        return answers

    def analyze(self, image: str | Path | np.ndarray | Image.Image) -> Analysis:
        """Detect the faces of one image and predict a profile for each.

        Args:
            image: A file, HxWx3 RGB uint8, or a Pillow image.

        Returns:
            The analysis, with the image in it; an image without faces gives an empty one.

        Raises:
            FileNotFoundError: If there is no such file.
            ImageError: If the file cannot be read as an image.
            ModelError: If a model is missing or damaged.
            ValueError: If an array is not HxWx3 uint8.

        Example:
            >>> FaceAnalyzer().analyze(np.zeros((40, 60, 3), np.uint8))
            <Analysis of an array: 0 faces>
        """
        if isinstance(image, (str, Path)):
            return self._analyze(read_image(image), str(image))
        return self._analyze(_check_pixels(image))

    def analyze_images(
        self, images: Sequence[np.ndarray], names: Sequence[str] = ()
    ) -> list[Analysis]:
        """Analyze several decoded images; the faces of all go through the networks together.

        Args:
            images: HxWx3 RGB uint8 each, of any sizes.
            names: Of the images, for the tables; empty by default.

        Returns:
            One analysis per image, each as `analyze` returns it.

        Raises:
            ModelError: If a model is missing or damaged.
            ValueError: If an image is not HxWx3 uint8, or `names` has another length.

        Example:
            >>> black = np.zeros((40, 60, 3), np.uint8)
            >>> FaceAnalyzer().analyze_images([black, black], ["a.png", "b.png"])
            [<Analysis of a.png: 0 faces>, <Analysis of b.png: 0 faces>]
        """
        names = list(names) or [""] * len(images)
        if len(names) != len(images):
            raise ValueError(
                f"`names` must hold one name per image ({len(images)}); got {len(names)}."
            )
        checked = [_check_pixels(pixels) for pixels in images]
        found = [self.detect(pixels) for pixels in checked]
        parts = [
            self.cut(pixels, faces)
            for pixels, faces in zip(checked, found, strict=True)
            if len(faces)
        ]
        # A cropped image is a face, because the caller says so. The threshold of a doubtful face
        # was fitted on the scores of the default detector.
        scored = parts and not self.cropped and self.detector == DEFAULT_DETECTOR
        scores = np.concatenate([faces.scores for faces in found]) if scored else None
        profiles = iter(
            fuse_profiles(self.infer(parts), load_constants(), self.age_scheme, scores)
            if parts
            else ()
        )
        return [
            Analysis(name, faces, tuple(next(profiles) for _ in range(len(faces))), pixels=pixels)
            for name, faces, pixels in zip(names, found, checked, strict=True)
        ]

    def analyze_video(self, path: str | Path) -> Iterator[Analysis]:
        """Analyze a video frame by frame, while it is being read.

        Args:
            path: The file.

        Yields:
            One analysis per frame.

        Raises:
            FileNotFoundError: If there is no such file.
            VideoError: If it cannot be read, or breaks off; the frames before that point have
                been returned by then.
        """
        for index, pixels in read_frames(path):
            yield self._analyze(pixels, str(path), index)

    def _analyze(self, pixels: np.ndarray, name: str = "", frame: int | None = None) -> Analysis:
        (analysis,) = self.analyze_images([pixels], [name])
        return analysis if frame is None else replace(analysis, frame=frame)

    def _plan(self) -> list[tuple[ModelEntry, list[str]]]:
        """Return the models to run, each with the attributes that it predicts."""
        plan: dict[str, tuple[ModelEntry, list[str]]] = {}
        for name in dict.fromkeys(self.attributes):
            entry, path = find_model(name, model=self._chosen.get(name))
            if name not in entry.tasks:  # no default, but a model that has the attribute's name
                raise ModelError(f"{path}: model {entry.name!r} does not serve {name}.")
            labels = entry.tasks[name].labels
            if labels and list(labels) != list(LABELS[name]):
                raise ModelError(
                    f"{path}: the labels of {name} must be those of `facekit.taxonomy`, in the "
                    f"same order; got {', '.join(map(str, labels))}."
                )
            plan.setdefault(entry.name, (entry, []))[1].append(name)
        return list(plan.values())


def _get_form(entry: ModelEntry) -> tuple[int, int, float]:
    return entry.input["size"], entry.input["channels"], entry.input.get("scale", 1.0)


def _choose_models(
    models: Mapping[str, str] | Sequence[str], attributes: Sequence[str]
) -> dict[str, str]:
    """Return the model for each attribute that is not left to the default one."""
    if isinstance(models, str):
        raise ValueError(
            f"`models` must be a mapping of attributes to models, or a sequence of models; "
            f"got {models!r}."
        )
    if not models:
        return {}
    index = load_index()
    if isinstance(models, Mapping):
        unknown = [name for name in models if name not in ATTRIBUTES]
        if unknown:
            raise ValueError(
                f"`models` must be for {', '.join(ATTRIBUTES)}; got {', '.join(unknown)}."
            )
        return {name: index.find(name, model).name for name, model in models.items()}
    chosen: dict[str, str] = {}
    for model in models:
        if model not in index.models:
            raise ModelError(
                f"{index.path}: there is no model {model!r}; known models: "
                f"{', '.join(index.models) or 'none'}."
            )
        served = [name for name in attributes if name in index.models[model].tasks]
        if not served:
            raise ValueError(
                f"`models` must serve {', '.join(attributes)}; {model} serves "
                f"{', '.join(index.models[model].tasks) or 'nothing'}."
            )
        for name in served:
            if chosen.setdefault(name, model) != model:
                raise ValueError(
                    f"`models` must hold one model per attribute; {chosen[name]} and {model} "
                    f"both serve {name}."
                )
    return chosen


def analyze(image: str | Path | np.ndarray | Image.Image, **options) -> Analysis:
    """Detect every face of an image and predict its age, gender and emotion.

    Args:
        image: A file, HxWx3 RGB uint8, or a Pillow image.
        **options: Those of `FaceAnalyzer`.

    Returns:
        The analysis: `.to_frame()` is a table, `.draw()` an image.

    Raises:
        FileNotFoundError: If there is no such file.
        ImageError: If the file cannot be read as an image.
        ModelError: If a model is missing, damaged or not listed.
        ValueError: If an option is out of its range, or an array is not HxWx3 uint8.

    Example:
        >>> from facekit.demo import load_portraits
        >>> analysis = analyze(load_portraits()["group.jpg"])
        >>> analysis.to_frame()["face"].tolist()
        [0, 1, 2, 3, 4, 5]
    """
    return FaceAnalyzer(**options).analyze(image)


def _check_pixels(image) -> np.ndarray:
    if isinstance(image, Image.Image):
        return convert_image(image)
    pixels = np.asarray(image)
    if pixels.ndim != 3 or pixels.shape[2] != 3 or pixels.dtype != np.uint8 or 0 in pixels.shape:
        raise ValueError(
            f"`image` must be a path or HxWx3 RGB uint8; "
            f"got {pixels.dtype} of shape {pixels.shape}."
        )
    return pixels
