"""What docs/scale-out.md and its examples tell people to run can be run."""

from __future__ import annotations

import configparser
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from uploader.__main__ import main

yaml = pytest.importorskip("yaml")

ROOT = Path(__file__).parents[3]
EXAMPLES = ROOT / "examples" / "scale-out"
PAGE = ROOT / "docs" / "scale-out.md"
PROGRAM = "python -m uploader "
PYTHON = "/srv/uploader/.venv/bin/python"


def commands(text: str) -> Iterator[str]:
    """Yield what follows the program's name in each line that has it."""
    for line in text.splitlines():
        _, program, command = line.partition(PROGRAM)
        if program and "```" not in line and "`" not in line:
            yield command.partition(" #")[0].strip()


def blocks(page: Path) -> str:
    return "\n".join(re.findall(r"^```sh\n(.*?)^```", page.read_text("utf-8"), re.MULTILINE | re.DOTALL))


def parsed(command: str) -> dict[str, Any]:
    """Return the values of a command's options, as the command would be given them."""
    name, *arguments = shlex.split(command)
    above = main.make_context("uploader", [name])  # a command keeps the names of its help option from its first context
    found = main.get_command(above, name)
    assert found is not None
    return found.make_context(name, arguments, parent=above).params


def compose() -> dict[str, Any]:
    read: dict[str, Any] = yaml.safe_load((EXAMPLES / "compose.yaml").read_text("utf-8"))
    return read


@pytest.mark.parametrize("command", list(commands(blocks(PAGE))))
def test_each_command_of_the_page_is_one(command: str) -> None:
    assert parsed(command)


def test_the_page_has_the_three_commands() -> None:
    assert [one.split()[0] for one in commands(blocks(PAGE))][:3] == ["collect", "collect", "drain"]


def test_the_drains_of_the_compose_file_watch_its_database() -> None:
    services = compose()["services"]
    [command] = commands(services["drain"]["command"][-1])
    assert parsed(command)["watch"]
    database = services["database"]["environment"]
    assert f"postgresql://{database['POSTGRES_USER']}@database/{database['POSTGRES_DB']}" in command
    assert set(services["drain"]["depends_on"]) == {"database"}


def test_its_secrets_come_from_outside_and_its_volumes_are_there() -> None:
    services, volumes = compose()["services"], compose()["volumes"]
    given = {**services["database"]["environment"], **services["drain"]["environment"]}
    secrets = {name: value for name, value in given.items() if "PASSWORD" in name or "KEY" in name}
    assert len(secrets) == 3
    assert all(value.startswith("${") for value in secrets.values())
    used = {mount.partition(":")[0] for one in services.values() for mount in one["volumes"]}
    assert used == volumes.keys()


def test_the_unit_of_a_collector_is_one_that_systemd_takes(tmp_path: Path) -> None:
    unit = configparser.ConfigParser(interpolation=None)
    unit.read(EXAMPLES / "uploader-collect.service")
    [command] = commands(f"{PROGRAM}{unit['Service']['ExecStart'].partition(' -m uploader ')[2]}")
    assert parsed(f"{command} --into {unit['Service']['Environment'].partition('=')[2]}")["watch"]
    if shutil.which("systemd-analyze") is None:
        pytest.skip("no systemd-analyze here")
    text = (EXAMPLES / "uploader-collect.service").read_text().replace(PYTHON, sys.executable)
    (tmp_path / "uploader-collect.service").write_text(text)
    verify = ["systemd-analyze", "verify", "--man=no", str(tmp_path / "uploader-collect.service")]
    done = subprocess.run(verify, capture_output=True, text=True, check=False)
    assert "uploader-collect.service" not in done.stderr, done.stderr
