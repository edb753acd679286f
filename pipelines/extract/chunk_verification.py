"""Turns the answers of a chunk into its result: the records that they verifiably hold in full.

Not here: how one answer is verified (warehouse/staging/verify.py).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from pathlib import Path

from pipelines.errors import VerificationFailed
from pipelines.extract.chunks import AtHand, Chunk, FetchPlan, Part
from pipelines.extract.request_queue import OpenChunk, PartRequest
from pipelines.extract.speed.server_speed import AnswerTime
from pipelines.warehouse.database.connection import Connection
from pipelines.warehouse.staging.split_json import split_json
from pipelines.warehouse.staging.verify import Verified, verify
from redcap_source import Received


def verify_chunk(
    verifier: Connection,
    plan: FetchPlan,
    asked: OpenChunk,
    scopes: Sequence[int | None],
) -> tuple[Chunk, list[AnswerTime]]:
    """The records that a chunk's answers hold, as files of the given `scopes`; and how long each answer took.

    Raises VerificationFailed if an answer cannot be trusted at all.
    """
    requests = [request for request, _ in asked.answers]
    received = [answer for _, answer in asked.answers]
    answers = [plan.answer(request.part) for request in requests]
    found = [verify(verifier, answer, request.named) for answer, request in zip(answers, requests, strict=True)]
    records, excluded = verified_by_all(asked, found)
    is_json = asked.form == "json"
    parts = tuple(request.part for request in requests)
    chunk = Chunk(
        parts=_as_csv(plan, parts[0], scopes) if records and is_json else parts,
        number=asked.number,
        asked=len(asked.records),
        records=records,
        excluded=excluded,
        rows=sum(verified.rows for verified in found),
        cells=sum(verified.rows * len(answer.columns) for answer, verified in zip(answers, found, strict=True)),
        bytes=sum(answer.bytes for answer in received),
        seconds=sum(answer.seconds for answer in received),
        attempts=sum(answer.attempts for answer in received),
    )
    return chunk, [
        AnswerTime(_all_rows(verified) * len(answer.columns), got.seconds)
        for verified, answer, got in zip(found, answers, received, strict=True)
    ]


def verify_at_hand(verifier: Connection, plan: FetchPlan, found: AtHand, scopes: Sequence[int | None]) -> Chunk | None:
    """The record that was requested before, like a chunk; None, without its file, if its answer is not whole."""
    part = Part(found.path, "json")
    received = Received(200, found.bytes, found.seconds, found.attempts, None, "")
    answers = [(PartRequest(part, (found.record,)), received)]
    asked = OpenChunk((found.record,), 0, False, "json", deque(), answers=answers)
    try:
        chunk, _ = verify_chunk(verifier, plan, asked, scopes)
    except VerificationFailed:
        chunk = None
    if chunk is None or not chunk.records:
        remove_files([part])
        return None
    return chunk


def verified_by_all(asked: OpenChunk, found: Sequence[Verified]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The chunk's records that every answer verifies; and those in the answers whose rows must not be used.

    The latter are records that some answer leaves in doubt, and those that only mark the end of an answer.
    """
    requests = [request for request, _ in asked.answers]
    ends = dict.fromkeys(request.end for request in requests if request.end is not None)
    if not asked.narrow:
        (verified,) = found
        whole = tuple(record for record in verified.records if record not in ends)
        return whole, tuple(dict.fromkeys((*ends, *([verified.unverified] if verified.unverified else ()))))
    doubtful = set(asked.lost)
    for request, verified in zip(requests, found, strict=True):
        doubtful.update(set(request.records).difference(verified.records))
    return (
        tuple(record for record in asked.records if record not in doubtful),
        (*(record for record in asked.records if record in doubtful), *ends),
    )


def _all_rows(verified: Verified) -> float:
    """About how many rows an answer has; those of its last record are not counted."""
    whole = len(verified.records)
    return verified.rows * (whole + (verified.unverified is not None)) / whole if whole else 0.0


def remove_files(parts: Iterable[Part]) -> None:
    """Remove what was received of the parts."""
    for part in parts:
        part.path.unlink(missing_ok=True)


def _as_csv(plan: FetchPlan, part: Part, scopes: Sequence[int | None]) -> tuple[Part, ...]:
    """Convert a JSON answer to CSVs, with the columns of the CSVs that it will be read together with."""
    parts = tuple(Part(_beside(part.path, at), "csv", at) for at in scopes)
    split_json(plan.answer(part), [plan.answer(part) for part in parts])
    part.path.unlink()
    return parts


def _beside(path: Path, scope: int | None) -> Path:
    return path.with_name(f"{path.stem}-{scope}.csv")
