"""The images of an imported run: which of them a journal lacks, and their events, which are those of `log_image`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from journal.encoding import storable
from journal.ids import digest
from journal.kinds import MEDIA
from journal.quantities import readable
from journal.sessions.identity import Draft
from journal.writing.past_runs import PastRun
from journal.writing.payloads import drafts
from uploader.importing.imported_run import IMAGE, ImportedRun, Problem, RunFile
from uploader.importing.past_events import PastEvents
from uploader.importing.readers.named_files import shown_names
from uploader.live.images import LARGEST_IMAGE, image_content, medium


@dataclass(frozen=True)
class LackingImage:
    """An image that a journal lacks.

    Attributes:
        file: Where it is.
        step: The step that it is told with.
        sha256: Of the text that holds its bytes.
        size: How many characters that has.
    """

    file: RunFile
    step: int
    sha256: str
    size: int

    def drafts(self, at: str) -> list[Draft]:
        """Return its event.

        Args:
            at: When it was logged.

        Raises:
            OSError: It cannot be read any more.
            ValueError: It is no image any more.
        """
        return drafts(MEDIA, *medium(_name(self.file), self.step, image_content(_source(self.file))), at)


@dataclass
class Room:
    """How much more a journal may hold.

    Attributes:
        limit: What it may hold in all, in bytes.
        left: How much of it is left.
    """

    limit: int
    left: int


def lacking_images(run: ImportedRun, past: PastRun) -> tuple[list[LackingImage], list[Problem]]:
    """Return the images that a journal lacks of a run, and what of its images are none, or too large.

    One whose step no file tells is told with the last step; it is not told again when the run has grown since.
    """
    last = run.steps[-1].number if run.steps else 0
    images = [file for file in run.files if file.role == IMAGE]
    by_step: dict[tuple[str, int], RunFile] = {}
    for file in images:
        step = _step(file)
        by_step[_name(file), last if step is None else step] = file
    found: list[LackingImage] = []
    refused: dict[tuple[str, bool], list[str]] = {}
    for (name, step), file in by_step.items():
        try:
            text = image_content(_source(file))["data"]
        except (OSError, ValueError) as error:
            refused.setdefault(_why(error), []).append(name)
            continue
        image = LackingImage(file, step, digest(text), len(text))
        if not _is_known(image, past):
            found.append(image)
    return found, [Problem(shown_names(names), why, is_left_out=no) for (why, no), names in refused.items()]


def image_events(
    images: Sequence[LackingImage], events: PastEvents, room: Room, missed: list[Problem]
) -> Iterator[Draft]:
    """Yield the events of images, one read after the other, as far as there is room for them.

    Args:
        images: From `lacking_images`.
        events: Knows the times of the run's steps.
        room: What the journal has; gets less.
        missed: Gets each that is not taken in.
    """
    for image in images:
        why = f"the journal would exceed its limit of {readable(room.limit)} (UPLOADER_MAX_SIZE)"
        if image.size <= room.left:
            try:
                yield from image.drafts(events.time_of(image.step))
            except (OSError, ValueError) as error:
                why = str(error)
            else:
                room.left -= image.size
                continue
        missed.append(Problem(_name(image.file), f"{why}; it was left out, and the next import takes it in"))


def _is_known(image: LackingImage, past: PastRun) -> bool:
    name = _name(image.file)
    if _step(image.file) is not None:
        return past.images.get((name, str(image.step))) == image.sha256
    return any(known == name and sha256 == image.sha256 for (known, _), sha256 in past.images.items())


def _step(file: RunFile) -> int | None:
    """Return the step that is told of an image, None where none is, or one that no run here has."""
    return file.step if isinstance(file.step, int) and file.step >= 0 else None


def _name(file: RunFile) -> str:
    return storable(file.shown_as)


def _source(file: RunFile) -> Path | bytes:
    """Return what `image_content` takes: a file, or the bytes of an image within one."""
    if file.span is None:
        return file.path
    first, length = file.span
    with file.path.open("rb") as opened:
        opened.seek(first)
        return opened.read(min(length, LARGEST_IMAGE + 1))


def _why(error: Exception) -> tuple[str, bool]:
    """Return why an image does not come in, and whether nothing is wrong with it."""
    is_read = isinstance(error, ValueError)
    return (f"not taken in: {error}", True) if is_read else (f"cannot be read: {error}", False)
