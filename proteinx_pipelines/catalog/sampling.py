"""Draw rows at random, depending on their content, not on their order.

Every row gets a 64-bit number from its own content and the seed; the rows with the smallest numbers are drawn. The same
seed therefore draws the same rows from a catalog imported in another order, and nearly the same rows from one that has
grown.
"""

import numpy as np
import pyarrow as pa

_CHUNK_ROWS = 200_000
_MISSING_SCORE = np.float64("nan")


def draw_rows(table: pa.Table, n_rows: int, seed: int) -> pa.Table:
    """Draw `n_rows` of the table, uniformly without replacement, in the table's order; all if it has no more.

    Args:
        table: rows with `source`, `mutant` (string) and `DMS_score` (float64).
        n_rows: number of rows to draw, >= 1.
        seed: another seed gives an independent draw.
    """
    if n_rows >= table.num_rows:
        return table
    order = np.argsort(row_numbers(table, seed), kind="stable")
    return table.take(pa.array(np.sort(order[:n_rows])))


def row_numbers(table: pa.Table, seed: int) -> np.ndarray:
    """Hash each row's source, mutant and score, uint64 [N].

    Multilinear hashing: each byte of a text times a random 64-bit number of its place, summed modulo 2^64,
    then mixed. The random numbers are PCG64's raw stream, which NumPy keeps stable across versions.

    Source:
        Carter and Wegman 1979, doi:10.1016/0022-0000(79)90044-8; the mixing is SplitMix64's (Steele, Lea and
        Flood 2014, doi:10.1145/2660193.2660195).
    """
    chunks = [np.zeros(0, np.uint64)]
    for begin in range(0, table.num_rows, _CHUNK_ROWS):
        rows = table.slice(begin, _CHUNK_ROWS)
        scores = rows.column("DMS_score").fill_null(_MISSING_SCORE).to_numpy()
        numbers = _mixed(scores.view(np.uint64))
        for name in ("source", "mutant"):
            numbers = _mixed(numbers ^ _text_numbers(rows.column(name), seed))
        chunks.append(numbers)
    return np.concatenate(chunks)


def _text_numbers(column: pa.ChunkedArray, seed: int) -> np.ndarray:
    array = column.cast(pa.large_binary()).combine_chunks()
    array = array if isinstance(array, pa.Array) else array.chunk(0)
    _, offsets, data = array.buffers()
    bounds = np.frombuffer(offsets, np.int64)[array.offset : array.offset + len(array) + 1]
    begin = int(bounds[0])
    text = np.frombuffer(data or b"", np.uint8)[begin : int(bounds[-1])].astype(np.uint64)
    lengths = np.diff(bounds)
    place = np.arange(len(text)) - np.repeat(bounds[:-1] - begin, lengths)
    factors = np.random.PCG64(seed).random_raw(int(lengths.max()) + 1)
    sums = np.concatenate([np.zeros(1, np.uint64), np.cumsum((text + np.uint64(1)) * factors[place + 1])])
    return np.asarray(sums[bounds[1:] - begin] - sums[bounds[:-1] - begin] + factors[0])


def _mixed(numbers: np.ndarray) -> np.ndarray:
    numbers = numbers + np.uint64(0x9E3779B97F4A7C15)
    numbers = (numbers ^ (numbers >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    numbers = (numbers ^ (numbers >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(numbers ^ (numbers >> np.uint64(31)))
