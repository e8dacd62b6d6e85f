"""Embed the faces of folders, and group them by person.

Embeddings are biometric data. They are written only to the file that you name, and only when you
name one.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from facekit.batch.outputs import check_outputs
from facekit.batch.result import Failure
from facekit.batch.run import describe_failure, write_errors
from facekit.batch.walk import find_files
from facekit.embedding import Embeddings, Picture, embed, get_thresholds, group_vectors
from facekit.files import replace_file, show_name
from facekit.registry import ModelError

if TYPE_CHECKING:
    import pandas as pd

SUFFIX = ".parquet"
MARK = {b"facekit": b"embeddings"}  # in the metadata of a file that facekit wrote


@dataclass(frozen=True, eq=False)
class PeopleResult:
    """What was embedded.

    Attributes:
        table: One row per face: `image, face, x1, y1, x2, y2, score, embedding`, and `person` if
            faces were grouped.
        model: Name of the model.
        files: Number of images that were read.
        failures: Inputs that could not be read.

    Example:
        >>> embed_folder("no such folder.jpg").failures[0].image
        'no such folder.jpg'
    """

    table: pd.DataFrame
    model: str
    files: int
    failures: tuple[Failure, ...] = ()


def embed_folder(
    inputs: str | Path | Iterable[str | Path],
    output: Path | None = None,
    errors: Path | None = None,
    *,
    model: str | None = None,
    cropped: bool = False,
    min_face_size: float = 20,
    group: bool = False,
    progress: bool = False,
    say: Callable[[str], object] | None = None,
) -> PeopleResult:
    """Embed all faces of images and folders; films are left out.

    Args:
        inputs: Images and folders, which are read with all folders in them.
        output: The `.parquet` file to write. Without it, nothing is stored. It may replace an
            earlier file of embeddings, and nothing else.
        errors: A `.csv` file that lists the inputs that could not be read.
        model: As for `embedding.embed`.
        cropped: As for `embedding.embed`.
        min_face_size: As for `embedding.embed`.
        group: Whether to add a column `person`: the number of the person, from 0 up, in the order
            in which people first appear. Numbers hold for this table only.
        progress: Whether to show a progress bar.
        say: Called with each sentence for the user.

    Returns:
        The table, and what failed. Stopped early (Ctrl-C), the faces so far are written, unless
        an earlier file would be replaced.

    Raises:
        OptionError: If an output must not be written.
        ModelError: If the model is not listed, missing or damaged, or, to group, has no thresholds.
        OSError: If a file cannot be written.

    Example:
        >>> import tempfile
        >>> from PIL import Image
        >>> from facekit.demo import load_portraits
        >>> folder = Path(tempfile.mkdtemp())
        >>> Image.fromarray(load_portraits()["group.jpg"]).save(folder / "group.png")
        >>> len(embed_folder(folder).table)
        6
    """
    names = [os.fspath(each) for each in ([inputs] if isinstance(inputs, str | Path) else inputs)]
    check_outputs(names, output, None, errors, (SUFFIX,), is_embeddings_table)
    if group:
        _check_grouping(model)
    failures: list[Failure] = []

    def tell(sentence: str) -> None:
        if say:
            say(show_name(sentence))

    def fail(name: str, error: Exception) -> None:
        failures.append(describe_failure(name, error))
        tell(failures[-1].error)

    files = find_files(names, fail, tell)
    parts: list[Embeddings] = []
    complete = False
    try:
        for file in _show_progress(files) if progress and len(files) > 1 else files:
            if file.is_video:
                fail(file.name, ValueError(f"{file.name}: films are not embedded; give images."))
                continue
            try:
                part = embed(file.name, model=model, cropped=cropped, min_face_size=min_face_size)
            except ModelError:  # no other file would fare better
                raise
            except Exception as error:  # whatever a decoder raises, the other files are read
                fail(file.name, error)
                continue
            parts.append(part)
        complete = True
    finally:
        result = _make_result(parts, failures, model, group)
        if output is not None and (complete or not _holds_rows(output)):
            write_embeddings(result.table, result.model, output)
            if not complete:
                tell(f"Stopped early: {output} holds the faces of {result.files} images.")
        elif output is not None:
            tell(f"Stopped early: {output} keeps the faces of an earlier run.")
        if errors is not None:
            write_errors(failures, errors)
    return result


def group_faces(
    images: str | Path | Sequence[Picture] | Embeddings,
    *,
    threshold: float | None = None,
    model: str | None = None,
    cropped: bool = False,
    min_face_size: float = 20,
) -> pd.DataFrame:
    """Find out which faces of some images, or of a folder, are of the same person.

    Two faces of one image are never of one person.

    Args:
        images: A folder, an image, several images, or embeddings.
        threshold: Mean Euclidean distance up to which groups of faces are one person's. By default
            that up to which `verify` answers "same person".
        model: As for `embedding.embed`; not for embeddings.
        cropped: As for `embedding.embed`; not for embeddings.
        min_face_size: As for `embedding.embed`; not for embeddings.

    Returns:
        One row per face: `image, face, x1, y1, x2, y2, score, person`. `person` counts from 0 in
        the order in which people first appear; names are not known, and not looked for.

    Raises:
        FileNotFoundError: If there is no such file.
        ImageError: If an image cannot be read.
        ModelError: If the model is not listed, missing, damaged, or has no thresholds.
        ModuleNotFoundError: If scikit-learn is not installed: `pip install 'facekit[groups]'`.

    Example:
        >>> from facekit.demo import load_portraits
        >>> photo = load_portraits()["astronaut.png"]
        >>> group_faces([photo, photo[:, ::-1]])["person"].tolist()
        [0, 0]
    """
    if not isinstance(images, Embeddings):
        found: Picture | Sequence[Picture] = images
        if isinstance(images, str | Path) and Path(images).is_dir():
            found = [file.name for file in find_files([os.fspath(images)], _raise, lambda _: None)]
        images = embed(found, model=model, cropped=cropped, min_face_size=min_face_size)
    if threshold is None:
        threshold = get_thresholds(images.model)[0]
    table = images.to_frame().drop(columns="embedding")
    return table.assign(person=group_vectors(images.vectors, threshold, images.images))


def _raise(name: str, error: Exception) -> None:
    raise error


def _check_grouping(model: str | None) -> None:
    """Fail before the work rather than after it."""
    get_thresholds(model)
    import sklearn.cluster  # noqa: F401


def _make_result(
    parts: Sequence[Embeddings], failures: list[Failure], model: str | None, group: bool
) -> PeopleResult:
    import pandas as pd

    empty = embed([], model=model)
    table = pd.concat([part.to_frame() for part in (empty, *parts) if len(part) or part is empty])
    table = table.reset_index(drop=True)
    if group:
        vectors = np.array(table["embedding"].tolist(), np.float32).reshape(len(table), -1)
        people = group_vectors(vectors, get_thresholds(model)[0], table["image"].tolist())
        table.insert(len(table.columns) - 1, "person", people)
    table["image"] = [show_name(name) for name in table["image"]]
    return PeopleResult(table, empty.model, len(parts), tuple(failures))


def write_embeddings(table: pd.DataFrame, model: str, path: Path) -> None:
    """Write a table of embeddings as Parquet, with the name of the model in its metadata.

    Args:
        table: With a column `embedding`.
        model: Name of the model.
        path: The file.

    Raises:
        OSError: If it cannot be written.
    """
    import pyarrow
    from pyarrow import parquet

    arrow = pyarrow.Table.from_pandas(table, preserve_index=False)
    arrow = arrow.set_column(
        arrow.schema.get_field_index("embedding"),
        "embedding",
        pyarrow.array(table["embedding"].tolist(), pyarrow.list_(pyarrow.float32())),
    )
    metadata = {**(arrow.schema.metadata or {}), **MARK, b"model": model.encode()}
    with replace_file(path) as temporary:
        parquet.write_table(arrow.replace_schema_metadata(metadata), temporary, compression="zstd")


def is_embeddings_table(path: Path) -> bool:
    """Return whether a file is empty, or a table of embeddings that facekit wrote.

    Raises:
        OSError: If the file cannot be read.
    """
    if path.stat().st_size == 0:
        return True
    import pyarrow
    from pyarrow import parquet

    try:
        return MARK.items() <= (parquet.read_schema(path).metadata or {}).items()
    except pyarrow.ArrowInvalid:
        return False


def _holds_rows(path: Path) -> bool:
    return path.exists() and path.stat().st_size > 0


def _show_progress(files: list) -> Iterable:
    from tqdm.auto import tqdm

    return tqdm(files, "embedding", unit="file", disable=None, leave=False)
