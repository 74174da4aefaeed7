"""The file by which every Python of an environment records what it trains: `offline_uploader.pth` in `site-packages`.

Python runs the line in it when it starts. The line finds the import hook in our own folder, and says nothing where that
is gone: uninstalling leaves such a file behind. Python 3.18 is to ignore such lines (PEP 829), so `enable` looks
whether this Python runs it.
"""

from __future__ import annotations

import os
import site
import subprocess
import sys
import sysconfig
from pathlib import Path

STARTUP = Path(__file__).with_name("startup")
_NAME = "offline_uploader.pth"
_CODE = """\
try:
    sys.path.insert(0, {folder!a})
    import offline_uploader_hook
except Exception:
    pass
finally:
    sys.path[:] = [each for each in sys.path if each != {folder!a}]
"""


def environment_file() -> Path:
    """Return the file for all users of this Python's environment."""
    return Path(sysconfig.get_path("purelib")) / _NAME


def user_file() -> Path | None:
    """Return the file for this user alone; None where Python does not look there, as in a virtual environment."""
    return Path(site.getusersitepackages()) / _NAME if site.ENABLE_USER_SITE else None


def enabled_by() -> list[Path]:
    """Return the files that are there."""
    return [file for file in (environment_file(), user_file()) if file is not None and file.is_file()]


def is_stale(file: Path) -> bool:
    """Return whether a file names a folder that is not ours, as after a move or another installation."""
    return file.read_text("utf-8") != _content()


def enable(file: Path) -> None:
    """Write a file.

    Raises:
        OSError: It cannot be written.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    new = file.with_name(f".{_NAME}-{os.getpid()}")  # Python reads no file of such an ending
    try:
        new.write_text(_content(), "utf-8")
        new.replace(file)
    finally:
        new.unlink(missing_ok=True)


def is_at_work() -> bool:
    """Return whether this Python, when it starts, runs what the files say."""
    asked = "import sys; sys.exit('offline_uploader_hook' not in sys.modules)"
    return (
        subprocess.run([sys.executable, "-E", "-c", asked], check=False).returncode == 0
    )  # -E: not below `exec` alone


def _content() -> str:
    return f"import sys; exec({_CODE.format(folder=str(STARTUP))!a})\n"
