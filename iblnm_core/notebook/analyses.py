"""Cohort analyses in a notebook: the functions behind the assets, applied to the recordings of a group. No method of its own."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd

from iblnm_core.analyses.coding import ContrastCoding
from iblnm_core.analyses.comparisons import cohort_matrix
from iblnm_core.analyses.decoding import TargetNMDecoder
from iblnm_core.analyses.registry import ANALYSES
from iblnm_core.analyses.response_vectors import MATRIX_LEVELS, NanHandling, Normalisation, normalise
from iblnm_core.analyses.running import results_of, upstream_analyses
from iblnm_core.analyses.similarity import cosine_similarity
from iblnm_core.analyses.task_lmm import RandomEffects, TaskModels, fit_task_models
from iblnm_core.cohort.collect import COLLECTED, OUTPUT_OF, collected_rows
from iblnm_core.errors import MissingPrerequisite, MixedCorrections, NoUsableSignal, UnknownOption
from iblnm_core.root import Root
from iblnm_core.rules import RULES
from iblnm_core.schemas import LABELS, SESSION_STATUS
from iblnm_core.storage.tables import read_table

Corrections = Literal["one", "keep"]
"""Whether rows of recordings under different corrections are refused, or told apart by a column."""

_KEY = ["eid", "fiber_idx"]
_OF_PRIMARY = RULES["signal_processable"].consequence(NoUsableSignal("")).stops
"""Outputs that are made from the primary correction: those that a session without it lacks."""

_STANDING = {schema.name: schema for schema in (LABELS, SESSION_STATUS)}
"""Tables about recordings and sessions that no session file holds and no analysis makes."""


class RecordingAnalyses:
    """Analyses of the recordings of a group; each result is kept until other recordings are chosen.

    Attributes
    ----------
    root : Root or Path or None
        Where session files and tables are.
    recordings : DataFrame
        What is analysed: one row per recording.
    sessions : DataFrame
        The sessions that they are chosen from.
    response_magnitudes, response_features, similarity_matrix : DataFrame or None
    decoder : TargetNMDecoder or None
    lmm : TaskModels or None
    """

    root: Root | Path | None
    recordings: pd.DataFrame
    sessions: pd.DataFrame
    response_magnitudes: pd.DataFrame | None
    response_features: pd.DataFrame | None
    similarity_matrix: pd.DataFrame | None
    decoder: TargetNMDecoder | None
    lmm: TaskModels | None

    def _forget(self) -> None:
        """Drop results, which are of other recordings."""
        self.response_magnitudes = self.response_features = self.similarity_matrix = None
        self.decoder = self.lmm = None
        self._made: dict[str, pd.DataFrame] = {}

    @property
    def events(self) -> pd.DataFrame | None:
        """The same as `response_magnitudes`."""
        return self.response_magnitudes

    def get_response_magnitudes(self, corrections: Corrections = "one") -> pd.DataFrame:
        """Return the size of every response of these recordings: one row per recording, event and trial.

        Rows of the `responses` table, from stored session files; those that changed are read again.

        Parameters
        ----------
        corrections : {'one', 'keep'}
            Whether all recordings must be under one correction, or `correction` is a column to group by.

        Raises
        ------
        MixedCorrections
            When recordings are under several corrections and these are not kept.
        UnknownOption
        MissingPrerequisite
            When the group has no root.
        """
        self.response_magnitudes = self._told_apart(self._table("responses"), corrections)
        return self.response_magnitudes

    def get_response_features(
        self,
        nan_handling: NanHandling = "drop_sessions",
        threshold: float | None = None,
        normalisation: Normalisation = "none",
    ) -> pd.DataFrame:
        """Return the response vectors of these recordings.

        Parameters
        ----------
        nan_handling : {'drop_sessions', 'drop_features'}
            Drop recordings with any missing value, or features that are missing in too many recordings.
        threshold : float, optional
            Largest fraction of recordings in which a feature that is kept may be missing; otherwise that of the parameters.
        normalisation : {'none', 'min_max'}
            Of every vector: as it is, or from 0 for its smallest value to 1 for its largest.

        Returns
        -------
        DataFrame of float64, (r, f)
            Indexed by eid, target_NM and fiber_idx.

        Raises
        ------
        UnknownOption
            When there is no such handling or normalisation.
        MixedCorrections
            When recordings are under several corrections.
        MissingPrerequisite
            When the group has no root.
        """
        self._refuse_mixed()
        share = self._root().parameters.vectors.largest_missing_share if threshold is None else threshold
        matrix = cohort_matrix(self._table("response_matrix"), self.recordings, nan_handling, share)
        rows = [normalise(row, normalisation) for row in matrix.to_numpy(np.float64)]
        values = np.array(rows).reshape(matrix.shape)
        features = pd.DataFrame(values, index=matrix.index.droplevel("subject"), columns=matrix.columns)
        self.response_features = features
        return features

    def response_similarity_matrix(self) -> pd.DataFrame:
        """Return the cosine similarity of the response vectors of any two recordings without missing features.

        Features are those of the last `get_response_features`, else those without which too many recordings are left out.
        """
        self.similarity_matrix = cosine_similarity(self._features())
        return self.similarity_matrix

    def decode_target(self, C: float | None = None, *, contributions: bool = True) -> TargetNMDecoder:
        """Decode the target of every recording from its response vector, by a model of the other mice.

        Parameters
        ----------
        C : float, optional
            Weight of the likelihood against the penalty; tuned for every mouse left out when None.
        contributions : bool
            Whether to fit without each feature too, which takes most of the time.

        Raises
        ------
        TooFewClasses
            When recordings without missing features are of fewer than two targets.
        """
        features = self._features()
        subject_of = self.recordings.set_index(_KEY)["subject"]
        subjects = subject_of.loc[list(features.index.droplevel("target_NM"))].to_numpy()
        score = self._root().parameters.analyses.decoder_tuning_score
        decoder = TargetNMDecoder(C, tuning_score=score, contributions=contributions)
        self.decoder = decoder.fit(features, features.index.get_level_values("target_NM"), subjects)
        return self.decoder

    def get_modelling_frame(self, corrections: Corrections = "one") -> pd.DataFrame:
        """Return what models use: one row per recording, event and usable trial that has a response.

        Parameters
        ----------
        corrections : {'one', 'keep'}
            Whether all recordings must be under one correction, or `correction` is a column to group by.

        Raises
        ------
        MixedCorrections
            When recordings are under several corrections and these are not kept.
        UnknownOption
        """
        return self._told_apart(self._table("modelling_frame"), corrections)

    def fit_lmm(
        self, contrast_coding: ContrastCoding | None = None, random_effects: Sequence[RandomEffects] | None = None
    ) -> TaskModels:
        """Fit the mixed model of the task to every target and event.

        Parameters
        ----------
        contrast_coding : {'log', 'linear', 'rank', 'log2'}, optional
            Otherwise that of the parameters.
        random_effects : sequence of {'1', 'contrast'}, optional
            From complex to simple, the first is used with which every group is fitted; otherwise those of the parameters.

        Returns
        -------
        TaskModels
            With `tables.coefficients`, `tables.variance_explained` and others, and `outcomes`.

        Raises
        ------
        UnknownOption
            When there is no such coding or random effect.
        """
        options = self._root().parameters.analyses
        coding = options.contrast_coding if contrast_coding is None else contrast_coding
        self.lmm = fit_task_models(
            self.get_modelling_frame(),
            coding=coding,
            levels=options.contrasts,
            random_effects=options.random_effects if random_effects is None else random_effects,
        )
        return self.lmm

    def analyse(self, name: str) -> Mapping[str, pd.DataFrame]:
        """Return the tables of an analysis, as the asset of this name makes them of the selected recordings.

        Parameters
        ----------
        name : str
            Such as `movement_encoding`.

        Raises
        ------
        UnknownOption
            When there is no such analysis.
        MixedCorrections
            When it is made from the signals of recordings that are under several corrections.
        MissingPrerequisite
            When the group has no root.
        """
        if name not in ANALYSES:
            raise UnknownOption(f"analysis {name!r}; expected one of {', '.join(ANALYSES)}")
        read = {table for own in upstream_analyses([name]) for table in ANALYSES[own].reads}
        if any(OUTPUT_OF.get(table) in _OF_PRIMARY for table in read):
            self._refuse_mixed()
        return self._analyse(name)

    def _analyse(self, name: str) -> Mapping[str, pd.DataFrame]:
        analysis = ANALYSES[name]
        read = {table: self._table(table) for table in analysis.reads}
        tables = results_of(analysis, read, self._root().parameters)
        self._made |= tables
        return tables

    def _primaries(self) -> pd.DataFrame:
        """Return the correction that each of these recordings is under: `eid`, `fiber_idx`, `correction`."""
        rows = self._table("corrections")
        return rows.loc[rows["is_primary"].astype(bool) & (rows["status"] == "ok"), [*_KEY, "correction"]]

    def _refuse_mixed(self) -> None:
        counts = self._primaries()["correction"].value_counts()
        if len(counts) > 1:
            found = ", ".join(f"{name} ({n})" for name, n in counts.items())
            raise MixedCorrections(
                f"recordings are under different corrections: {found}. filter_sessions() leaves out those that are not under the "
                "primary one; get_modelling_frame and get_response_magnitudes tell them apart with corrections='keep'"
            )

    def _told_apart(self, rows: pd.DataFrame, corrections: Corrections) -> pd.DataFrame:
        """Return rows of recordings under one correction as they are, or those under any with a column of it."""
        if corrections == "keep":
            return rows.merge(self._primaries(), how="left", on=_KEY)
        if corrections != "one":
            raise UnknownOption(f"corrections {corrections!r}; expected one or keep")
        self._refuse_mixed()
        return rows

    def _features(self) -> pd.DataFrame:
        found = self.response_features
        features = self.get_response_features("drop_features") if found is None else found
        if not set(MATRIX_LEVELS) <= set(features.index.names):
            raise MissingPrerequisite(f"the features are indexed by {features.index.names}; expected {MATRIX_LEVELS}")
        return features

    def _root(self) -> Root:
        if not isinstance(self.root, Root):
            raise MissingPrerequisite(
                "this group knows no root, where responses are; open one with PhotometrySessionGroup.from_catalog"
            )
        return self.root

    def _table(self, name: str) -> pd.DataFrame:
        """Return a table as of these recordings."""
        if name in ("recordings", "sessions"):
            own: pd.DataFrame = getattr(self, name)
            return own
        if name not in self._made:
            if name in COLLECTED:
                self._made[name] = self._of_these(collected_rows(self._root(), name))
            elif name in _STANDING:
                self._made[name] = self._of_these(read_table(self._root().path, _STANDING[name]))
            else:
                self._analyse(next(n for n, a in ANALYSES.items() if name in {schema.name for schema in a.tables}))
        return self._made[name]

    def _of_these(self, rows: pd.DataFrame) -> pd.DataFrame:
        """Return the rows of these recordings, or of their sessions where a table is of sessions."""
        if "fiber_idx" not in rows:
            return rows[rows["eid"].isin(self.recordings["eid"])].reset_index(drop=True)
        wanted = pd.MultiIndex.from_frame(self.recordings[_KEY])
        return rows[pd.MultiIndex.from_frame(rows[_KEY]).isin(wanted)].reset_index(drop=True)
