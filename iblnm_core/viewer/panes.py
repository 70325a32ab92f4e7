"""Panes that pages are put together of: text of our templates, figures, and the link to the browser."""

from collections.abc import Callable
from typing import Any

import panel as pn
import param

from iblnm_core.viewer import rendering


def html_pane(text: str, **options: Any) -> Any:
    """Return text of a template in the style of the pages; each pane has a tree of its own that no other style reaches."""
    return pn.pane.HTML(text, stylesheets=[rendering.own_text("style.css")], **options)


def figure_pane(figure: Any, *, wide: bool = False) -> Any:
    """Return a figure as a part of a page; a wide one is as wide as the page."""
    return pn.pane.Bokeh(figure, **({"sizing_mode": "stretch_width"} if wide else {}))


def wrapped_row(*items: Any, **options: Any) -> Any:
    """Return items side by side, in several lines when the page is narrow."""
    return pn.Row(*items, styles={"flex-wrap": "wrap", "align-items": "end", "gap": "6px"}, **options)


class Noticed:
    """A part of a page, or a word in its place on why it is not there.

    What is not seen is taken out of the page: a hidden figure costs as much to lay out as one that is seen.

    Parameters
    ----------
    part : pane
    """

    def __init__(self, part: Any) -> None:
        self.part, self._notice = part, html_pane("")
        self.pane = pn.Column(part, sizing_mode="stretch_width")

    @property
    def shown(self) -> bool:
        """Whether the part is seen."""
        return bool(self.pane.objects == [self.part])

    def show(self) -> None:
        """Show the part."""
        if not self.shown:
            self.pane.objects = [self.part]

    def say(self, words: str) -> None:
        """Show the words, as HTML, in its place."""
        self._notice.object = words
        self.pane.objects = [self._notice]


class Browser(pn.custom.JSComponent):
    """What only the browser knows: keys, address, title."""

    query = param.String()
    page_title = param.String()
    keys_known = param.List(default=[])
    _esm = rendering.own_text("browser.js")

    def __init__(self, pressed: Callable[[str], None], **values: Any) -> None:
        super().__init__(**values)  # type: ignore[no-untyped-call]  # panel has few types
        self._pressed = pressed

    def _handle_msg(self, key: Any) -> None:
        if key in self.keys_known:
            self._pressed(key)
