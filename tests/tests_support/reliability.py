"""The record of what faults did, one line of JSON per kind and outcome, and the page that is made of it.

`python -m tests_support.reliability RECORD PAGE` writes the page.
"""

import json
import os
import sys
from collections import Counter
from pathlib import Path

RECORD = "IBLNM_FAULT_RECORD"
"""Environment variable that names the file of the record; nothing is recorded without it."""


def record(fault, outcomes):
    """Add how tries of a fault ended.

    Parameters
    ----------
    fault : str
        A key of `FAULTS`.
    outcomes : mapping of str to int
        Tries by outcome.
    """
    assert fault in FAULTS, fault
    path = os.environ.get(RECORD)
    if path:
        with Path(path).open("a", encoding="utf-8") as file:
            file.write(json.dumps({"fault": fault, "outcomes": dict(outcomes)}) + "\n")


FAULTS = {
    "input mutated": (
        "A dataset, description or table of the source is broken: bits flipped, runs overwritten, cut off, emptied, blocks "
        "repeated or missing, halves swapped, other types and shapes, impossible values"
    ),
    "session file mutated": "The bytes of a stored session file are broken in the same ways",
    "table mutated": "The bytes of a stored table are broken in the same ways",
    "note or setting mutated": "The bytes of the settings or of one of the notes beside the tables are broken",
    "worker killed": "The process that computes a session gets SIGKILL at a random moment",
    "run killed": "`iblnm run` gets SIGKILL at a random moment",
    "daemon killed": "The daemon and the runs that it started get SIGKILL at a random moment of a run that the sensor asked for, and a new daemon starts",
    "disk full": "A writer meets a file system of its own that is full, at each of several amounts of free space",
    "event log locked": "Another process holds the event log of Dagster under an exclusive lock for some seconds",
    "two runs at once": "Two `iblnm run` start at the same time on one root",
    "clock jumps": "Times of input files lie decades in the past or in the future, and the clock of the process jumps",
    "source down": "The server stops answering in the middle of a batch",
    "out of memory": "The process of a session has no memory left",
}
"""Kinds of faults, and how each is made."""

_PAGE = """\
# Reliability: what faults were tried, and what they did

The promise: *after any fault every stored file is absent, old or new, never partial; every finished session is still finished;
`session_status` tells the truth; the next `iblnm run` brings everything up to date; and a bad input costs its own session alone, with a
typed error that names it.*

`make faults` makes the faults below on real files, real processes and a real event log, and holds the promise against what is there
afterwards. It ends by writing this page. Seeds are fixed: tries, their order and the broken bytes are the same every time; at which moment
of its work a process is when it is killed is not. `make test` makes the first few tries of the kinds that take seconds.

After every fault the suite reads every session file and table to the last byte and compares it with its checksum, compares the standing of
every output (`session_status`) with what its session file really holds, and lets a run follow. `iblnm doctor --root ROOT` makes such a
comparison on any root.

| Fault | Tries | How they ended |
| --- | ---: | --- |
{rows}

Nothing partial, nothing untyped, nothing that a run did not bring up to date: a try that ends in any other way fails the suite, and this
page is not written.

## How each fault is made

{faults}

## Words of the table

* *whole*: every stored file could be read, and was as it was or as it was to become.
* *old*, *new*, *absent*: the stored file was as before the fault, was what was to be written, or did not exist.
* *typed errors*: the session failed, with errors of the [list](errors.md) only; the other sessions were as before.
* *computed*: what was broken is not read, or what it says now is sound in itself.
* *refused*: the command ended with one message that names the file; nothing was changed.
* *left out*: the record is no session any more; the check of the listing names it.
* *detected*: reading said that the file is broken; *unharmed*: its content was the same to the last bit.
* *mended*: the next run, or the one that `iblnm doctor` names, made it anew.
"""


def page(lines):
    """Return the page.

    Parameters
    ----------
    lines : iterable of str
        Of the record.
    """
    found = {}
    for line in lines:
        entry = json.loads(line)
        found.setdefault(entry["fault"], Counter()).update(entry["outcomes"])
    rows = [_row(fault, found[fault]) for fault in FAULTS if fault in found]
    faults = [f"* **{fault.capitalize()}.** {how}." for fault, how in FAULTS.items()]
    return _PAGE.format(rows="\n".join(rows), faults="\n".join(faults))


def _row(fault, outcomes):
    tries = outcomes.pop("tries", None) or sum(outcomes.values())
    ended = ", ".join(f"{count} {outcome}" for outcome, count in sorted(outcomes.items(), key=lambda pair: -pair[1]))
    return f"| {fault} | {tries:,} | {ended} |"


if __name__ == "__main__":
    Path(sys.argv[2]).write_text(page(Path(sys.argv[1]).read_text(encoding="utf-8").splitlines()), encoding="utf-8")
