"""`uploader check`: whether a proof holds, and against whom; without network, journal and key."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, NoReturn

import click

from journal.clock import to_text
from journal.quantities import count, readable
from uploader.commands.dialogue import USAGE, fail
from uploader.commands.folders import File
from uploader.commands.help_texts import epilog
from uploader.commands.mirror_option import MirrorAddress, opened_mirror

if TYPE_CHECKING:
    from uploader.commands.proof_summary import Summary
    from uploader.proof.proof_checking import Findings
    from uploader.proof.signed_notes import VerifierKey
    from uploader.proving.mirror_comparing import Comparison

DOES_NOT_HOLD = 1
_LARGEST = 8 << 30
_CODES = """
  0  it holds, also against all that were named by --key, --witness and --mirror
  1  it does not: it is damaged or altered, content was taken out of it, or one of them does not confirm all of it
  2  the arguments cannot be used, or the file is no proof; the message says why"""


class Key(click.ParamType):  # type: ignore[type-arg]
    """A verifier key, or the file that holds one."""

    name = "key"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> VerifierKey:
        """Return the key; end the command where there is none."""
        from uploader.proof.signed_notes import NotANote, VerifierKey

        try:
            text = str(value) if "+" in str(value) else Path(value).read_text("utf-8").splitlines()[0]
            return VerifierKey.parse(text.removeprefix("public "))
        except (NotANote, OSError, UnicodeError, IndexError) as error:
            why = _why_no_key(error)
            self.fail(f"{value!r}: {why}; give a key such as name+1a2b3c4d+AVL7…, or a file with one", param, ctx)


def _why_no_key(error: Exception) -> str:
    if isinstance(error, OSError):
        return f"it is no key, and cannot be read as a file with one ({error.strerror or error})"
    return "it is a file without a key" if isinstance(error, (UnicodeError, IndexError)) else str(error)


@dataclass
class Verdict:
    """What is said of one proof.

    Attributes:
        findings: What the proof proves.
        summary: What it shows of its run.
        mirror: How a mirror agrees with it, if one was named.
        files: The files that were named, with what each is.
        known: The keys of witnesses that a person named.
        troubles: In words, why it does not hold.
    """

    findings: Findings
    summary: Summary
    mirror: Comparison | None = None
    files: dict[str, str] = field(default_factory=dict)
    known: tuple[VerifierKey, ...] = ()
    troubles: list[str] = field(default_factory=list)


@click.command(
    epilog=epilog(
        "check train-3.proof",
        "check train-3.proof best.pt",
        "check train-3.proof --witness platform-key.txt",
        "check train-3.proof --mirror /mnt/drive/mirror",
        codes=_CODES,
    )
)
@click.argument("proof", type=File(exists=True, dir_okay=False))
@click.argument("files", nargs=-1, metavar="[FILE]...", type=File(exists=True, dir_okay=False))
@click.option("--key", "keys", multiple=True, type=Key(), help="Holds only if this key has signed it.")
@click.option("--witness", "witnesses", multiple=True, type=Key(), help="Only if this one has countersigned all of it.")
@click.option("--mirror", type=MirrorAddress(), help="Only if this mirror has the same events.")
@click.option(
    "--export",
    type=File(file_okay=False),
    metavar="DIR",
    help="Also write the checkpoints and ends as standard proofs, which other verifiers read (c2sp.org/tlog-proof).",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def check(
    *,
    proof: Path,
    files: tuple[Path, ...],
    keys: tuple[VerifierKey, ...],
    witnesses: tuple[VerifierKey, ...],
    mirror: str | None,
    export: Path | None,
    as_json: bool,
) -> NoReturn:
    """Check a PROOF that `prove` wrote, and say what it proves, and against whom.

    It needs neither the journal nor a network. Each FILE, such as best.pt, is looked up among the run's checkpoints.

    A signature alone is the word of whoever holds the key. A countersignature is the word of a platform that saw the
    run grow, and keeps everybody from rewriting it afterwards; it is worth something if you know that the key is the
    platform's, so --witness takes it from you. A mirror is a second copy, which whoever could rewrite the journal may
    not be able to write.
    """
    verdict = _checked(proof, keys, witnesses, as_json=as_json)
    _demand(verdict, keys, witnesses)
    if mirror is not None:
        _compare(verdict, mirror, as_json=as_json)
    for file in files:
        _look_up(verdict, file)
    if export is not None:
        _export(verdict, export, as_json=as_json)
    click.echo(json.dumps(_as_json(verdict)) if as_json else "\n".join(map(_printable, _as_text(proof, verdict))))
    sys.exit(DOES_NOT_HOLD if verdict.troubles else 0)


def _checked(
    proof: Path, keys: tuple[VerifierKey, ...], witnesses: tuple[VerifierKey, ...], *, as_json: bool
) -> Verdict:
    from uploader.commands.proof_summary import Summary
    from uploader.proof import ed25519, proof_checking
    from uploader.proof.proof_file import DamagedProof, NotAProof

    if not ed25519.is_available():
        fail(f"signatures cannot be checked here: {ed25519.ADVICE}", "check", USAGE, as_json=as_json)
    summary = Summary()
    try:
        with proof.open("rb") as stream:
            if (size := proof.stat().st_size) > _LARGEST:
                raise NotAProof(f"it has {readable(size)}, and no proof has more than {readable(_LARGEST)}")
            found = proof_checking.check(_lines(stream), ed25519.verify, summary.see, keys=keys, witnesses=witnesses)
    except (NotAProof, OSError) as error:
        fail(f"{proof} cannot be checked: {_printable(str(error))}", "check", USAGE, as_json=as_json)
    except DamagedProof as error:
        fail(f"{proof} does not hold: {_printable(str(error))}", "check", DOES_NOT_HOLD, as_json=as_json)
    omission = [summary.omission] if summary.omission else []
    return Verdict(found, summary, known=witnesses, troubles=[*found.troubles, *omission])


def _lines(stream: BinaryIO) -> Iterator[bytes]:
    from uploader.proof.proof_file import LONGEST_LINE, DamagedProof

    while line := stream.readline(LONGEST_LINE):
        if len(line) == LONGEST_LINE:
            raise DamagedProof(f"one of its lines has more than {readable(LONGEST_LINE)}")
        yield line


def _demand(verdict: Verdict, keys: tuple[VerifierKey, ...], witnesses: tuple[VerifierKey, ...]) -> None:
    """Add what is missing of what a person wants to be sure of."""
    found = verdict.findings
    if not found.signed_by and not found.countersigned and not keys:
        verdict.troubles.append("nobody has signed it, so anybody could have made it")
    verdict.troubles += [f"{key} has not signed it" for key in keys if key not in found.signed_by]
    for witness in witnesses:
        if (covered := found.covered_by(witness)) < found.events:
            verdict.troubles.append(f"{witness.name} has countersigned {covered} of its {found.events} events")


def _compare(verdict: Verdict, mirror: str, *, as_json: bool) -> None:
    from uploader.commands.journal_access import journal_errors
    from uploader.proving.mirror_comparing import compare

    store = opened_mirror(mirror, "check", as_json=as_json)
    found = verdict.findings
    with journal_errors("check", as_json=as_json):
        verdict.mirror = compare(store, found.beginning.run, found.trees)
    different = verdict.mirror.different
    verdict.troubles += [f"the mirror has another content of {what}" for what in different]
    if verdict.mirror.same + len(different) < found.events:
        verdict.troubles += [f"in the mirror, {why}" for why in verdict.mirror.damaged]
        has = "what can be read of the mirror has" if verdict.mirror.damaged else "the mirror has"
        verdict.troubles.append(f"{has} {verdict.mirror.same} of its {found.events} events")


def _look_up(verdict: Verdict, file: Path) -> None:
    from uploader.commands.proof_summary import of_epoch

    sha256, checkpoint = verdict.summary.checkpoint_of(file)
    if checkpoint is None:
        verdict.troubles.append(f"{file} (sha256 {sha256}) is no checkpoint of this run")
    else:
        verdict.files[str(file)] = f"the run's checkpoint {checkpoint['role']}{of_epoch(checkpoint)}"


def _export(verdict: Verdict, folder: Path, *, as_json: bool) -> None:
    """Write the proof of each event that the summary is made from, with its entry and the keys to check it with."""
    from uploader.proof.tlog_proofs import tlog_proof

    found = verdict.findings
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for session, note in found.heads.items():
            names = [f"{key.named(found.trees[session].head().origin)}\n" for key in found.signed_by]
            (folder / f"{session}.vkey").write_text("".join(names), "utf-8")
            for leaf in verdict.summary.shown:
                if leaf.session == session:
                    proof = tlog_proof(found.trees[session].hashes, leaf.seq - 1, note)
                    (folder / f"{session}-{leaf.seq}.tlog-proof").write_text(proof, "utf-8")
                    (folder / f"{session}-{leaf.seq}.entry").write_text(leaf.entry(), "utf-8")
        (folder / "witnesses.vkey").write_text("".join(f"{key}\n" for key in found.witnesses), "utf-8")
    except OSError as error:
        fail(f"{folder} cannot be written ({error.strerror or error})", "check", USAGE, as_json=as_json)


def _as_text(proof: Path, verdict: Verdict) -> Iterator[str]:
    found = verdict.findings
    yield f"{proof}: {_in_short(verdict)}"
    yield from (f"  ! {trouble}" for trouble in verdict.troubles)
    yield f"Run {found.beginning.run}, which the file calls {found.beginning.called}"
    content = f"{verdict.summary.disclosed} with their content"
    yield f"  {count(found.events, 'event')} of {count(len(found.trees), 'session')}, {content}"
    if found.beyond:
        yield f"  not covered: {count(found.beyond, 'event')} with numbers after a missing one"
    if not found.troubles:
        yield from (f"  {line}" for line in verdict.summary.lines())
    yield from (f"  {file} is {what}" for file, what in verdict.files.items())
    yield from _signers_in_words(found, verdict.known)
    if verdict.mirror is not None:
        yield f"Witnessed by the mirror: {verdict.mirror.same} of {count(found.events, 'event')} are the same there."
        yield "  It is a second copy, and signs nothing: ask who could have changed both."
        if verdict.mirror.damaged:
            yield "  Parts of it are damaged; `mirror --check` names them."


def _in_short(verdict: Verdict) -> str:
    if verdict.findings.troubles:
        return "does not hold"
    if not (verdict.findings.signed_by or verdict.findings.countersigned):
        return "is not signed"
    if verdict.summary.withheld:
        return "is not whole: its events are those that were signed, but somebody has taken out content"
    return "holds, but does not confirm all that was asked for" if verdict.troubles else "holds"


def _signers_in_words(found: Findings, known: tuple[VerifierKey, ...]) -> Iterator[str]:
    for key in found.signed_by:
        yield "Signed (self-attested) by"
        yield f"  {key}"
        yield "  Whoever has this key could have signed something else, at any time."
    if not found.countersigned:
        yield "Countersigned by nobody that is known here."
    for witness in found.witnesses:
        last = max(each.time for each in found.countersigned if each.witness == witness)
        yield f"Countersigned, {found.covered_by(witness)} of {count(found.events, 'event')}, by"
        yield f"  {witness}"
        yield f"  It saw the last of them by {_time(last)} (its clock); nothing before that was changed since."
        if witness not in known:
            yield "  Is this the key that the platform's owner tells you? --witness KEY demands it."


def _as_json(verdict: Verdict) -> dict[str, Any]:
    found = verdict.findings
    return {
        "holds": not verdict.troubles,
        "troubles": verdict.troubles,
        "run": found.beginning.run,
        "called": found.beginning.called,
        "sessions": len(found.trees),
        "events": found.events,
        "disclosed": verdict.summary.disclosed,
        "withheld": dict(verdict.summary.withheld),
        "not_covered": found.beyond,
        "state": verdict.summary.state,
        "epochs": verdict.summary.epochs_trained,
        "results": verdict.summary.results,
        "checkpoints": verdict.summary.checkpoints,
        "files": verdict.files,
        "signed_by": [str(key) for key in found.signed_by],
        "countersigned": [
            {"witness": str(each.witness), "session": each.session, "events": each.events, "time": _time(each.time)}
            for each in found.countersigned
        ],
        "mirror": None if verdict.mirror is None else vars(verdict.mirror),
    }


def _time(seconds: int) -> str:
    from datetime import datetime, timezone

    try:
        return to_text(datetime.fromtimestamp(seconds, timezone.utc))[:19] + "Z"
    except (ValueError, OverflowError, OSError):  # a witness may say anything
        return "a time that is none"


def _printable(text: str) -> str:
    """Return text that moves no cursor and changes no colour: the file may be anybody's."""
    return "".join(each if each.isprintable() else "�" for each in text)
