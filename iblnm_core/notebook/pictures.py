"""Pictures of one session for notebooks: what the session object has, drawn as reports draw it. Nothing is fitted anew."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from iblnm_core.errors import CorrectionUnavailable, NotLoaded
from iblnm_core.session import transient_stage
from iblnm_core.session.corrections_layout import trace_of
from iblnm_core.storage.session_file import Part, SessionFile

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from iblnm_core.figures.correction_view import BandSamples, CorrectionView
    from iblnm_core.figures.theme import Theme
    from iblnm_core.notebook.loading import LoadedSession


def correction(session: "LoadedSession", region: str, name: str | None) -> "Figure":
    """Return the picture of a correction over the session; in words why there is none."""
    from iblnm_core.figures.correction_panel import correction_panel

    group, _ = _part(session, region)
    return _drawn(session, lambda theme: correction_panel(_view(session, region, name), group, theme), group)


def correction_zoom(session: "LoadedSession", region: str, name: str | None) -> "Figure":
    """Return the picture of two close looks at a correction; in words why there is none."""
    from iblnm_core.figures.correction_panel import correction_zoom

    def draw(theme: "Theme") -> "Figure":
        found = transient_stage.transient_rows(_transients(session, part))
        return correction_zoom(_view(session, region, name), found, group, theme)

    group, part = _part(session, region)
    return _drawn(session, draw, group)


def correction_comparison(session: "LoadedSession", region: str) -> "Figure":
    """Return the picture of the responses under every correction."""
    from iblnm_core.figures.correction_comparison import compare, comparison_figure

    group, part = _part(session, region)
    trials = _trials(session)
    found = compare(part, trials, (session.row["eid"], group), session.parameters)
    return _drawn(session, lambda _: comparison_figure({group: found}), group)


def transients(session: "LoadedSession", region: str) -> "Figure":
    """Return the picture of the transients of the primary correction; in words why there is none."""
    from iblnm_core.figures.transient_panel import transient_panel

    group, part = _part(session, region)
    return _drawn(session, lambda theme: transient_panel(part, _transients(session, part), group, theme), group)


def _drawn(session: "LoadedSession", draw: Callable[["Theme"], "Figure"], group: str) -> "Figure":
    import matplotlib as mpl

    from iblnm_core.figures.family import empty_figure
    from iblnm_core.figures.theme import THEMES

    theme = THEMES[session.parameters.figures.theme]
    with mpl.rc_context(theme.rc):
        try:
            figure = draw(theme)
        except CorrectionUnavailable as error:
            figure = empty_figure(group, str(error))
        # ticks are made while drawing, and would look otherwise outside
        figure.draw_without_rendering()
    return figure


def _part(session: "LoadedSession", region: str) -> tuple[str, Part]:
    """Return the name of a region's fibre, with its side, and the fibre's corrections."""
    if not session.corrections:
        raise NotLoaded(f"session {session.row['eid']}: call load_h5() or preprocess() first")
    group = session.corrections.name_of(region)
    return group, session.corrections[group]


def _view(session: "LoadedSession", region: str, name: str | None) -> "CorrectionView":
    from iblnm_core.figures.correction_view import correction_view

    group, part = _part(session, region)
    # one that could not be computed says so, whatever else is missing
    trace_of(part, name)
    options = session.parameters.photometry
    return correction_view(part, _bands(session, group), (options.signal_band, options.reference_band), name)


def _bands(session: "LoadedSession", group: str) -> "dict[str, BandSamples]":
    """Return the recorded bands of a fibre: those that were loaded, else those of the root's session file."""
    from iblnm_core.figures.correction_view import stored_bands

    options = session.parameters.photometry
    loaded = {
        name: (frame.index.to_numpy(), frame[group].to_numpy())
        for name in (options.signal_band, options.reference_band)
        if (frame := session.photometry.get(name)) is not None and group in frame
    }
    if options.signal_band in loaded:
        return loaded
    if session.h5_path.is_file():
        with SessionFile(session.h5_path, session.row["eid"]) as file:
            if f"photometry/{group}/bands" in file:
                return stored_bands(file.read(f"photometry/{group}/bands"))
    raise NotLoaded(f"session {session.row['eid']}: call load_photometry() first")


def _transients(session: "LoadedSession", part: Part) -> Part:
    """Return the transients of a fibre as the pipeline stores them."""
    found = transient_stage.find_transients(part, _trials(session), session.parameters)
    return transient_stage.transients_part(int(part.attributes["fiber_idx"]), found)


def _trials(session: "LoadedSession") -> "pd.DataFrame":
    if not len(session.trials):
        raise NotLoaded(f"session {session.row['eid']}: call load_trials() first")
    return session.trials
