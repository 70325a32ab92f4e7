"""What somebody looks at, as the address of a page says it: whatever is no sensible value there is left as it is by default."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Literal, get_args, get_type_hints
from urllib.parse import urlencode

Order = Literal["trial", "outcome", "reaction_time"]
ORDERS: tuple[Order, ...] = get_args(Order)

_LONGEST = 200


@dataclass(frozen=True)
class ViewState:
    """A view of a session.

    Attributes
    ----------
    eid : str
    region, compare : str
        Names of recordings; empty for the first one, and for none to compare with.
    t0, t1 : float or None
        Ends of what is seen of the signals, s; None for all.
    trial : int or None
        The trial that is marked.
    order : {'trial', 'outcome', 'reaction_time'}
        Of the rows of heat maps.
    baseline, mask, events, wheel : bool
        What comes before an event is taken away; samples after the next event are hidden; lines at events; the wheel is shown.
    """

    eid: str = ""
    region: str = ""
    compare: str = ""
    t0: float | None = None
    t1: float | None = None
    trial: int | None = None
    order: Order = "trial"
    baseline: bool = False
    mask: bool = False
    events: bool = False
    wheel: bool = False

    @property
    def window(self) -> tuple[float, float] | None:
        """What is seen of the signals, s; None for all."""
        return None if self.t0 is None or self.t1 is None or self.t0 >= self.t1 else (self.t0, self.t1)

    @property
    def query(self) -> str:
        """The part of an address after the question mark; what is as by default is left out."""
        given = {field.name: getattr(self, field.name) for field in fields(self)}
        return urlencode(
            {
                name: f"{value:.3f}" if isinstance(value, float) else int(value) if isinstance(value, bool) else value
                for name, value in given.items()
                if value != field_default(name)
            }
        )

    @classmethod
    def of_query(cls, query: Mapping[str, str]) -> "ViewState":
        """Return the view that an address asks for.

        Parameters
        ----------
        query : mapping of str to str
        """
        kinds = get_type_hints(cls)
        read = {name: _value(kinds[name], query[name][:_LONGEST]) for name in kinds if name in query}
        return cls(**{name: value for name, value in read.items() if value is not None})

    def of_other(self, eid: str) -> "ViewState":
        """Return the same look at another session."""
        return replace(self, eid=eid, region="", compare="", t0=None, t1=None, trial=None)


def field_default(name: str) -> Any:
    """Return what a field of a view is when nothing is said."""
    return getattr(ViewState, name)


def _value(kind: Any, text: str) -> Any:
    """Return a text of an address as a value of a field; None when it is none."""
    if kind is bool:
        return {"1": True, "0": False}.get(text)
    if kind is Order:
        return text if text in ORDERS else None
    if kind is str:
        return text
    try:
        number = int(text) if kind == int | None else float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) and number >= 0 else None
