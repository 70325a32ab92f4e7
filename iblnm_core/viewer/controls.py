"""The controls of a page: which there are, and how they look. What follows from them stands in `page`."""

import io
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import panel as pn

from iblnm_core.viewer.panes import wrapped_row
from iblnm_core.viewer.rendering import own_text
from iblnm_core.viewer.state import ORDERS, ViewState

NOTHING = "none"
"""What is chosen when nothing is compared with."""

TOGGLES: Mapping[str, str] = MappingProxyType(
    {
        "events": "Lines at events",
        "wheel": "Wheel",
        "baseline": "Less baseline",
        "mask": "Hide after next event",
    }
)
"""Fields of a view that are on or off, and what their boxes say."""

_ORDER_WORDS = {"trial": "trial", "outcome": "outcome and contrast", "reaction_time": "reaction time"}


class Controls:
    """The controls of one page.

    Parameters
    ----------
    recordings : sequence of str
    state : ViewState
    press : callable
        Told the key that a button stands for.
    downloads : mapping of str to callable
        What can be taken home, by suffix of the file: a function that makes it.
    name : str
        Of the files, without suffix.
    """

    def __init__(
        self,
        recordings: Sequence[str],
        state: ViewState,
        press: Callable[[str], None],
        downloads: Mapping[str, tuple[str, Callable[[], io.BytesIO]]],
        name: str,
    ) -> None:
        select: Any = pn.widgets.Select
        names, others = list(recordings), [NOTHING, *recordings]
        orders = {_ORDER_WORDS[order]: order for order in ORDERS}
        self.region = select(name="Recording", options=names, value=state.region or None, width=150)
        self.compare = select(name="Compare with", options=others, value=state.compare or NOTHING, width=150)
        self.order = select(name="Order of trials", options=orders, value=state.order, width=190)
        on = [toggle for toggle in TOGGLES if getattr(state, toggle)]
        words = {words: toggle for toggle, words in TOGGLES.items()}
        self.boxes = pn.widgets.CheckBoxGroup(options=words, value=on, inline=True, css_classes=["toggles"])
        buttons = [
            pn.widgets.Button(name=label, css_classes=[css], on_click=lambda _, key=key: press(key))
            for label, css, key in (
                ("Full view", "full-view", "0"),
                ("\N{LEFTWARDS ARROW} Trial", "previous-trial", "k"),
                ("Trial \N{RIGHTWARDS ARROW}", "next-trial", "j"),
                ("Keys", "show-keys", "?"),
            )
        ]
        files = [
            pn.widgets.FileDownload(callback=made, filename=f"{name}.{suffix}", label=label, css_classes=[suffix])
            for suffix, (label, made) in downloads.items()
        ]
        picture = pn.widgets.Button(name="This view (PNG)", css_classes=["png"])
        # the browser alone has the picture
        picture.js_on_click(args={"name": f"{name}.png"}, code=own_text("png.js"))
        choices = (self.region, self.compare, self.order, self.boxes)
        self.pane = wrapped_row(*choices, *buttons, *files, picture, css_classes=["controls"])

    def toggle(self, name: str) -> None:
        """Turn a check box over."""
        self.boxes.value = [other for other in TOGGLES if (other in self.boxes.value) != (other == name)]

    def next_order(self) -> None:
        """Choose the next order of trials."""
        self.order.value = ORDERS[(ORDERS.index(self.order.value) + 1) % len(ORDERS)]

    def next_region(self) -> None:
        """Choose the next recording."""
        names = self.region.options
        if names:
            self.region.value = names[(names.index(self.region.value) + 1) % len(names)]
