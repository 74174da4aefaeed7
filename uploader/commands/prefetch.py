"""`uploader prefetch`: fetch datasets and models before the network is gone."""

from __future__ import annotations

import json
import sys

import click

from uploader.commands.acting import Acting
from uploader.commands.help_texts import epilog

_CODES = """
  0  all of them are on this machine
  1  one of them is not; the message says why
  2  the arguments cannot be used"""
_MISSING = 1
_EPILOG = epilog(
    "prefetch ul://me/datasets/warehouse ul://me/warehouse/night-shift",
    codes=_CODES,
)


@click.command(cls=Acting, epilog=_EPILOG)
@click.argument("uris", metavar="URI...", nargs=-1, required=True)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def prefetch(*, uris: tuple[str, ...], as_json: bool) -> None:
    """Fetch datasets and models of Ultralytics Platform before going offline.

    URI is ul://USER/datasets/NAME for a dataset, ul://USER/PROJECT/MODEL for a model's weights. They go to where
    Ultralytics keeps its own: datasets with all their images into its datasets_dir, weights into its weights_dir. Each
    is printed with its path, which a training takes without a network: data=PATH, or YOLO("PATH"). Ultralytics itself
    asks the platform whenever it is given a ul:// address.

    What is cut short is not taken for whole, and is fetched again. Without a network, what was fetched before is named.
    """
    found = [_outcome(uri) for uri in uris]
    if as_json:
        click.echo(json.dumps({"prefetched": found}))
    for one in () if as_json else found:
        if "error" in one:
            click.echo(f"uploader prefetch: {one['uri']}: {one['error']}", err=True)
        else:
            click.echo(f"{one['uri']}  {one['path']}{'' if one['is_current'] else '  (as it was fetched before)'}")
    sys.exit(_MISSING if any("error" in one for one in found) else 0)


def _outcome(uri: str) -> dict[str, object]:
    from uploader.errors import UploaderError
    from uploader.prefetching import prefetched

    try:
        fetched = prefetched(uri)
    except ImportError:
        return {"uri": uri, "error": "Ultralytics is not installed here: pip install ultralytics"}
    except (ValueError, OSError, RuntimeError, UploaderError) as error:
        return {"uri": uri, "error": str(error)}
    return {"uri": uri, "path": str(fetched.path), "is_current": fetched.is_current}
