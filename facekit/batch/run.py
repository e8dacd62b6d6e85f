"""Analyze files one after the other, write their rows and drawings, and survive what goes wrong.

Pictures are decoded and analyzed in small groups, so that the networks work on the faces of several
pictures at once, and memory is bounded by the size of a group. A picture that fails never affects
the others of its group.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from facekit.analysis import Analysis
from facekit.batch.drawings import FilmDrawing, draw_picture, fingerprint_source
from facekit.batch.journal import Journal, get_journal_path
from facekit.batch.outputs import (
    OptionError,
    check_drawings,
    check_outputs,
    place_drawings,
)
from facekit.batch.result import BatchResult, Failure, describe_failure, write_errors
from facekit.batch.walk import InputFile, find_files
from facekit.detection import DEFAULT_DETECTOR, DetectorError
from facekit.files import describe_error, show_name
from facekit.images import read_image
from facekit.pipeline import FaceAnalyzer
from facekit.registry import ModelError
from facekit.tables import Row
from facekit.taxonomy import DEFAULT_ATTRIBUTES
from facekit.video import measure_frame_rate

# Pictures that are analyzed at once, so that the networks are busy, memory is bounded, and an
# interruption loses little work.
GROUP_PIXELS = 4_000_000
GROUP_FILES = 16


def analyze_folder(
    inputs: str | Path | Iterable[str | Path],
    output: str | Path | None = None,
    annotate: str | Path | None = None,
    errors: str | Path | None = None,
    *,
    attributes: Sequence[str] = DEFAULT_ATTRIBUTES,
    min_face_size: float = 20,
    cropped: bool = False,
    models: Mapping[str, str] | Sequence[str] = (),
    detector: str = DEFAULT_DETECTOR,
    resume: bool = False,
    progress: bool = True,
    on_rows: Callable[[Sequence[Row]], object] | None = None,
    say: Callable[[str], object] | None = None,
) -> BatchResult:
    """Analyze pictures, folders and videos, and write a table and drawings.

    All output paths are checked before any work. No file of yours is overwritten: a table replaces
    only an earlier table of facekit, a drawing only an earlier drawing of the same picture. Rows
    are kept on disk as they come: an interrupted run leaves those it has in `output`, or, if an
    earlier complete table is there, beside it for `resume`.

    Args:
        inputs: One or several pictures, folders (read with all folders in them) and videos.
        output: The table to write: `.csv`, `.parquet` or `.jsonl`. Without it, all rows are in
            memory and in the result.
        annotate: A folder for drawings of the pictures with boxes and labels.
        errors: A `.csv` file that lists the inputs that could not be read.
        attributes: Any of `taxonomy.ATTRIBUTES`.
        min_face_size: Side of the smallest face to find, in pixels.
        cropped: Whether each picture is one face already; then each gives exactly one row.
        models: Models to use in place of the default ones: names, each for every requested
            attribute that the model predicts, or for each attribute the name of a model.
        detector: What finds the faces, a key of `detection.DETECTORS`.
        resume: Whether to continue an interrupted run with the same output. Files that it finished
            are not analyzed again unless they have changed.
        progress: Whether to show a progress bar, if there are several files.
        on_rows: Called with the rows of each file as they come. Without `output`, the result then
            holds no rows.
        say: Called with each sentence for the user: what failed, what was left out, which file
            got another name. By default nothing is printed; failures are in the result.

    Returns:
        Counts, failures, and the rows or the path of the table.

    Raises:
        ValueError: If an option is out of range; `OptionError` if an output must not be
            written, a model is not listed, or the detector is unknown or cannot be used.
        ModelError: If a model is missing or damaged. The rows so far are kept.
        OSError: If the table or the list of errors cannot be written. The old file stays.

    Example:
        >>> result = analyze_folder("no such photo.jpg", progress=False)
        >>> result.failures[0].error
        'no such photo.jpg: no such file; check the spelling.'
        >>> result.to_frame().shape
        (0, 36)
    """
    given = [inputs] if isinstance(inputs, (str, Path)) else inputs
    names = [os.fspath(name) for name in given]
    table, folder, list_path = (Path(path) if path else None for path in (output, annotate, errors))
    analyzer = _open_analyzer(attributes, min_face_size, cropped, models, detector)
    if resume and table is None:
        raise OptionError("resume", "Only a run with an output can be resumed; name the output.")
    check_outputs(names, table, folder, list_path)
    run = _Run(analyzer, table, list_path, on_rows, say)
    files = find_files(names, run.fail, run.say)
    places: Sequence[Path | None] = [None] * len(files)
    if folder:
        places = drawn = place_drawings(files, folder, run.say)
        check_drawings(drawn, folder, table, list_path)
    options = {
        "attributes": list(attributes),
        "min_face_size": min_face_size,
        "cropped": cropped,
        "models": dict(models) if isinstance(models, Mapping) else list(models),
        "detector": detector,
        "annotate": fingerprint_source(str(folder)) if folder else None,
    }
    run.open_journal(options, files if resume else None)
    try:
        jobs = [job for job in zip(files, places, strict=True) if not run.is_finished(job[0])]
        for file, place in _show_progress(jobs) if progress and len(jobs) > 1 else jobs:
            run.add(file, place, progress)
        run.flush()
        run.is_complete = True
    finally:  # an interrupted run keeps what it has
        run.finish()
    return BatchResult(run.files, run.faces, tuple(run.failures), table, tuple(run.rows))


def _show_progress(jobs: list) -> Iterable:
    from tqdm.auto import tqdm  # imports asyncio, which one photo need not wait for

    return tqdm(jobs, "analyzing", unit="file", disable=None, leave=False)


def _open_analyzer(
    attributes: Sequence[str],
    min_face_size: float,
    cropped: bool,
    models: Mapping[str, str] | Sequence[str],
    detector: str,
) -> FaceAnalyzer:
    try:
        return FaceAnalyzer(attributes, min_face_size, cropped, models=models, detector=detector)
    except ModelError as error:
        raise OptionError("model", str(error)) from None
    except DetectorError as error:
        raise OptionError("detector", str(error)) from None


class _Run:
    """The state of a run."""

    def __init__(
        self,
        analyzer: FaceAnalyzer,
        output: Path | None,
        errors: Path | None,
        on_rows: Callable[[Sequence[Row]], object] | None,
        say: Callable[[str], object] | None,
    ) -> None:
        self.files = self.faces = 0
        self.failures: list[Failure] = []
        self.rows: list[Row] = []
        self.is_complete = False
        self._analyzer, self._output, self._errors = analyzer, output, errors
        self._on_rows, self._say = on_rows, say
        self._journal: Journal | None = None
        self._is_disk_full = False
        self._has_earlier_table = False
        self._group: list[tuple[InputFile, Path | None, np.ndarray]] = []

    def say(self, sentence: str) -> None:
        """Pass a sentence on to the user."""
        if self._say:
            self._say(show_name(sentence))

    def fail(self, name: str, error: Exception) -> None:
        """Note that an input could not be read, or its drawing not be written."""
        self.failures.append(describe_failure(name, error))
        self.say(self.failures[-1].error)

    # === The rows ===

    def open_journal(self, options: dict[str, Any], resume: Sequence[InputFile] | None) -> None:
        """Prepare to keep rows on disk, if there is an output."""
        if self._output is None:
            return
        # A table with a journal beside it is that of an interrupted run.
        has_table = self._output.exists() and self._output.stat().st_size > 0
        self._has_earlier_table = has_table and not get_journal_path(self._output).exists()
        self._journal = Journal(self._output, options, resume)
        if resume is not None:
            for _, rows in self._journal.read_rows():
                self.faces += len(rows)
                if self._on_rows:
                    self._on_rows(rows)
            count = self._journal.finished.total()
            self.say(f"{count} of {len(resume)} files were finished before; continuing.")

    def is_finished(self, file: InputFile) -> bool:
        """Return whether an interrupted run has analyzed a file, and count it if so."""
        if self._journal is None or not self._journal.finished[file.name, file.stamp]:
            return False
        self._journal.finished[file.name, file.stamp] -= 1
        self.files += 1
        return True

    def _take(self, rows: list[Row]) -> None:
        self.faces += len(rows)
        if self._journal is not None:
            self._journal.write(rows)
        elif self._on_rows is None:
            self.rows += rows
        if self._on_rows and rows:
            self._on_rows(rows)

    def _start(self, file: InputFile) -> None:
        if self._journal is not None:
            self._journal.start(file)

    def _end(self, complete: bool) -> None:
        if self._journal is None:
            return
        self._journal.end(complete)
        if self._journal.failure and not self._is_disk_full:
            self._is_disk_full = True
            self.say(
                f"{describe_error(self._journal.failure)}; the rows wait in memory until there is "
                "space."
            )

    # === The files ===

    def add(self, file: InputFile, place: Path | None, progress: bool) -> None:
        """Analyze a video; read a picture, and analyze it once its group is full."""
        if file.is_video:
            self.flush()
            self._analyze_video(file, place, progress)
            return
        try:
            pixels = read_image(file.name)
        except Exception as error:  # whatever a decoder raises, the other files are read
            self.fail(file.name, error)
            return
        if sum(pixels.size for *_, pixels in self._group) + pixels.size > 3 * GROUP_PIXELS:
            self.flush()
        self._group.append((file, place, pixels))
        if len(self._group) == GROUP_FILES:
            self.flush()

    def flush(self) -> None:
        """Analyze the pictures that were read."""
        group, self._group = self._group, []
        if not group:
            return
        analyses: Sequence[Analysis | Exception]
        try:
            analyses = self._analyze(group)
        except ModelError:  # no other file would fare better
            raise
        except Exception:  # one of them cannot be analyzed: find out which
            analyses = [self._analyze_alone(entry) for entry in group]
        while group:
            file, place, _ = group.pop(0)
            analysis, *analyses = analyses
            if isinstance(analysis, Exception):
                self.fail(file.name, analysis)
                continue
            self.files += 1
            self._start(file)
            self._take(analysis.to_dicts())
            self._end(self._draw(analysis, file, place))

    def _analyze(
        self, group: Sequence[tuple[InputFile, Path | None, np.ndarray]]
    ) -> list[Analysis]:
        return self._analyzer.analyze_images(
            [pixels for *_, pixels in group], [file.name for file, *_ in group]
        )

    def _analyze_alone(
        self, entry: tuple[InputFile, Path | None, np.ndarray]
    ) -> Analysis | Exception:
        try:
            return self._analyze([entry])[0]
        except ModelError:
            raise
        except Exception as error:
            return error

    def _draw(self, analysis: Analysis, file: InputFile, place: Path | None) -> bool:
        try:
            if place is not None:
                draw_picture(analysis, place)
        except Exception as error:  # the rows are worth more than the drawing
            self._fail_drawing(file, place, error)
            return False
        return True

    def _fail_drawing(self, file: InputFile, place: Path | None, error: Exception) -> None:
        message = describe_error(error)
        shown = show_name(str(place))
        if shown not in message:
            message = f"{shown}: {message}"
        self.fail(file.name, OSError(f"{message} (the drawing of {file.name})"))

    def _analyze_video(self, file: InputFile, place: Path | None, progress: bool) -> None:
        failures: list[Exception] = []
        drawing_failures: list[Exception] = []
        count = 0
        try:
            rate = measure_frame_rate(file.name) if place else 0.0
            frames = iter(self._analyzer.analyze_video(file.name))
            if progress:
                frames = _show_frames(frames, file)
        except Exception as error:
            self.fail(file.name, error)
            return
        self._start(file)
        with FilmDrawing(place, file.name, rate, drawing_failures.append) as drawing:
            while True:
                try:
                    analysis = next(frames, None)
                except ModelError:
                    raise
                except Exception as error:  # the frames before it are kept
                    failures.append(error)
                    break
                if analysis is None:
                    break
                count += 1
                self._take(analysis.to_dicts())
                drawing.write(analysis)
        for failure in failures:
            self.fail(file.name, failure)
        for failure in drawing_failures:
            self._fail_drawing(file, place, failure)
        self.files += count > 0 or not failures
        self._end(not failures and not drawing_failures)

    # === The end ===

    def finish(self) -> None:
        """Write the table and the list of errors; each is written even if the other fails."""
        try:
            if self._journal is not None:
                self._write_table(self._journal)
        except BaseException:
            try:
                self._write_errors()
            except OSError as error:  # the table's failure is raised, so this one is said
                self.say(describe_error(error))
            raise
        self._write_errors()

    def _write_table(self, journal: Journal) -> None:
        assert self._output is not None
        keeps_earlier = self._has_earlier_table and not (self.is_complete and self.files)
        try:
            if not keeps_earlier:
                journal.save()
        except OSError as error:
            reason = error.strerror or str(error)
            if journal.has_finished:
                reason += f"; {_describe_rest(journal)}"
            journal.close(keep=journal.has_finished)
            raise OSError(error.errno, reason, str(self._output)) from error
        if not self.is_complete:
            kept = "the table of an earlier run" if keeps_earlier else "the rows so far"
            rest = _describe_rest(journal) if journal.has_finished else "no file was finished."
            self.say(f"Stopped early: {self._output} holds {kept}; {rest}")
        elif keeps_earlier:
            self.say(f"{self._output} keeps the table of an earlier run: no input was read.")
        journal.close(keep=not self.is_complete and journal.has_finished)

    def _write_errors(self) -> None:
        if self._errors is not None:
            write_errors(self.failures, self._errors)


def _describe_rest(journal: Journal) -> str:
    return f"{journal.path} keeps what is done. Repeat the command with --resume to continue."


def _show_frames(frames, file: InputFile):
    from tqdm.auto import tqdm

    name = show_name(Path(file.name).name)
    return iter(tqdm(frames, name, unit="frame", disable=None, leave=False))
