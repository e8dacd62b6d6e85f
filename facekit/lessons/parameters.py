"""Check the parameters of a lesson, so that a wrong one gives one sentence that names it.

Lessons are run by hand, or by papermill with `-p NAME VALUE`. Their parameters share names, so each
name has one rule here. Images and videos are opened once, so that the errors of `images` and
`video` come out under the name of the parameter.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

from facekit.datasets.catalogue import CATALOGUE, DATASETS
from facekit.images import read_image
from facekit.reports.parameters import ParameterError
from facekit.taxonomy import ATTRIBUTES, ETHNICITIES
from facekit.video import open_video

LARGEST_SEED = 4_000_000_000  # NumPy and Keras take 32 bits; some lessons add to the seed
SMALLEST_FACE = 12  # pixels; the first network of MTCNN sees no smaller face
# The least value of each number, the greatest one, and whether it must be whole.
NUMBERS: dict[str, tuple[float, float, bool]] = {
    "seed": (0, LARGEST_SEED, True),
    "count": (1, math.inf, True),
    "few": (1, math.inf, True),
    "at_most": (1, math.inf, True),
    "people": (1, math.inf, True),
    "photos": (1, math.inf, True),
    "epochs": (1, math.inf, True),
    "bins": (1, math.inf, True),
    "face": (0, math.inf, True),
    "min_face_size": (SMALLEST_FACE, math.inf, False),
    "seconds": (0.1, math.inf, False),
    "rare_share": (0, 1, False),
}
CHOICES: dict[str, tuple[str, ...]] = {
    "attribute": ("emotion", "gender", "ethnicity"),
    "label": ("emotion", "gender", "ethnicity"),
    "rare_label": ETHNICITIES,
}
MODEL_FILES = (  # what lessons read from a folder of models
    "fusion.json",
    *(f"{name}/predictions.parquet" for name in ("age", "gender", "emotion")),
)


def check_parameters(
    *, least: Mapping[str, float] | None = None, allow_zero: bool = False, **parameters: object
) -> None:
    """Check the parameters of a lesson by the rules of their names.

    Args:
        least: Least values that replace those of `NUMBERS`, by name.
        allow_zero: Whether a `count` of 0, which stands for all faces of a dataset, is allowed.
        **parameters: The values by name.

    Raises:
        ParameterError: If a value has the wrong type, is out of its range, or names a file, folder
            or dataset that cannot be read. The message names the parameter.

    Example:
        >>> check_parameters(seed=0, count=600, dataset="synthetic")
        >>> check_parameters(seed="first")
        Traceback (most recent call last):
        ...
        facekit.reports.parameters.ParameterError: `seed` must be a whole number from 0 to ...
    """
    for name, value in parameters.items():
        if name in NUMBERS:
            zero = allow_zero and name == "count" and type(value) is int and value == 0
            if not zero:
                _check_number(name, value, (least or {}).get(name))
        elif name in CHOICES:
            _check_choice(name, value)
        elif name == "attributes":
            _check_attributes(value)
        else:
            text = _check_text(name, value)
            try:
                if name == "photo" and text:
                    read_image(text)
                elif name == "source" and text:
                    open_video(text).release()
                elif name == "models" and text:
                    _check_models(Path(text))
                elif name.endswith("dataset"):
                    _check_dataset(text, str(parameters.get("data_dir", "")))
            except (ValueError, OSError) as error:
                raise name_parameter(name, error) from None


def name_parameter(name: str, error: Exception) -> ParameterError:
    """Return an error of another module as the error of a parameter.

    Example:
        >>> name_parameter("photo", ValueError("a.jpg: has no pixels"))
        ParameterError('`photo` cannot be used: a.jpg: has no pixels')
    """
    return ParameterError(f"`{name}` cannot be used: {error}")


def require_faces(count: int, parameter: str = "photo", at_least: int = 1) -> None:
    """Stop a lesson that needs faces where too few were found.

    Args:
        count: Number of faces found.
        parameter: Name of the parameter that chose the photo or the film.
        at_least: Number of faces that the lesson needs.

    Raises:
        ParameterError: If there are fewer faces.

    Example:
        >>> require_faces(6, "photo")
    """
    if count < at_least:
        found = "no face was found" if count == 0 else f"only {count} found"
        needed = "1 face" if at_least == 1 else f"{at_least} faces"
        raise ParameterError(
            f"`{parameter}` must show at least {needed} for this lesson; {found}. "
            "Choose another file, with larger faces that look at the camera."
        )


def require_frames(count: int, at_least: int, parameter: str = "source") -> None:
    """Stop a lesson whose film is too short for it.

    Args:
        count: Number of frames in the film.
        at_least: Number of frames that the lesson needs.
        parameter: Name of the parameter that chose the film.

    Raises:
        ParameterError: If there are fewer frames.

    Example:
        >>> require_frames(100, at_least=32)
    """
    if count < at_least:
        raise ParameterError(
            f"`{parameter}` must be a film of at least {at_least} frames for this lesson; it has "
            f"{count}. Choose a longer film."
        )


def require_index(index: int, count: int, parameter: str = "face") -> None:
    """Stop a lesson that looks at one face of a photo where the photo has no such face.

    Args:
        index: Value of the parameter, counted from 0.
        count: Number of faces found.
        parameter: Name of the parameter.

    Raises:
        ParameterError: If the index is not below the number of faces.

    Example:
        >>> require_index(5, count=6)
    """
    if not 0 <= index < count:
        raise ParameterError(
            f"`{parameter}` must be from 0 to {count - 1}, because the photo has {count} "
            f"{'face' if count == 1 else 'faces'}; got {index}."
        )


def _check_number(name: str, value: object, own_least: float | None) -> None:
    least, most, whole = NUMBERS[name]
    least = least if own_least is None else own_least
    fits = isinstance(value, int if whole else (int, float)) and not isinstance(value, bool)
    if not (fits and math.isfinite(value) and least <= value <= most):  # type: ignore[arg-type, operator]
        kind = "a whole number" if whole else "a number"
        bounds = f"of {least:,} or more" if most == math.inf else f"from {least:,} to {most:,}"
        raise ParameterError(f"`{name}` must be {kind} {bounds}; got {value!r}.")


def _check_choice(name: str, value: object) -> None:
    if value not in CHOICES[name]:
        raise ParameterError(f"`{name}` must be one of {', '.join(CHOICES[name])}; got {value!r}.")


def _check_text(name: str, value: object) -> str:
    if not isinstance(value, (str, Path)):
        raise ParameterError(f"`{name}` must be text in quotes; got {value!r}.")
    return str(value)


def _check_attributes(value: object) -> None:
    names = value.split(",") if isinstance(value, str) else []
    if not names or any(name not in ATTRIBUTES for name in names):
        raise ParameterError(
            f"`attributes` must be text that lists some of {', '.join(ATTRIBUTES)}, separated by "
            f"commas and without spaces; got {value!r}."
        )


def _check_models(folder: Path) -> None:
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder}: no such folder; check the spelling.")
    missing = [name for name in MODEL_FILES if not (folder / name).is_file()]
    if missing:
        raise FileNotFoundError(f"{folder}: the folder lacks {', '.join(missing)}.")


def _check_dataset(name: str, data_dir: str) -> None:
    if name == "synthetic":
        return
    if name.lower().endswith((".csv", ".parquet")):
        if not Path(name).is_file():
            raise FileNotFoundError(f"{name}: no such file; check the spelling.")
        return
    if name not in DATASETS:
        raise ValueError(
            f"{name!r} is not a dataset. Choose synthetic, "
            f"{', '.join(each.name for each in CATALOGUE)}, or the path of a table of your own."
        )
    dataset = DATASETS[name]
    folder = Path(data_dir, dataset.folder)
    if not folder.is_dir():
        raise FileNotFoundError(
            f"{folder}: no such folder. Download {name} from {dataset.source} (see data/README.md)"
            ", or set `data_dir`."
        )
