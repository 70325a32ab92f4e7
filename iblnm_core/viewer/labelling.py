"""The form with which somebody says what a recording is worth. Labels are only ever added to the log of the root."""

import getpass

import panel as pn

from iblnm_core.cohort.labels import VERDICTS, add_label, read_labels
from iblnm_core.errors import IblnmError
from iblnm_core.viewer import rendering
from iblnm_core.viewer.panes import html_pane, wrapped_row
from iblnm_core.viewer.stored import SessionView


class Labelling:
    """The form of a page, and the labels that the recording has.

    Parameters
    ----------
    session : SessionView
    recording : str
        Empty when the session has none.
    """

    def __init__(self, session: SessionView, recording: str) -> None:
        self._session, self._recording = session, recording
        self._verdict = pn.widgets.RadioButtonGroup(name="Verdict", options=list(VERDICTS), value="keep")
        self._note = pn.widgets.TextInput(name="Note", placeholder="why", width=420, css_classes=["note"])
        self._author = pn.widgets.TextInput(
            name="Your name", value=getpass.getuser(), width=160, css_classes=["author"]
        )
        save = pn.widgets.Button(name="Save label", button_type="primary", css_classes=["save-label"])
        save.on_click(lambda _: self._save())
        self._heading, self._labels = html_pane(""), html_pane("", css_classes=["labels"])
        self.pane = pn.Column(
            self._heading,
            wrapped_row(self._verdict, self._note, self._author, save),
            self._labels,
            css_classes=["labelling"],
        )
        self.show(recording)

    def show(self, recording: str, problem: str = "") -> None:
        """Show the labels of a recording, and what was wrong with one that was refused."""
        self._recording = recording
        self.pane.visible = bool(recording)
        fiber = self._session.recordings.get(recording)
        rows = read_labels(self._session.root.path).rows
        own = rows[(rows["eid"] == self._session.eid) & (rows["fiber_idx"] == fiber)]
        self._heading.object = rendering.label_heading_html(recording)
        self._labels.object = rendering.labels_html(own, problem)

    def _save(self) -> None:
        note, author = (str(box.value_input or box.value) for box in (self._note, self._author))
        fiber, problem = self._session.recordings[self._recording], ""
        try:
            add_label(self._session.root.path, self._session.eid, fiber, self._verdict.value, note=note, author=author)
        except IblnmError as error:
            problem = str(error)
        else:
            self._note.param.update(value="", value_input="")
        self.show(self._recording, problem)
