"""`uploader verify`: read runs back from the platforms and compare them with the journal."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from journal.next_steps import next_command
from journal.quantities import count, epochs_in_words
from uploader.commands.dialogue import USAGE, fail
from uploader.commands.help_texts import epilog, key_addresses
from uploader.commands.journal_access import opened_journal
from uploader.commands.journal_option import journal_or_url_option
from uploader.commands.output_streams import work_goes_on
from uploader.commands.phrases import place
from uploader.commands.progress_bars import byte_bar
from uploader.commands.run_argument import INTERRUPTED
from uploader.commands.run_completion import RunName
from uploader.delivery.draining import settings_for
from uploader.errors import CredentialsRefused, SettingsError
from uploader.run_selection import full_name

if TYPE_CHECKING:
    from uploader.verification.comparing import Checked
    from uploader.verification.verifying import Verified

UNREADABLE, WRONG, NO_KEY = 3, 4, 5
_SHOWN = 20
"""So many lines of one kind of finding are shown of a run."""
_NAMED = 10
"""So many runs are named at the end, as their lines may have left the screen."""
_KINDS = ("registration", "epoch", "console", "results", "plots", "media", "checkpoint", "completion")
"""In this order, before what a person wanted."""
_COUNTED: Mapping[str, Callable[[int], str]] = {
    "epoch": lambda number: count(number, "epoch"),
    "console": lambda number: count(number, "console chunk"),
    "media": lambda number: "1 image or plot" if number == 1 else f"{number} images and plots",
}
_WORDS = {
    "different": "different",
    "missing": "missing",
    "waits": "not there yet",
    "unreadable": "cannot be read back here",
}
_CODES = """
  0  all that the platforms show of the runs is proven
  1  the journal cannot be used, or is not there; the message says why
  2  the arguments or settings cannot be used, or name nothing that goes anywhere
  3  a platform could not be read back: offline, or it does not show its models, or only what a later session sent
  4  something is missing or different there, or waits to be sent
  5  a platform has no key here, or refused it
  130  ended by Ctrl-C

The first code that applies is used, in the order 2, 1, 5, 3, 4, 0. With code 4, --json tells what is wrong from what
only waits: `different`, and `waits` of the `missing`, of each run."""
_HELP = f"""Read runs back from the platforms and compare them with the journal, item by item.

RUN is a run's name, the beginning of its id, its folder, or `latest`; without any, all runs are verified, each wherever
it goes. The items are the registration, each epoch's metrics, the console text, the results, the plots, the images and
plots of a loop, the checkpoint and the end, and what a person wanted beside: a description, a licence, tags,
conversions, datasets. Of each, one of these things is said:

\b
  proven                    it is there as the journal has it
  different                 it is there otherwise
  missing                   it is not there
  not there yet             it waits to be sent (in --json: missing, and counted in waits)
  cannot be read back here  this platform's API does not show it

What an API does not show at all is named, and is no failure by itself: exit code 0 means that nothing is missing or
different, and that at least the registration was seen. A checkpoint is compared by its size, and by its sha256 where
the platform tells it; --deep downloads it and computes the sha256.

When a training began and ended, and each epoch, is compared within a second where the platform keeps the times that it
is told, as the local platform does. Elsewhere those are the times of the delivery, and not compared; nor are, anywhere,
the progress within an epoch, and what was measured of the machine between epochs.

--fix has the next drain send exactly what is missing or different again; nothing is sent twice that is there. What that
cannot put right is named: what is there several times, or stayed as it was when it was sent again. `resend` sends a run
again whole.

What was found is kept in the journal until something of the run changes there. What a platform loses later, only
reading it back again tells; `prune --verified` does so before it deletes anything.

A key is sent only to the platform that it was set for: {key_addresses()}."""


@click.command(epilog=epilog("verify", "verify latest --deep", "verify train-3 --fix", codes=_CODES), help=_HELP)
@click.argument("runs", metavar="[RUN]...", nargs=-1, type=RunName())
@click.option("--to", metavar="URL", help="Only at this platform; your key is sent to it.")
@click.option("--deep", is_flag=True, help="Download each checkpoint and compare its sha256.")
@click.option("--fix", is_flag=True, help="Have the next drain send again what is missing or different.")
@journal_or_url_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def verify(
    *, runs: tuple[str, ...], to: str | None, deep: bool, fix: bool, journal: Path | None, as_json: bool
) -> NoReturn:
    """Read runs back and compare them with the journal."""
    if fix:
        work_goes_on()
    found = []
    with opened_journal(journal, "verify", as_json=as_json) as opened:
        from uploader.verification.runs import chosen_targets, send_again, verify_targets

        try:
            chosen = chosen_targets(opened, runs, to)
            bar = partial(byte_bar, shown=not as_json)
            for one in verify_targets(opened, chosen, to=to, deep=deep, bar=bar, settings=settings_for(journal)):
                found.append(one)
                if not as_json:
                    click.echo("\n".join(_lines(one)))
        except SettingsError as error:
            fail(str(error), "verify", USAGE, as_json=as_json)
        except KeyboardInterrupt:
            sys.exit(INTERRUPTED)
        again = {id(one): send_again(opened, one) for one in found if fix}
        drain = next_command("drain", opened.place)
    if as_json:
        click.echo(
            json.dumps({"exit_code": _code(found), "runs": [_as_json(one, again.get(id(one))) for one in found]})
        )
    else:
        click.echo(_tally(found))
        if fix:
            click.echo(_fixed(found, [again[id(one)] for one in found], drain))
    sys.exit(_code(found))


def _code(found: Sequence[Verified]) -> int:
    if any(isinstance(one.failure, CredentialsRefused) for one in found):
        return NO_KEY
    if any(one.failure is not None or not _is_read(one) for one in found):
        return UNREADABLE
    return 0 if all(one.is_right for one in found) else WRONG


def _is_read(one: Verified) -> bool:
    """Return whether the platform shows anything of a run, or that it has nothing."""
    return any(one.counts[word] for word in ("proven", "different", "missing"))


def _lines(one: Verified) -> list[str]:
    run, there = one.target.run, one.target.destination
    head = f"{full_name(run)} ({run.id[:8]}) at {place(there.platform, there.base_url)}"
    if one.failure is not None and not one.checked:
        return [f"{head}: could not be read back: {one.failure}"]
    lines = [f"{head}: {_verdict(one)}"]
    if one.failure is not None:
        lines.append(f"  its checkpoint could not be downloaded: {one.failure}")
    if proven := _proven(one):
        lines.append(f"  proven: {proven}")
    for word, said in _WORDS.items():
        groups = list(_groups([item for item in one.checked if ("waits" if item.waits else item.word) == word]))
        lines += [f"  {said}: {items}: {why}" for items, why in groups[:_SHOWN]]
        if len(groups) > _SHOWN:
            lines.append(f"  {said}: and {len(groups) - _SHOWN} more; --json lists them")
    if one.is_pruned:
        lines.append("  events of it were pruned here; only what is left of them was compared")
    return lines


def _groups(checked: Sequence[Checked]) -> Iterator[tuple[str, str]]:
    """Yield items of which the same is to be said, in words, and what that is."""
    by_reason: dict[str, list[Checked]] = {}
    for item in checked:
        by_reason.setdefault(item.why, []).append(item)
    for why, items in by_reason.items():
        yield _items(items), why


def _items(items: Sequence[Checked]) -> str:
    """Return items in words: `registration, epochs 1-4, 12 console chunks`."""
    kinds: dict[str, list[Checked]] = {kind: [] for kind in _KINDS}
    for item in items:
        kinds.setdefault(item.place[0], []).append(item)
    return ", ".join(_of_kind(kind, each) for kind, each in kinds.items() if each)


def _of_kind(kind: str, items: Sequence[Checked]) -> str:
    number = sum(item.count for item in items)
    keys = [item.place[1] for item in items]
    if kind == "epoch" and all(key.isdecimal() for key in keys):
        return epochs_in_words(map(int, keys))
    if kind in _COUNTED and kind != "epoch" and number > 1:
        return _COUNTED[kind](number)
    return ", ".join(item.finding().item for item in items)


def _verdict(one: Verified) -> str:
    counts = one.counts
    if one.is_right and one.is_pruned:
        return "proven, as far as the journal still has it"
    if one.is_right:
        return "proven" if not counts["unreadable"] else "proven, as far as this platform shows it"
    waiting = {_WORDS["waits"]: one.waits}
    numbers = {"missing": counts["missing"] - one.waits, "different": counts["different"], **waiting}
    said = [f"{number} {word}" for word, number in numbers.items() if number]
    return ", ".join(said) or ("proven, except as follows" if counts["proven"] else "nothing of it can be read back")


def _proven(one: Verified) -> str:
    """Return what is proven, in words: `registration, 100 epochs, 12 console chunks`."""
    kinds: dict[str, list[Checked]] = {kind: [] for kind in _KINDS}
    for item in (each for each in one.checked if each.word == "proven"):
        kinds.setdefault(item.place[0], []).append(item)
    parts = [_proven_of(kind, items) for kind, items in kinds.items() if items]
    return ", ".join(f"{part} (sha256)" if one.is_deep and part == "checkpoint" else part for part in parts)


def _proven_of(kind: str, items: Sequence[Checked]) -> str:
    if kind in _COUNTED:
        return _COUNTED[kind](sum(item.count for item in items))
    return kind if kind in _KINDS else ", ".join(item.finding().item for item in items)


def _tally(found: Sequence[Verified]) -> str:
    right = sum(one.is_right for one in found)
    unread = sum(one.failure is not None for one in found)
    parts = [f"{right} of {count(len(found), 'run')} proven"]
    late = sum(_only_waits(one) for one in found)
    if len(found) - right - unread - late:
        parts.append(f"{len(found) - right - unread - late} with something missing or different")
    if late:
        parts.append(f"{late} with something that waits to be sent")
    if unread:
        parts.append(f"{unread} not read back")
    wrong = [full_name(one.target.run) for one in found if not one.is_right]
    if len(found) > 1 and wrong:
        more = f" and {len(wrong) - _NAMED} more" if len(wrong) > _NAMED else ""
        parts.append(f"look at {', '.join(wrong[:_NAMED])}{more}")
    return "; ".join(parts)


def _only_waits(one: Verified) -> bool:
    """Return whether all that is wrong with a run is that something of it was not sent yet."""
    wrong = [item for item in one.checked if item.word in {"missing", "different"}]
    return one.failure is None and bool(wrong) and all(item.waits for item in wrong)


def _fixed(found: Sequence[Verified], again: Sequence[int], drain: str) -> str:
    left = [(one, item) for one in found if one.again for item in one.again.left]
    lines = [f"{count(sum(again), 'item')} sent again by the next `{drain}`"]
    for one, item in left[:_SHOWN]:
        finding = item.finding()
        lines.append(f"  not sent again, of {full_name(one.target.run)}: {finding.item}: {finding.why}")
    if len(left) > _SHOWN:
        lines.append(f"  not sent again: and {len(left) - _SHOWN} more; --json lists what was found of each run")
    return "\n".join(lines)


def _as_json(one: Verified, again: int | None) -> dict[str, Any]:
    run, there = one.target.run, one.target.destination
    return {
        "run": run.id,
        "project": run.project,
        "name": run.name,
        "platform": there.platform,
        "to": there.base_url,
        "is_right": one.is_right,
        "is_deep": one.is_deep,
        "is_pruned": one.is_pruned,
        "error": None if one.failure is None else str(one.failure),
        **{word: one.counts[word] for word in ("proven", "different", "missing", "unreadable")},
        "waits": one.waits,
        "findings": [asdict(finding) for finding in one.findings],
        **({} if again is None else {"sent_again": again}),
    }
