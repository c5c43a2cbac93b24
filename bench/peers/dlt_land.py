"""
The same feed through dlt: typed columns and the payload, as Arrow tables, so that nothing is inferred and nothing lost.

`python -m bench.peers.dlt_land URL PSA FORMAT FOLDER` in dlt's environment. FORMAT is dlt's loader file format.
"""

from __future__ import annotations

import datetime as dt
import os
import time
from collections.abc import Iterator
from typing import Any

import dlt
import msgspec
import pyarrow as pa
import requests

from bench.measure import arguments, say

_PER_PAGE, _PAGES_A_TABLE = 200, 50
_FIELDS = {
    "id": pa.string(), "workspace_id": pa.string(), "user_id": pa.string(), "date_performed": pa.date32(),
    "time_in_minutes": pa.int64(), "role_id": pa.string(), "billable": pa.bool_(), "approved": pa.bool_(),
    "notes": pa.string(), "updated_at": pa.timestamp("us", "UTC"), "payload": pa.string(),
}  # fmt: skip
_SCHEMA = pa.schema(list(_FIELDS.items()))


class TimeEntry(msgspec.Struct):
    """What is read of a record."""

    id: str
    updated_at: dt.datetime
    workspace_id: str | None = None
    user_id: str | None = None
    role_id: str | None = None
    date_performed: dt.date | None = None
    time_in_minutes: int | None = None
    billable: bool | None = None
    approved: bool | None = None
    notes: str | None = None


class Answer(msgspec.Struct):
    """One page."""

    time_entries: dict[str, msgspec.Raw]


def pages(psa: str) -> Iterator[list[bytes]]:
    """Yield the records of each page as they came."""
    session, offset = requests.Session(), 0
    while True:
        asked = {"limit": _PER_PAGE, "offset": offset}
        body = session.get(f"{psa}/api/v1/time_entries", params=asked, timeout=60).content
        records = [bytes(raw) for raw in msgspec.json.decode(body, type=Answer).time_entries.values()]
        yield records
        if len(records) < _PER_PAGE:
            return
        offset += len(records)


def tables(psa: str) -> Iterator[pa.Table]:
    """Yield Arrow tables of fifty pages each."""
    texts: list[bytes] = []
    for number, page in enumerate(pages(psa), 1):
        texts += page
        if number % _PAGES_A_TABLE == 0:
            yield _table(texts)
            texts = []
    if texts:
        yield _table(texts)


def _table(texts: list[bytes]) -> pa.Table:
    entries = msgspec.json.decode(b"[" + b",".join(texts) + b"]", type=list[TimeEntry])
    columns: dict[str, list[Any]] = {name: [getattr(e, name) for e in entries] for name in _FIELDS if name != "payload"}
    return pa.table(columns | {"payload": [text.decode() for text in texts]}, schema=_SCHEMA)


def main(url: str, psa: str, file_format: str, folder: str) -> None:
    """Run the pipeline once, from nothing."""
    os.environ |= {
        "RUNTIME__LOG_LEVEL": "ERROR",
        "RUNTIME__DLTHUB_TELEMETRY": "false",
        "DATA_WRITER__DISABLE_COMPRESSION": "true",
    }
    os.environ["NORMALIZE__PARQUET_NORMALIZER__ADD_DLT_LOAD_ID"] = "false"
    pipeline = dlt.pipeline(
        "bench", pipelines_dir=folder, destination=dlt.destinations.postgres(url), dataset_name="dlt_land"
    )
    began = time.perf_counter()
    resource = dlt.resource(tables(psa), name="time_entries", write_disposition="append")
    pipeline.run(resource, loader_file_format=file_format)
    say(seconds=time.perf_counter() - began)


if __name__ == "__main__":
    main(*arguments())
