"""Broken files made from sound ones: what a disk, a copy that was cut off, or another program makes of a file."""

import io
import random
from dataclasses import dataclass

import numpy as np

_LONGEST_RUN = 256
_FLIPS = 16


@dataclass(frozen=True)
class Mutation:
    """One broken file: which, in what way, and what it holds then."""

    path: str
    kind: str
    content: bytes

    def __str__(self):
        return f"{self.path}: {self.kind}"


def mutations(sound, count, seed):
    """Yield so many broken files, always the same for a seed.

    Parameters
    ----------
    sound : mapping of str to bytes
        Contents by path; each is broken in turn.
    count, seed : int
    """
    # the first so many of a long series are those of a short one
    source = random.Random(seed)
    paths = sorted(sound)
    order = source.sample(paths, len(paths))
    for number in range(count):
        path = order[number % len(order)]
        yield mutated(source, path, sound)


def mutated(source, path, sound):
    """Return one broken form of a file."""
    content = sound[path]
    others = [other for name, other in sorted(sound.items()) if name != path]
    ways, forms = [*_BYTES], [*_FORMS.get(path.rpartition(".")[2], {}).items()]
    # half of them know what a format is
    kind, way = source.choice(source.choice([ways, forms or ways]))
    if kind == "content of another file":
        return Mutation(path, kind, source.choice(others))
    return Mutation(path, kind, way(source, content))


def _flipped(source, content, count=1):
    broken = bytearray(content)
    for _ in range(count if broken else 0):
        broken[source.randrange(len(broken))] ^= 1 << source.randrange(8)
    return bytes(broken)


def _edge_flipped(source, content):
    """Flip a bit where formats keep what describes the rest: at the start or at the end."""
    edge = min(len(content), 512)
    start = source.choice([0, len(content) - edge])
    return content[:start] + _flipped(source, content[start : start + edge]) + content[start + edge :]


def _overwritten(source, content, byte=None):
    start = source.randrange(len(content) or 1)
    run = source.randint(1, min(_LONGEST_RUN, max(len(content) - start, 1)))
    return content[:start] + (source.randbytes(run) if byte is None else byte * run) + content[start + run :]


def _duplicated(source, content):
    start = source.randrange(len(content) or 1)
    block = content[start : start + source.randint(1, 4096)]
    return content[: start + len(block)] + block + content[start + len(block) :]


def _without_block(source, content):
    start = source.randrange(len(content) or 1)
    return content[:start] + content[start + source.randint(1, 4096) :]


_BYTES = (
    ("one bit flipped", _flipped),
    ("one bit flipped near an end", _edge_flipped),
    (f"{_FLIPS} bits flipped", lambda source, content: _flipped(source, content, _FLIPS)),
    ("a run overwritten", _overwritten),
    ("a run of zeros", lambda source, content: _overwritten(source, content, b"\0")),
    ("truncated", lambda source, content: content[: source.randrange(len(content) or 1)]),
    ("emptied", lambda _source, _content: b""),
    ("a block twice", _duplicated),
    ("a block missing", _without_block),
    ("halves swapped", lambda _source, content: content[len(content) // 2 :] + content[: len(content) // 2]),
    ("content of another file", None),
)


def _npy(change):
    def rewrite(source, content):
        target = io.BytesIO()
        np.save(target, change(source, np.load(io.BytesIO(content))), allow_pickle=True)
        return target.getvalue()

    return rewrite


def _one_value(value, *, last=False):
    def put(source, values):
        changed = values.copy()
        changed[-1 if last else source.randrange(len(changed))] = value
        return changed

    return put


def _parquet(change):
    import pyarrow as pa
    import pyarrow.parquet as pq

    def rewrite(source, content):
        target = io.BytesIO()
        table = pq.read_table(io.BytesIO(content))
        changed = change(source, table)
        pq.write_table(changed if isinstance(changed, pa.Table) else pa.table(changed), target)
        return target.getvalue()

    return rewrite


def _with_column(make):
    import pyarrow as pa

    def change(source, table):
        at = source.randrange(table.num_columns)
        name, column = table.column_names[at], table.column(at)
        return table.set_column(at, name, pa.array(make(source, table, column)))

    return change


def _nothing(_source, table, column):
    import pyarrow as pa

    return pa.nulls(table.num_rows, column.type)


def _odd_value(value, *, last=False):
    """Put one value into a column of numbers."""
    import pyarrow as pa

    def change(source, table):
        numeric = [i for i, field in enumerate(table.schema) if pa.types.is_floating(field.type)]
        if not numeric or not table.num_rows:
            return table
        at = source.choice(numeric)
        values = table.column(at).to_pylist()
        values[-1 if last else source.randrange(len(values))] = value
        return table.set_column(at, table.column_names[at], pa.array(values, table.schema.field(at).type))

    return change


def _lists(_source, table, _column):
    return [[1.0] for _ in range(table.num_rows)]


def _repeated_name(source, table):
    names = table.column_names
    at = source.randrange(len(names))
    return table.rename_columns([names[at - 1] if i == at else name for i, name in enumerate(names)])


_FORMS = {
    "npy": {
        "float32": _npy(lambda _, v: v.astype(np.float32)),
        "text": _npy(lambda _, v: v.astype("U8")),
        "complex": _npy(lambda _, v: v.astype(complex)),
        "pickled objects": _npy(lambda _, v: v.astype(object)),
        "a column too many": _npy(lambda _, v: np.column_stack([v, v])),
        "a single number": _npy(lambda _, v: v[0]),
        "no values": _npy(lambda _, v: v[:0]),
        "one value": _npy(lambda _, v: v[:1]),
        "one value is infinite": _npy(_one_value(np.inf)),
        "one value is huge": _npy(_one_value(1e300)),
        "the last value is huge": _npy(_one_value(1e300, last=True)),
        "the last value is large": _npy(_one_value(1e12, last=True)),
        "one value is no number": _npy(_one_value(np.nan)),
        "backwards": _npy(lambda _, v: v[::-1]),
    },
    "pqt": {
        "a column of text": _parquet(_with_column(lambda _, _t, c: [str(v) for v in c.to_pylist()])),
        "a column of nothing": _parquet(_with_column(_nothing)),
        "a column of lists": _parquet(_with_column(_lists)),
        "a column less": _parquet(lambda s, t: t.remove_column(s.randrange(t.num_columns))),
        "a column twice": _parquet(_repeated_name),
        "one value is huge": _parquet(_odd_value(1e300)),
        "one value is infinite": _parquet(_odd_value(float("-inf"))),
        "one value is missing": _parquet(_odd_value(None)),
        "the last value is huge": _parquet(_odd_value(1e300, last=True)),
        "the last value is large": _parquet(_odd_value(1e12, last=True)),
        "no rows": _parquet(lambda _, t: t.slice(0, 0)),
        "one row": _parquet(lambda _, t: t.slice(0, 1)),
        "rows twice": _parquet(lambda s, t: t.take(sorted([*range(t.num_rows), s.randrange(t.num_rows)]))),
        "rows backwards": _parquet(lambda _, t: t.take(list(range(t.num_rows))[::-1])),
        "no columns": _parquet(lambda _, t: t.select([])),
    },
    "yaml": {
        "a list": lambda _source, _content: b"- 1\n- {a: b}\n",
        "a text": lambda _source, _content: b"devices",
        "deep": lambda _source, _content: b"[" * 100_000,
        "lists for maps": lambda _source, _content: b"devices: [1, 2]\ntasks: {a: b}\nprojects: {x: 1}\n",
        "maps in the place of names": lambda _source, _content: (
            b"devices: {neurophotometrics: {fibers: {G0: {location: {a: 1}}, G1: [1]}}}\ntasks: [[1], {1: 2}]\n"
        ),
    },
    "json": {
        "a list": lambda _source, _content: b"[1, 2]",
        "a number": lambda _source, _content: b"1e999",
        "deep": lambda _source, _content: b"[" * 100_000,
    },
    "csv": {
        "no header": lambda _source, content: content.partition(b"\n")[2],
        "another separator": lambda _source, content: content.replace(b",", b";"),
    },
}
