"""Turns the answers to one request into a chunk: the records that they verifiably hold in full.

Not here: how one answer is verified (warehouse/staging/verify.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pipelines.extract.chunks import Chunk, FetchPlan, Part
from pipelines.extract.request_queue import ChunkRequest
from pipelines.warehouse.database.connection import Connection
from pipelines.warehouse.staging.split_json import split_json
from pipelines.warehouse.staging.verify import Verified, verify
from redcap_source import Received


def verify_chunk(
    verifier: Connection,
    plan: FetchPlan,
    request: ChunkRequest,
    received: Sequence[Received],
    scopes: Sequence[int | None],
) -> Chunk:
    """The records of the request that its answers hold, as files of the given `scopes`.

    Raises VerificationFailed if an answer cannot be trusted at all.
    """
    answers = [plan.answer(part) for part in request.parts]
    found = [verify(verifier, answer, share) for answer, share in zip(answers, request.shares, strict=True)]
    records, excluded = verified_by_all(request, found)
    is_json = request.parts[0].format == "json"
    return Chunk(
        parts=_as_csv(plan, request.parts[0], scopes) if records and is_json else request.parts,
        number=request.number,
        asked=len(request.records),
        records=records,
        excluded=excluded,
        rows=sum(verified.rows for verified in found),
        cells=sum(verified.rows * len(answer.columns) for answer, verified in zip(answers, found, strict=True)),
        bytes=sum(answer.bytes for answer in received),
        seconds=sum(answer.seconds for answer in received),
        attempts=sum(answer.attempts for answer in received),
    )


def verified_by_all(request: ChunkRequest, found: Sequence[Verified]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The records that every answer verifies, and those that some answer leaves in doubt."""
    if not request.narrow:
        (verified,) = found
        return verified.records, () if verified.unverified is None else (verified.unverified,)
    doubtful = {verified.unverified for verified in found if verified.unverified is not None}
    for share, verified in zip(request.shares, found, strict=True):
        doubtful.update(set(share).difference(verified.records))
    return (
        tuple(record for record in request.records if record not in doubtful),
        tuple(record for record in request.records if record in doubtful),
    )


def remove_files(parts: Sequence[Part]) -> None:
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
