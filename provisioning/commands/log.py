"""`lamppost log`: verify a camera's log as it lies on its card, and its footage against it; be a witness of it.

Offline; to verify takes no keys.
"""

import json
import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from agent.core.log.checkpoint import open_checkpoint
from agent.core.log.leaf import parse_leaf
from agent.core.log.note import MAX_NOTE_BYTES, VerifierKey, parse_verifier_key
from agent.errors import CheckpointFormatError, LeafFormatError, LogForkedError, LogGapError, UsageError
from provisioning.authority import files
from provisioning.backend.witness import open_witness
from provisioning.clock import precise_now
from provisioning.evidence.camera_log import CameraLog
from provisioning.footage.accounting import account, disagreements

app = typer.Typer(no_args_is_help=True)


@app.callback()
def _log() -> None:
    """Verify what a camera says it did."""


@app.command()
def verify(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The log's folder, as it lies on the card.")],
    *,
    key: Annotated[
        str | None, typer.Option("--key", help="The log's key, name+id+base64; else its own word is taken.")
    ] = None,
    footage: Annotated[Path | None, typer.Option("--footage", help="Hold this folder of footage against it.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Check that the log is the one its camera signed, whole and in order."""
    if not folder.is_dir():
        raise UsageError(f"{folder} is no folder")
    log = parse_verifier_key(key) if key is not None else own_word(folder)
    found = account(folder, log)
    wrong = list(disagreements(found, footage)) if footage is not None else []
    if as_json:
        sys.stdout.write(
            json.dumps(
                {
                    "origin": found.checkpoint.origin,
                    "key": str(log),
                    "key_known": key is not None,
                    "size": found.checkpoint.size,
                    "root": found.checkpoint.root.hex(),
                    "first": found.first,
                    "kinds": dict(sorted(found.kinds.items())),
                    "disagreements": {each.file: each.words for each in wrong},
                }
            )
            + "\n"
        )
    else:
        sys.stdout.write(f"{found.checkpoint.origin}: {found.checkpoint.size} leaves, signed, whole and in order\n")
        for each in wrong:
            sys.stdout.write(f"{each.file}: {each.words}\n")
    if key is None:
        sys.stderr.write("lamppost: hint: the key is the log's own word; give the one you know with --key\n")
    if wrong:
        raise typer.Exit(os.EX_DATAERR)


@app.command()
def cosign(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The log's folder: a card, or a copy of it.")],
    *,
    key: Annotated[str, typer.Option("--key", help="The log's key: name+id+base64. Its own word will not do.")],
    witness: Annotated[Path, typer.Option(help="Your folder: your key, and what you saw. Made if need be.")],
    out: Annotated[Path, typer.Option(help="Where the cosigned checkpoint goes; evidence export takes it.")],
    checkpoint: Annotated[
        Path | None, typer.Option(help="Cosign this one, which another witness has seen, not the newest.")
    ] = None,
) -> None:
    """Vouch, with a key of your own, that a log goes on from where you saw it last.

    For an auditor, or whoever else the city does not employ: a witness that the city's
    own backend is proves less. Nothing is cosigned that is shorter than it was, or another.
    """
    if not folder.is_dir():
        raise UsageError(f"{folder} is no folder")
    log_key = parse_verifier_key(key)
    account(folder, log_key)
    log = CameraLog(folder, log_key)
    note = log.note if checkpoint is None else files.read_capped(checkpoint, max_bytes=MAX_NOTE_BYTES)
    meant = open_checkpoint(note, log_key)
    if meant.size > log.checkpoint.size:
        raise LogGapError(f"{folder} has {log.checkpoint.size} leaves, and the checkpoint is of {meant.size}")
    if log.root(meant.size) != meant.root:
        raise LogForkedError(f"the log signed a tree of {meant.size} leaves that is not the one in {folder}")
    mine = open_witness(witness)
    before = mine.seen(log_key)
    seen = before.checkpoint.size if before is not None else 0
    proof = log.consistency_proof(seen, meant.size) if 0 < seen < meant.size else ()
    cosigned = mine.cosign_by_proof(note, log_key, proof=proof, now=precise_now().replace(microsecond=0))
    files.write_whole(out, cosigned.note)
    since = f"goes on from the {seen} seen at {before.at:%Y-%m-%d %H:%M} UTC" if before else "seen for the first time"
    sys.stdout.write(f"{out}: {meant.origin} with {meant.size} leaves, {since}\n")
    sys.stderr.write(f"lamppost: hint: who verifies needs your key: --witness {mine.key}\n")


def own_word(folder: Path) -> VerifierKey:
    """Return the key that the newest start in the log names."""
    for path in sorted(folder.glob("events-*.jsonl"), reverse=True):
        for line in reversed(path.read_bytes().splitlines()):
            if b'"log_key"' not in line:
                continue
            try:
                return parse_verifier_key(str(parse_leaf(line).facts["log_key"]))
            except (LeafFormatError, CheckpointFormatError, KeyError):
                continue
    raise UsageError(f"the log in {folder} names no key", hint="give it with --key")
