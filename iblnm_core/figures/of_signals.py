"""Families of figures that show corrected signals or responses: their captions say by which correction."""

import dataclasses
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from iblnm_core.analyses.analysis import Tables
from iblnm_core.figures.family import Drawn, Family
from iblnm_core.figures.theme import Theme
from iblnm_core.parameters import Parameters

Draw = Callable[[Tables, Parameters, Theme], Iterator[Drawn]]


def of_signals(family: Family) -> Family:
    """Return a family whose captions name the correction of the signals behind it; it is drawn anew when that changes.

    Parameters
    ----------
    family : Family
    """
    return dataclasses.replace(family, draw=_Named(family.draw), sections=(*family.sections, "corrections"))


def correction_sentence(parameters: Parameters) -> str:
    """Return what captions say of the correction.

    Parameters
    ----------
    parameters : Parameters
    """
    # recordings whose primary correction fell back on another one are not selected
    return f"Signals are corrected by {parameters.corrections.primary}."


@dataclass(frozen=True)
class _Named:
    """How a family draws, with the correction in its captions."""

    draw: Draw

    def __call__(self, tables: Tables, parameters: Parameters, theme: Theme) -> Iterator[Drawn]:
        for drawn in self.draw(tables, parameters, theme):
            caption = drawn.caption if drawn.missing else f"{drawn.caption} {correction_sentence(parameters)}"
            yield dataclasses.replace(drawn, caption=caption)
