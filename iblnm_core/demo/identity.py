"""Who is who in the synthetic cohort: session keys, ids, and one random stream per component. Nothing is drawn here."""

import datetime as dt
import hashlib
from dataclasses import dataclass

import numpy as np

from iblnm_core.identifiers import uuid_from

LAB = "demolab"


@dataclass(frozen=True, order=True)
class SessionKey:
    """What makes a session one and the same: everything about it follows from this, its plan and the cohort's seed.

    Attributes
    ----------
    lab, subject : str
    date : datetime.date
    number : int
        Of the session on its day, from 1 on.
    """

    lab: str
    subject: str
    date: dt.date
    number: int

    def __str__(self) -> str:
        return f"{self.lab}/{self.subject}/{self.date}/{self.number}"

    @property
    def folder(self) -> str:
        """Session folder relative to the root of the cache, posix."""
        return f"{self.lab}/Subjects/{self.subject}/{self.date}/{self.number:03d}"

    def eid(self, seed: int) -> str:
        """Return the session id; it names the seed too, so that two seeds cannot be mixed unnoticed."""
        return uuid_from(f"iblnm-demo|{seed}|{self.lab}|{self.subject}|{self.date}|{self.number}")


def dataset_id(eid: str, path: str) -> str:
    """Return the id of a dataset from its session's id and its path below the session folder."""
    return uuid_from(f"{eid}|{path}")


def random_stream(seed: int, component: str) -> np.random.Generator:
    """Return the random stream of one component of the cohort.

    Streams of different names are independent, so a change in one component leaves all others bit-equal, and a session
    depends neither on the size of its cohort nor on the order in which it is made.

    Parameters
    ----------
    seed : int
        The cohort's seed, not negative.
    component : str
        For example `subject|NAME`, or a session key followed by `|wheel`.
    """
    digest = hashlib.blake2b(component.encode(), digest_size=8).digest()
    return np.random.Generator(np.random.PCG64DXSM([seed, int.from_bytes(digest, "little")]))
