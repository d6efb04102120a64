"""Data frames of pandas as files: Parquet where pyarrow is, else CSV. Nothing is ever pickled.

https://parquet.apache.org/docs/file-format/
"""

import io
import sys
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, NamedTuple, TypeGuard

from linkup_nb.errors import DecodeError, UsageError

if TYPE_CHECKING:
    import pandas as pd

MAX_FRAME_FILE = 256 * 1_048_576  # bytes of the file of a data frame
MAX_FRAME_BYTES = 1024 * 1_048_576  # bytes that one of somebody else's may take here, once it is read
MAX_INDEX = 16  # columns of a CSV file that are its index
MAX_FRAME_COLUMNS = 10_000  # of a table of somebody else's
MAX_CSV_CELLS = 20_000_000  # of one in CSV, each of which takes some dozen bytes
BATCH = 16_384  # rows of a Parquet file that are read at once
BATCH_BYTES = 64 * 1_048_576  # of their columns of a fixed width
PARQUET = "application/vnd.apache.parquet"
CSV = "text/csv"
SAFE_PYARROW = (14, 0, 1)  # earlier ones run code that a file brings: CVE-2023-47248


class FrameFile(NamedTuple):
    """The file of a data frame: `suffix` of its name, and `about` it: rows, columns, size, columns of its index."""

    suffix: str
    mime: str
    data: bytes
    about: dict[str, int]


def is_frame(value: object) -> "TypeGuard[pd.DataFrame]":
    """Whether this is a data frame of pandas, which need not be installed."""
    pandas = sys.modules.get("pandas")
    return pandas is not None and isinstance(value, pandas.DataFrame)


def frame_file(frame: "pd.DataFrame", *, csv: bool = False) -> FrameFile:
    """The file of a data frame. Raises `UsageError` for one that is too large.

    CSV keeps the values and loses their types; it is taken with `csv`, without pyarrow, and for what Parquet cannot
    hold, such as a column of lists and texts.
    """
    data = None if csv else _parquet_of(frame)
    suffix, mime, index = ".parquet", PARQUET, 0
    if data is None:
        plain = frame.index.names == [None] and list(frame.index) == list(range(len(frame)))
        suffix, mime, index = ".csv", CSV, 0 if plain else frame.index.nlevels
        data = frame.to_csv(index=not plain).encode(errors="replace")
    if len(data) > MAX_FRAME_FILE:
        raise UsageError(
            f"This table is a file of {len(data) / 1_048_576:.0f} MiB, and one has at most"
            f" {MAX_FRAME_FILE // 1_048_576}: send a part of it, or put it into a drive, with `drive.put`."
        )
    rows, columns = frame.shape
    return FrameFile(suffix, mime, data, {"rows": rows, "columns": columns, "size": len(data), "index": index})


def has_frame(path: str | None) -> bool:
    """Whether the file of an output is that of a data frame."""
    return path is not None and PurePosixPath(path).suffix in (".parquet", ".csv")


def frame_size(metadata: Mapping[str, Any]) -> int:
    """The bytes of the file of a data frame, as its author says in the metadata of the output."""
    about = metadata.get(PARQUET, metadata.get(CSV))
    size = about.get("size") if isinstance(about, dict) else 0
    return size if isinstance(size, int) and 0 < size <= MAX_FRAME_FILE else 0


def read_frame(path: str, data: bytes, metadata: Mapping[str, Any]) -> "pd.DataFrame":
    """The data frame in a file, which somebody else may have written.

    Raises `DecodeError` for what is none or would swell to over `MAX_FRAME_BYTES`, `UsageError` where a package is
    missing.
    """
    if PurePosixPath(path).suffix == ".parquet":
        return _read_parquet(data)
    try:
        import pandas as pd
    except ImportError:
        raise UsageError("A table needs pandas: run %pip install pandas.") from None
    if data[: data.find(b"\n") + 1 or None].count(b",") >= MAX_FRAME_COLUMNS:
        raise DecodeError(f"This table has over {MAX_FRAME_COLUMNS:,} columns: it is not read.")
    if data.count(b",") + data.count(b"\n") > MAX_CSV_CELLS:
        raise DecodeError(f"This table has over {MAX_CSV_CELLS:,} cells: it is not read.")
    about = metadata.get(CSV)
    index = about.get("index") if isinstance(about, dict) else 0
    levels = list(range(index)) if isinstance(index, int) and 0 < index <= MAX_INDEX else None
    try:
        return pd.read_csv(io.BytesIO(data), index_col=levels)
    except (ValueError, IndexError, TypeError, RecursionError) as error:
        raise DecodeError(f"This is no table: {error}.") from None


def _parquet_of(frame: "pd.DataFrame") -> bytes | None:
    try:
        from pyarrow import ArrowException
    except ImportError:
        return None
    out = io.BytesIO()
    try:
        frame.to_parquet(out, engine="pyarrow")
    except (ArrowException, ValueError, TypeError, OverflowError):
        return None
    return out.getvalue()


def _read_parquet(data: bytes) -> "pd.DataFrame":
    try:
        import pandas  # noqa: F401  # `to_pandas` needs it, and says so less clearly
    except ImportError:
        raise UsageError("A Parquet table needs pandas and pyarrow: run %pip install pandas pyarrow.") from None
    table, _ = parquet_table(data, MAX_FRAME_BYTES)
    frame: pd.DataFrame = table.to_pandas()
    return frame


def parquet_table(data: bytes, most: int, rows: int | None = None) -> tuple[Any, int]:
    """The table of Arrow in a Parquet file of a stranger, or its first `rows`; and how many rows it has in all.

    Raises `DecodeError` for what is none, or would take over `most` bytes here; `UsageError` where pyarrow is missing.
    """
    try:
        import pyarrow as pa
        import pyarrow.parquet as parquet
    except ImportError:
        raise UsageError("A Parquet table needs pandas and pyarrow: run %pip install pandas pyarrow.") from None
    if tuple(int(part) for part in pa.__version__.split(".")[:3] if part.isdigit()) < SAFE_PYARROW:
        raise UsageError("This pyarrow would run code that a file brings: run %pip install -U pyarrow.")
    try:
        plain = parquet.ParquetFile(io.BytesIO(data))
        columns = [plain.schema.column(at) for at in range(min(len(plain.schema), MAX_FRAME_COLUMNS + 1))]
        if len(columns) > MAX_FRAME_COLUMNS:
            raise DecodeError(f"This table has over {MAX_FRAME_COLUMNS:,} columns: it is not read.")
        # Texts stay in the dictionaries of the file, for a few bytes of it may name one of MiBs a million times.
        texts = [column.path for column in columns if column.physical_type == "BYTE_ARRAY"]
        file = parquet.ParquetFile(io.BytesIO(data), read_dictionary=texts)
        width = sum(max(0, column.length or 0) for column in columns)
        batches, size, left = [], 0, rows
        for batch in file.iter_batches(batch_size=max(1, min(rows or BATCH, BATCH, BATCH_BYTES // (width + 1)))):
            batch = batch if left is None else batch[:left]
            size += sum(_decoded_size(column) for column in batch.columns)
            if size > most:
                raise DecodeError(f"This table swells to over {most // 1_048_576} MiB: it is not read.")
            batches.append(batch)
            if left is not None and (left := left - len(batch)) <= 0:
                break
        table = pa.Table.from_batches(batches, schema=file.schema_arrow)
        return table.cast(plain.schema_arrow), plain.metadata.num_rows
    except (pa.ArrowException, OSError, ValueError, KeyError, TypeError, RecursionError, OverflowError) as error:
        if isinstance(error, DecodeError):
            raise
        raise DecodeError(f"This is no table: {error}.") from None


def _decoded_size(array: Any) -> int:
    """The bytes of an array of Arrow once what it takes out of dictionaries stands there itself."""
    import pyarrow as pa
    import pyarrow.compute as compute

    kind = array.type
    if pa.types.is_dictionary(kind):
        plain = kind.value_type
        if not (pa.types.is_string(plain) or pa.types.is_binary(plain) or pa.types.is_large_string(plain)):
            return int(array.nbytes) + 16 * len(array)
        lengths = compute.take(compute.binary_length(array.dictionary), array.indices)
        return 8 * len(array) + (compute.sum(lengths).as_py() or 0)
    if pa.types.is_struct(kind):
        return sum(_decoded_size(array.field(at)) for at in range(kind.num_fields))
    if pa.types.is_map(kind):
        return _decoded_size(array.keys) + _decoded_size(array.items)
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        return 8 * len(array) + _decoded_size(array.flatten())
    return int(array.nbytes)
