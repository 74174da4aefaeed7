"""Machines that vanish: how each is recognised, and what becomes of its folders. Each row names its source.

All of it is data: `place.py` looks, and applies the rows. Where a platform's words are not clear, the row says
less: a folder that is said to last and does not costs somebody their results.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum


class Outlasts(IntEnum):
    """What files outlast; each value includes those before it."""

    PROCESS = 1
    """A restarted kernel, a killed training."""
    SESSION = 2
    """The end of the session, job or container; on a machine of one's own, a restart."""
    MACHINE = 3
    """The machine and its disk."""


@dataclass(frozen=True)
class Keeping:
    """What becomes of a folder's files.

    Attributes:
        folder: Its path; empty for the rest of the machine's disk.
        outlasts: What they outlast.
        why: A clause that says what the folder is.
        if_there: Whether that is true only where the platform has made the folder.
        is_copied: Whether its files are kept by copying them away while they may change, which a database does not
            survive.
        if_saved: Whether they are kept only if a person has them kept.
    """

    folder: str
    outlasts: Outlasts
    why: str
    if_there: bool = False
    is_copied: bool = False
    if_saved: bool = False


@dataclass(frozen=True)
class Machine:
    """A kind of machine.

    Attributes:
        name: For programs.
        title: For people.
        ends: What takes files away there, short of losing the machine.
        disk: What becomes of the rest of its disk; None where the mount decides.
        folders: Folders that are kept longer, or not as long.
        signs: Environment variables, of which one is enough to recognise it.
        marks: Files, of which one is enough.
        temporary: Environment variables that name a folder that is deleted at the end.
        source: The page that says so.
    """

    name: str
    title: str
    ends: str
    disk: Keeping | None = None
    folders: tuple[Keeping, ...] = ()
    signs: tuple[str, ...] = ()
    marks: tuple[str, ...] = ()
    temporary: tuple[str, ...] = ()
    source: str = ""

    @property
    def is_lent(self) -> bool:
        """Whether it is taken away by somebody else, with all that was not carried off."""
        return bool(self.signs or self.marks) and self.name != CONTAINER.name


def _disk(why: str) -> Keeping:
    return Keeping("", Outlasts.PROCESS, why)


KAGGLE = Machine(
    "kaggle",
    "a Kaggle notebook",
    "the end of the session",
    _disk("the session's own disk, which is deleted with it"),
    (
        Keeping(
            "/kaggle/working",
            Outlasts.PROCESS,
            "kept only as the output of a saved version (20 GB at most), or for the next interactive session if "
            "persistence of files was switched on before",
            if_saved=True,
        ),
        Keeping("/kaggle/input", Outlasts.MACHINE, "data that was added to the notebook, which cannot be written"),
    ),
    signs=("KAGGLE_KERNEL_RUN_TYPE",),
    source="https://www.kaggle.com/docs/notebooks",
)
COLAB = Machine(
    "colab",
    "a Colab session",
    "the end of the session",
    _disk("the disk of a virtual machine that is deleted when it has been idle, or has reached its maximum lifetime"),
    signs=("COLAB_RELEASE_TAG", "COLAB_BACKEND_VERSION"),
    source="https://research.google.com/colaboratory/faq.html",
)
SAGEMAKER_JOB = Machine(
    "sagemaker-job",
    "a SageMaker training job",
    "the end of the job",
    _disk("the job's own disk, which is deleted with it"),
    (
        Keeping(
            "/opt/ml/checkpoints",
            Outlasts.MACHINE,
            "copied to S3 while the job runs, as it has a checkpoint configuration with the usual folder",
            if_there=True,
            is_copied=True,
        ),
        Keeping("/opt/ml/output/data", Outlasts.SESSION, "copied to S3 when the job ends", is_copied=True),
        Keeping("/opt/ml/model", Outlasts.SESSION, "copied to S3 when the job ends", is_copied=True),
    ),
    signs=("SM_TRAINING_ENV", "TRAINING_JOB_ARN"),
    source="https://docs.aws.amazon.com/sagemaker/latest/dg/model-train-storage.html",
)
SAGEMAKER_NOTEBOOK = Machine(
    "sagemaker-notebook",
    "a SageMaker notebook or Studio space",
    "the end of the session",
    _disk("the instance's own disk, which is deleted when it stops"),
    (
        Keeping("/home/ec2-user/SageMaker", Outlasts.MACHINE, "a volume that is kept while instances come and go"),
        Keeping("/home/sagemaker-user", Outlasts.MACHINE, "a volume that is kept while instances come and go"),
    ),
    marks=("/opt/ml/metadata/resource-metadata.json",),
    source="https://docs.aws.amazon.com/sagemaker/latest/dg/howitworks-create-ws.html",
)
PAPERSPACE = Machine(
    "paperspace",
    "a Paperspace notebook",
    "the end of the session",
    _disk("the session's own disk, which is deleted with it"),
    (
        Keeping("/storage", Outlasts.MACHINE, "storage that the team's notebooks share", if_there=True),
        Keeping("/notebooks", Outlasts.MACHINE, "the notebook's own files, which are kept between sessions"),
    ),
    signs=("PAPERSPACE_NOTEBOOK_REPO_ID",),
    source="https://docs.digitalocean.com/products/paperspace/notebooks/details/storage-architecture/",
)
SLURM = Machine(
    "slurm",
    "a SLURM job",
    "the end of the job",
    folders=tuple(
        Keeping(folder, Outlasts.PROCESS, "a temporary folder of this node, which many clusters empty after each job")
        for folder in ("/tmp", "/var/tmp", "/dev/shm")  # noqa: S108
    ),
    signs=("SLURM_JOB_ID",),
    temporary=("SLURM_TMPDIR", "TMPDIR"),
    source="https://slurm.schedmd.com/job_container_tmpfs.html",
)
CI = Machine(
    "ci",
    "a job of continuous integration",
    "the end of the job",
    _disk("the runner's own disk, which is deleted or cleaned after the job"),
    signs=("GITHUB_ACTIONS", "GITLAB_CI"),
    source="https://docs.github.com/en/actions/concepts/runners/github-hosted-runners",
)
CONTAINER = Machine(
    "container",
    "a container",
    "the end of the container",
    marks=("/.dockerenv", "/run/.containerenv"),
    source="https://docs.docker.com/engine/storage/",
)
ORDINARY = Machine("ordinary", "an ordinary machine", "a restart")

LENT = (KAGGLE, COLAB, SAGEMAKER_JOB, SAGEMAKER_NOTEBOOK, PAPERSPACE, SLURM, CI)
"""In this order: Kaggle's images are made from Colab's, and jobs of any kind may run in containers."""
SIGNS = tuple(sign for machine in LENT for sign in machine.signs)
