"""What a journal lacks of an imported run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from journal.checkpoints.blobs import digest as file_digest
from journal.kinds import COMPLETE, FAILED, FINAL
from journal.quantities import count
from journal.sessions.identity import Draft
from journal.sessions.lost_epochs import TrainedEpoch, TrainerRecord
from journal.writing.past_runs import PastRun
from uploader.importing.imported_images import LackingImage, lacking_images
from uploader.importing.imported_run import CHECKPOINT_ROLES, OTHER, ImportedRun, Problem, RunFile
from uploader.importing.past_events import PastEvents, in_order
from uploader.importing.readers.named_files import shown_names
from uploader.live.logged_values import logged


@dataclass(frozen=True)
class Lacking:
    """What the journal lacks of a run, as it is to be written.

    Attributes:
        steps: Each step.
        lost: Epochs of a run that was recorded, as its trainer's record tells of them.
        others: What was printed, how busy the machine was, and what was said of the run as a whole.
        images: Each image.
        refused: What of the images is none, or is too large.
        is_beside_recording: Whether a training recorded some of the run, so that images go beside its sessions: one of
            their own would stand for a training that went on.
        checkpoints: Each with the sha256 of its bytes.
        end: Its end.
    """

    steps: Sequence[list[Draft]] = ()
    lost: TrainerRecord = field(default_factory=TrainerRecord)
    others: Sequence[list[Draft]] = ()
    images: Sequence[LackingImage] = ()
    refused: Sequence[Problem] = ()
    is_beside_recording: bool = False
    checkpoints: Sequence[tuple[RunFile, str]] = ()
    end: Sequence[Draft] = ()

    @property
    def before_checkpoints(self) -> list[Draft]:
        """All but the end."""
        return [draft for group in (*self.steps, *self.others) for draft in group]

    @property
    def needs_session(self) -> bool:
        """Whether there is more than what is told beside a recording."""
        images = self.images if not self.is_beside_recording else ()
        return bool(self.steps or self.others or images or self.checkpoints or self.end)


def lacking_of(run: ImportedRun, past: PastRun, events: PastEvents) -> Lacking:
    """Return what a journal lacks of a run."""
    checkpoints = [(file, sha) for file in in_order(_weights(run)) if (sha := _new_bytes(file, past)) is not None]
    end = events.end()
    images, refused = lacking_images(run, past)
    if past.is_recorded:
        epochs = [
            TrainedEpoch(each.number, logged(each.values).metrics, run.steps_from, at=each.at) for each in run.steps
        ]
        has_end = any((kind, "") in past.told for kind in (COMPLETE, FAILED))
        has_result = any(role == FINAL for role, _ in past.checkpoints)
        missing = [] if has_end and has_result else checkpoints
        return Lacking(
            lost=TrainerRecord(epochs),
            images=images,
            refused=refused,
            is_beside_recording=True,
            checkpoints=missing,
            end=() if has_end else end,
        )
    steps = [group for group in events.steps() if _is_new(group, past)]
    told_once = [*events.samples(), *events.summary()]
    others = [*events.console(past.console), *(group for group in told_once if _is_new(group, past))]
    is_changed = bool(steps or images or checkpoints) or (bool(end) and _is_new(end, past))
    return Lacking(
        steps,
        others=others,
        images=images,
        refused=refused,
        checkpoints=checkpoints,
        end=end if is_changed else (),
    )


def all_problems(run: ImportedRun) -> list[Problem]:
    """Return what of a run does not come in, with files that a run has no place for."""
    files = [file.path.name for file in run.files if file.role == OTHER]
    why = f"not taken in: {count(len(files), 'other file')}"
    return [*run.problems, *([Problem(shown_names(files), why, is_left_out=True)] if files else [])]


def _weights(run: ImportedRun) -> list[RunFile]:
    return [file for file in run.files if file.role in CHECKPOINT_ROLES]


def _new_bytes(file: RunFile, past: PastRun) -> str | None:
    """Return the sha256 of a checkpoint that the journal does not have in its role; None if it has, or it is gone."""
    sha256 = file_digest(file.path)
    return None if sha256 is None or (file.role, sha256) in past.checkpoints else sha256


def _is_new(group: Sequence[Draft], past: PastRun) -> bool:
    kind, key, payload, _ = group[-1]
    return past.told.get((kind, key)) != payload
