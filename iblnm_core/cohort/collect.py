"""Tables collected from session files: what is there is kept, only sessions whose file changed are read again."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from iblnm_core.analyses.response_vectors import feature_order
from iblnm_core.cohort.current import stamp_of
from iblnm_core.errors import CorruptArtifact
from iblnm_core.identifiers import is_eid
from iblnm_core.root import Root
from iblnm_core.schemas import (
    CONDITION_TRACES,
    CORRECTIONS,
    ENCODING_DELTA_R2,
    ENCODING_FITS,
    ENCODING_KERNELS,
    ERRORS,
    EVENT_REFERENCE,
    PERFORMANCE,
    POSE,
    QC_PHOTOMETRY,
    REGION_PAIRS,
    RESPONSE_CELLS,
    RESPONSE_MATRIX,
    RESPONSES,
    TIME_COURSE_SUMS,
    TRANSIENT_SUMMARY,
    TRANSIENTS,
    TRIAL_MEAN_MEASURES,
    TRIAL_REGRESSORS,
    TRIAL_TIMING,
    TRIALS,
    VIDEO,
)
from iblnm_core.session import (
    corrections_layout,
    layout,
    ledger,
    pose_layout,
    shape_stage,
    summary_layout,
    transient_stage,
)
from iblnm_core.session.outputs import ALL_STAGES
from iblnm_core.storage.session_file import Part, SessionFile
from iblnm_core.storage.tables import StoredTable, Table, make_table, read_table, stored_table
from iblnm_core.table_schema import TableSchema


@dataclass(frozen=True)
class Collected:
    """How collecting a table went.

    Attributes
    ----------
    table : Table or StoredTable
        The latter when nothing changed.
    n_sessions, n_read : int
        Sessions behind the rows; session files read in this run.
    broken : tuple of str
        Session files that could not be read; their former rows are left out.
    """

    table: Table | StoredTable
    n_sessions: int
    n_read: int
    broken: tuple[str, ...]


def _errors(file: SessionFile) -> pd.DataFrame:
    if "provenance" not in file:
        raise KeyError(f"{file.path} was not written by this pipeline")
    return pd.DataFrame(ledger.read_errors(file), columns=ERRORS.column_names)


def _qc(file: SessionFile) -> pd.DataFrame:
    rows = layout.read_qc(file)
    return rows.assign(eid=file.eid) if len(rows) else rows


def _by_fiber(file: SessionFile, name: str, rows_of: Callable[[Part], pd.DataFrame]) -> pd.DataFrame:
    """Return the rows about all fibres that have a part of this name, with session and region."""
    parts = summary_layout.fiber_parts(file, name)
    frames = [rows_of(part).assign(brain_region=layout.region_of(group)) for group, part in parts.items()]
    filled = [rows for rows in frames if len(rows)]
    return pd.concat(filled, ignore_index=True).assign(eid=file.eid) if filled else pd.DataFrame()


def _corrections(file: SessionFile) -> pd.DataFrame:
    return _by_fiber(file, "corrections", lambda part: pd.DataFrame(corrections_layout.correction_rows(part)))


def _event_reference(file: SessionFile) -> pd.DataFrame:
    return _by_fiber(file, "corrections", corrections_layout.event_reference_rows)


def _transients(file: SessionFile) -> pd.DataFrame:
    return _by_fiber(file, "transients", _numbered_transients)


def _numbered_transients(part: Part) -> pd.DataFrame:
    rows = transient_stage.transient_rows(part)
    return rows.assign(transient=np.arange(len(rows)), unit="dff")


def _transient_summary(file: SessionFile) -> pd.DataFrame:
    return _by_fiber(file, "transients", lambda part: pd.DataFrame([part.attributes]))


def _performance(file: SessionFile) -> pd.DataFrame:
    if "performance" not in file:
        return pd.DataFrame()
    row = layout.read_performance(file)
    return pd.DataFrame({name: [value] for name, value in row.items()})


def _video(file: SessionFile) -> pd.DataFrame:
    return pd.DataFrame([layout.read_video(file)]) if "video_qc" in file else pd.DataFrame()


def _pose(file: SessionFile) -> pd.DataFrame:
    return pd.DataFrame([pose_layout.read_pose(file)]) if pose_layout.PART in file else pd.DataFrame()


def _trials(file: SessionFile) -> pd.DataFrame:
    if "trials" not in file:
        return pd.DataFrame()
    session = layout.read_metadata(file)
    keys = {name: session[name] for name in ("subject", "session_n", "session_type")}
    trials = layout.read_trials(file)
    rows = trials.assign(eid=file.eid, trial=np.arange(len(trials)), **keys)
    return rows.reindex(columns=TRIALS.column_names)


def _regressors(file: SessionFile) -> pd.DataFrame:
    return layout.read_regressors(file) if "trial_regressors" in file else pd.DataFrame()


def _responses(file: SessionFile) -> pd.DataFrame:
    """Return magnitudes beside the task's variables; none while the two were made from different trial tables."""
    if not ledger.share_trials(file, "response_magnitudes", "trial_regressors"):
        return pd.DataFrame()
    rows, session = summary_layout.read_magnitudes(file), layout.read_metadata(file)
    if rows.empty:
        return rows
    trials = layout.read_regressors(file).set_index("trial").drop(columns="eid")
    for name in ("target_NM", "brain_region", "hemisphere"):
        rows[name] = _of_fibers(session[name], rows["fiber_idx"].to_numpy(int))
    scalars = {name: session[name] for name in ("subject", "session_type", "NM")}
    rows = rows.assign(eid=file.eid, **scalars).join(trials, on="trial")
    return rows.rename(columns={"response": "response_early"}).reindex(columns=RESPONSES.column_names)


def _of_fibers(values: Sequence[Any], fibers: NDArray[np.int64]) -> NDArray[np.object_]:
    """Return the entries of a session's list for fibres: a session without regions in its row still has those of its signal."""
    padded: NDArray[np.object_] = np.array([*values, *[None] * (fibers.max() + 1 - len(values))], dtype=object)
    return padded[fibers]


def _vectors(file: SessionFile) -> pd.DataFrame:
    vectors = summary_layout.read_vectors(file)
    if not vectors:
        return pd.DataFrame()
    rows = pd.DataFrame(list(vectors.values()))
    fibers = np.array(list(vectors))
    targets = _of_fibers(layout.read_metadata(file)["target_NM"], fibers)
    return rows.assign(eid=file.eid, fiber_idx=fibers, target_NM=targets)


def _cells(file: SessionFile) -> pd.DataFrame:
    return _by_fiber(file, "cells", summary_layout.frame_rows)


def _mean_measures(file: SessionFile) -> pd.DataFrame:
    return _by_fiber(file, "mean_measures", summary_layout.frame_rows)


def _course_sums(file: SessionFile) -> pd.DataFrame:
    return _by_fiber(file, "course_sums", shape_stage.course_sum_rows)


def _region_pairs(file: SessionFile) -> pd.DataFrame:
    if "region_pairs" not in file:
        return pd.DataFrame()
    return shape_stage.stored_pairs(file.read("region_pairs")).assign(eid=file.eid)


def _traces(file: SessionFile) -> pd.DataFrame:
    return summary_layout.read_traces(file).assign(eid=file.eid)


def _encoding(file: SessionFile, rows: pd.DataFrame) -> pd.DataFrame:
    if rows.empty:
        return rows
    targets = _of_fibers(layout.read_metadata(file)["target_NM"], rows["fiber_idx"].to_numpy(int))
    return rows.assign(eid=file.eid, target_NM=targets)


def _encoding_fits(file: SessionFile) -> pd.DataFrame:
    return _encoding(file, summary_layout.read_encoding_fits(file))


def _encoding_kernels(file: SessionFile) -> pd.DataFrame:
    return _encoding(file, summary_layout.read_encoding_tables(file, "kernels"))


def _encoding_delta_r2(file: SessionFile) -> pd.DataFrame:
    return _encoding(file, summary_layout.read_encoding_tables(file, "delta_r2"))


def _timings(file: SessionFile) -> pd.DataFrame:
    rows = _regressors(file)
    return rows[TRIAL_TIMING.column_names] if len(rows) else rows


COLLECTED: Mapping[str, tuple[TableSchema, Callable[[SessionFile], pd.DataFrame]]] = MappingProxyType(
    {
        "errors": (ERRORS, _errors),
        "qc_photometry": (QC_PHOTOMETRY, _qc),
        "corrections": (CORRECTIONS, _corrections),
        "event_reference": (EVENT_REFERENCE, _event_reference),
        "transients": (TRANSIENTS, _transients),
        "transient_summary": (TRANSIENT_SUMMARY, _transient_summary),
        "performance": (PERFORMANCE, _performance),
        "trials": (TRIALS, _trials),
        "trial_timing": (TRIAL_TIMING, _timings),
        "trial_regressors": (TRIAL_REGRESSORS, _regressors),
        "responses": (RESPONSES, _responses),
        "response_matrix": (RESPONSE_MATRIX, _vectors),
        "response_cells": (RESPONSE_CELLS, _cells),
        "time_course_sums": (TIME_COURSE_SUMS, _course_sums),
        "trial_mean_measures": (TRIAL_MEAN_MEASURES, _mean_measures),
        "region_pairs": (REGION_PAIRS, _region_pairs),
        "condition_traces": (CONDITION_TRACES, _traces),
        "encoding_fits": (ENCODING_FITS, _encoding_fits),
        "encoding_kernels": (ENCODING_KERNELS, _encoding_kernels),
        "encoding_delta_r2": (ENCODING_DELTA_R2, _encoding_delta_r2),
        "video": (VIDEO, _video),
        "pose": (POSE, _pose),
    }
)
"""Collected tables: their schema, and how their rows are read from a session file."""

OUTPUT_OF: Mapping[str, str] = MappingProxyType(
    {
        "errors": "session_errors",
        "qc_photometry": "photometry_qc",
        "corrections": "corrections",
        "event_reference": "corrections",
        "transients": "transients",
        "transient_summary": "transients",
        "performance": "task_performance",
        "trials": "trials",
        "trial_timing": "trial_regressors",
        "trial_regressors": "trial_regressors",
        "responses": "response_magnitudes",
        "response_matrix": "response_vector",
        "response_cells": "response_cells",
        "time_course_sums": "time_course_sums",
        "trial_mean_measures": "trial_mean_measures",
        "region_pairs": "region_pairs",
        "condition_traces": "condition_traces",
        "encoding_fits": "encoding_model",
        "encoding_kernels": "encoding_model",
        "encoding_delta_r2": "encoding_model",
        "video": "video_qc",
        "pose": "pose",
    }
)
"""The session output that each collected table gathers."""


def collect(root: Root, name: str) -> Collected:
    """Return a collected table brought up to date with the session files.

    Parameters
    ----------
    root : Root
    name : str
        A key of `COLLECTED`.
    """
    schema, read_rows = COLLECTED[name]
    stamps = {eid: stamp_of(path) for eid, path in session_files(root).items()}
    stored = stored_table(root.path, schema)
    known: Mapping[str, Any] = stored.notes.get("stamps", {}) if stored is not None else {}
    if stored is not None and known == stamps:
        return Collected(stored, len(stamps), 0, ())
    unchanged = {eid for eid, stamp in stamps.items() if known.get(eid) == stamp}
    frames = []
    try:
        if unchanged:
            former = read_table(root.path, schema)
            frames.append(former[former["eid"].isin(unchanged)])
    except (FileNotFoundError, CorruptArtifact):
        unchanged = set()
    kept_stamps = {eid: stamps[eid] for eid in unchanged}
    broken = []
    changed = sorted(set(stamps) - unchanged)
    for eid in changed:
        try:
            with SessionFile(root.session_file(eid), eid) as file:
                frames.append(read_rows(file))
        except (CorruptArtifact, KeyError):
            broken.append(eid)
        else:
            kept_stamps[eid] = stamps[eid]
    table = make_table(schema, _stacked(frames, schema), {"stamps": kept_stamps})
    return Collected(table, len(kept_stamps), len(changed), tuple(broken))


def collected_rows(root: Root, name: str) -> pd.DataFrame:
    """Return the rows of a collected table as the session files are now; nothing is written.

    Parameters
    ----------
    root : Root
    name : str
        A key of `COLLECTED`.
    """
    table = collect(root, name).table
    return read_table(root.path, table.schema) if isinstance(table, StoredTable) else table.rows.to_pandas()


def stage_errors(errors: pd.DataFrame, stage: str) -> pd.DataFrame:
    """Return the rows of the errors table that concern a stage: its own, and those of all stages."""
    return errors[errors["stage"].isin([stage, ALL_STAGES])]


def session_files(root: Root) -> dict[str, Path]:
    """Return the stored session files by session id, in their order."""
    paths = sorted(root.session_folder.glob("*.h5"))
    return {path.stem: path for path in paths if is_eid(path.stem)}


def _stacked(frames: Iterable[pd.DataFrame], schema: TableSchema) -> pd.DataFrame:
    import pyarrow as pa

    filled = [frame for frame in frames if len(frame)]
    if schema.features is not None:
        # a feature that no recording has a value of is none
        own = {name for frame in filled for name in frame.columns[frame.notna().any()]} - set(schema.column_names)
        schema = schema.with_features(feature_order(own))
    if not filled:
        return pd.DataFrame(columns=schema.column_names)
    # concatenated as frames, an all-null column of one would change the type of the others; nulls are judged later
    types = pa.schema([field.with_nullable(True) for field in schema.arrow()])
    tables = [
        pa.Table.from_pandas(frame.reindex(columns=schema.column_names), schema=types, preserve_index=False)
        for frame in filled
    ]
    rows: pd.DataFrame = pa.concat_tables(tables).to_pandas()
    return rows
