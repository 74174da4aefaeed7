"""Commands that make something beside what they print."""

from __future__ import annotations

from typing import Any

import click

from uploader.commands.output_streams import work_goes_on


class Acting(click.Command):
    """A command whose work goes on, and decides its exit code, where its output cannot be written."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run it."""
        work_goes_on()
        return super().invoke(ctx)
