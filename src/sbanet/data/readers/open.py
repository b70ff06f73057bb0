"""The open layout that any dataset can be written to: Parquet records with masks as run lengths, and image files.

`records.parquet` holds a row a sentence: the fields of `Record`, the image's file below `images/`, its height and
width, and the mask as COCO's compressed run lengths. Nothing in it needs this project to be read.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from sbanet.data.records import Record
from sbanet.errors import DataError
from sbanet.files import open_atomically

RECORDS = "records.parquet"
IMAGES = "images"

SCHEMA = pa.schema(
    [
        ("sample_id", pa.string()),
        ("image", pa.string()),
        ("instance", pa.int64()),
        ("expression", pa.string()),
        ("split", pa.string()),
        ("category", pa.string()),
        ("tags", pa.list_(pa.string())),
        ("file", pa.string()),
        ("height", pa.int32()),
        ("width", pa.int32()),
        ("counts", pa.string()),
    ]
)


@dataclass(frozen=True, slots=True)
class OpenRow:
    """A row of the records.

    Attributes:
        record: the sample.
        file: of its image, below `images/`.
        height: of the image, pixels.
        width: of the image, pixels.
        counts: the mask, COCO's compressed run lengths.
    """

    record: Record
    file: str
    height: int
    width: int
    counts: str


def write_records(folder: Path, rows: Sequence[OpenRow]) -> None:
    """Write the records of all splits in one step."""
    table = [asdict(row.record) | {key: getattr(row, key) for key in SCHEMA.names[7:]} for row in rows]
    with open_atomically(folder / RECORDS) as file:
        pq.write_table(pa.Table.from_pylist(table, schema=SCHEMA), file)


def read_records(folder: Path) -> list[OpenRow]:
    """Read the records of all splits.

    Raises:
        DataError: no such file, or one that is not as the layout says.
    """
    path = folder / RECORDS
    if not path.is_file():
        raise DataError(f"{path}: no such file; write the layout by sbanet-data convert data=... out={folder}")
    try:
        table = pq.read_table(path)
        if lacks := [name for name in SCHEMA.names if name not in table.column_names]:
            raise ValueError(f"it has no column {', '.join(lacks)}")
        return [_row(row) for row in table.select(SCHEMA.names).cast(SCHEMA).to_pylist()]
    except (OSError, pa.ArrowException, TypeError, ValueError) as error:
        reason = str(error).partition("\n")[0]
        raise DataError(f"{path}: is damaged ({reason}); write it anew by sbanet-data convert") from error


def _row(row: dict[str, Any]) -> OpenRow:
    if missing := [key for key, value in row.items() if value is None]:
        raise ValueError(f"sample {row['sample_id']} has no {missing[0]}")
    fields = {name: row[name] for name in SCHEMA.names[:7]} | {"tags": tuple(row["tags"])}
    return OpenRow(Record(**fields), *(row[name] for name in SCHEMA.names[7:]))
