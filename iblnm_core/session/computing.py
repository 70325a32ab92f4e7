"""One pass over one session's stages: which of them run on what, and the parts of the session file that they make.

What is due, and storing the parts, is `pipeline`'s business; what a stage does, that of `stages`.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeGuard

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from iblnm_core.analyses.traces import condition_traces
from iblnm_core.encoding.design import ContinuousRegressor
from iblnm_core.encoding.model import fit_encoding_model
from iblnm_core.errors import CorruptArtifact, CorruptDataset, IblnmError
from iblnm_core.parameters import Parameters
from iblnm_core.session import (
    corrections_layout,
    layout,
    photometry_stage,
    pose_layout,
    shape_stage,
    stages,
    summary_layout,
    transient_stage,
)
from iblnm_core.session.exclusions import Exclusions, stored_exclusions
from iblnm_core.session.inputs import SessionInputs
from iblnm_core.session.magnitudes import fiber_vector, modelled_trials, own_responses, response_sizes
from iblnm_core.session.metadata import judge_metadata, judge_paths
from iblnm_core.session.performance import task_performance
from iblnm_core.session.pose import make_pose
from iblnm_core.session.regressors import trial_regressors
from iblnm_core.session.response_cells import response_cells
from iblnm_core.session.responses import Responses
from iblnm_core.session.timing import StepTimes
from iblnm_core.session.verdicts import Judge
from iblnm_core.session.video import video_row
from iblnm_core.session.wheel import WheelVelocity, peak_velocity
from iblnm_core.storage.session_file import Part, SessionFile

PHOTOMETRY = frozenset({"photometry_qc", "corrections", "preprocessed_signal"})
"""Outputs of the photometry stage, which are made together from the same files."""


class Computation:
    """Outputs of one session in the making.

    Parameters
    ----------
    inputs : SessionInputs
    row : mapping
        The session's row of the `sessions` table.
    parameters : Parameters
    path : Path
        The session file, for what is current already.
    judge : Judge
        Gets the verdicts.
    times : StepTimes
        Gets the seconds per step.
    """

    def __init__(
        self,
        inputs: SessionInputs,
        row: Mapping[str, Any],
        parameters: Parameters,
        path: Path,
        judge: Judge,
        times: StepTimes,
    ) -> None:
        self.inputs = inputs
        self.row = row
        self.parameters = parameters
        self.path = path
        self.judge = judge
        self.times = times
        self.wheel: WheelVelocity | None = None
        """The wheel, when this pass loaded it."""
        self.dff: dict[str, shape_stage.DffResponses] | None = None
        """Responses in the primary correction by recording group, when this pass cut them."""
        self.parts: dict[str, Part] = {}
        """Parts of the session file made so far, by path."""
        self.summaries: dict[str, dict[str, float]] = {}
        """Counts worth showing, by output."""

    def run(self, due: frozenset[str]) -> None:
        """Compute the outputs that are due, as far as their inputs allow.

        Raises
        ------
        CorruptArtifact
            When what is needed of the stored session is broken.
        SourceUnavailable
            When the inputs cannot be had for now.
        """
        judge_paths(self.row, self.judge)
        if "session_metadata" in due:
            with self._guarded({"session_metadata"}):
                judge_metadata(self.row, self.parameters.metadata, self.judge)
                self.parts["metadata"] = layout.metadata_part(self.row)
        if self.judge.verdicts["session_paths_safe"].passed:
            self._stages(due)

    def _stages(self, due: frozenset[str]) -> None:
        trials: pd.DataFrame | None = None
        signals: dict[int, tuple[str, np.ndarray, np.ndarray]] = {}
        made: dict[int, tuple[str, Responses]] = {}
        with self._guarded({"trials"} & due), self.times.step("trials"):
            trials = self._trials(due)
        if "task_performance" in due and self._can_make(trials, "task_performance"):
            with self._guarded({"task_performance"}), self.times.step("performance"):
                self._performance(trials)
        if due & PHOTOMETRY:
            with self._guarded(PHOTOMETRY):
                signals = self._photometry(trials)
        if "responses" in due and self._can_make(trials, "responses"):
            with self._guarded({"responses"}), self.times.step("responses"):
                made = self._responses(trials, signals if due & PHOTOMETRY else self._stored_signals())
        self._from_corrections(due, trials)
        self._summaries(due, trials, made)
        velocities = None
        if "wheel_velocity" in due and self._can_make(trials, "wheel_velocity"):
            with self._guarded({"wheel_velocity"}), self.times.step("wheel"):
                velocities = self._wheel(trials)
        if "trial_regressors" in due and self._can_make(trials, "trial_regressors"):
            with self._guarded({"trial_regressors"}), self.times.step("regressors"):
                self._regressors(trials, velocities if "wheel_velocity" in due else self._stored_velocities())
        if "encoding_model" in due and self._can_make(trials, "encoding_model"):
            with self._guarded({"encoding_model"}), self.times.step("encoding"):
                self._encoding(trials, signals if due & PHOTOMETRY else self._stored_signals(), self._any_wheel(due))
        if "video_qc" in due and "video_qc" not in self.judge.stopped:
            with self._guarded({"video_qc"}), self.times.step("video"):
                self._video()
        if "pose" in due and self._can_make(trials, "pose"):
            with self._guarded({"pose"}), self.times.step("pose"):
                self._pose(trials, self._any_wheel(due))

    def _can_make(self, trials: pd.DataFrame | None, name: str) -> TypeGuard[pd.DataFrame]:
        return trials is not None and name not in self.judge.stopped

    def _trials(self, due: frozenset[str]) -> pd.DataFrame | None:
        if "trials" in due:
            trials = stages.load_trials(self.inputs, self.row, self.parameters, self.judge)
            if trials is not None:
                self.parts["trials"] = layout.trials_part(trials)
                self.summaries["trials"] = {"n_trials": len(trials)}
            return trials
        if "trials" in self.judge.stopped or not due - {"session_metadata"}:
            return None
        with SessionFile(self.path, self.row["eid"]) as file:
            return layout.read_trials(file)

    def _photometry(self, trials: pd.DataFrame | None) -> dict[int, tuple[str, np.ndarray, np.ndarray]]:
        exclusions = None
        with self.judge.rule("photometry_available"):
            exclusions = self._stored_exclusions()
        if exclusions is None:
            return {}
        regions = tuple(self.row["brain_region"])
        result = photometry_stage.process_photometry(
            self.inputs, regions, trials, self.parameters, self.judge, self.times, exclusions
        )
        # a session without regions in its row still has those of its signal
        by_index = {fiber.fiber_idx: fiber.region for fiber in result.fibers} or dict(enumerate(regions))
        groups = layout.fiber_groups(by_index)
        if result.quality is not None:
            self.parts |= layout.qc_parts(result.quality, groups)
            self.summaries["photometry_qc"] = {"n_rows": len(result.quality)}
        for index, corrections in result.corrections.items():
            self.parts[f"photometry/{groups[index]}/corrections"] = corrections_layout.corrections_part(
                index, corrections
            )
            self.summaries["corrections"] = {"n_recordings": len(result.corrections)}
        for fiber in result.fibers:
            signal = result.signals.get(fiber.fiber_idx)
            if signal is not None and result.recording is not None:
                group = groups[fiber.fiber_idx]
                self.parts |= layout.signal_parts(group, fiber.fiber_idx, signal, result.recording, fiber.column)
        if result.signals:
            seconds = max(float(s.times[-1] - s.times[0]) for s in result.signals.values())
            self.summaries["preprocessed_signal"] = {
                "n_recordings": len(result.signals),
                "duration_s": round(seconds, 3),
            }
        return {index: (groups[index], signal.times, signal.values) for index, signal in result.signals.items()}

    def _stored_exclusions(self) -> Mapping[str, Exclusions]:
        """Return what a person marked: it is in no input, and stays in the session file whatever is made anew.

        Raises
        ------
        CorruptDataset
            When it is broken: nothing else has it, and without it the signal would be another one.
        """
        try:
            file = SessionFile(self.path, self.row["eid"])
        except (FileNotFoundError, CorruptArtifact):
            # one that cannot be opened is set aside when the session is stored
            return {}
        with file:
            try:
                return stored_exclusions(file)
            except CorruptArtifact as error:
                raise CorruptDataset(f"{self.path.name}: {error.asset}: {error.problem}; mark it again") from error

    def _from_corrections(self, due: frozenset[str], trials: pd.DataFrame | None) -> None:
        """Make what is found in the corrected signals of every fibre as they are stored."""
        steps = {
            "transients": ("transients", self._transients),
            "response_cells": ("cells", self._cells),
            "response_measures": ("measures", self._measures),
            "time_course_sums": ("course_sums", self._course_sums),
            "trial_mean_measures": ("mean_measures", self._mean_measures),
            "region_pairs": ("pairs", self._pairs),
        }
        for name, (step, make) in steps.items():
            if name in due and self._can_make(trials, name):
                with self._guarded({name}), self.times.step(step):
                    make(trials, self._corrections())

    def _corrections(self) -> dict[str, Part]:
        """Return the corrections of every fibre that has a primary one, by recording group."""
        own = {path: part for path, part in self.parts.items() if path.endswith("/corrections")}
        found = {path.split("/")[1]: part for path, part in own.items()}
        if not found:
            with SessionFile(self.path, self.row["eid"]) as file:
                found = corrections_layout.correction_parts(file)
        return {group: part for group, part in found.items() if corrections_layout.has_primary(part)}

    def _transients(self, trials: pd.DataFrame, corrections: Mapping[str, Part]) -> None:
        found = {
            group: transient_stage.find_transients(part, trials, self.parameters) for group, part in corrections.items()
        }
        self.judge.record("transients_separable", transient_stage.separability_errors(found))
        for group, one in found.items():
            index = int(corrections[group].attributes["fiber_idx"])
            self.parts[f"photometry/{group}/transients"] = transient_stage.transients_part(index, one)
        self.summaries["transients"] = {"n_transients": sum(len(one.rows) for one in found.values())}

    def _cells(self, trials: pd.DataFrame, corrections: Mapping[str, Part]) -> None:
        for group, part in corrections.items():
            cells = response_cells(part, trials, self.row["eid"], self.parameters)
            if len(cells):
                index = int(part.attributes["fiber_idx"])
                self.parts[f"photometry/{group}/cells"] = summary_layout.frame_part(index, cells)
        self.summaries["response_cells"] = {"n_recordings": len(corrections)}

    def _dff_responses(
        self, trials: pd.DataFrame, corrections: Mapping[str, Part]
    ) -> dict[str, shape_stage.DffResponses]:
        if self.dff is None:
            found = {
                group: shape_stage.dff_responses(part, trials, self.parameters) for group, part in corrections.items()
            }
            self.dff = {group: responses for group, responses in found.items() if responses is not None}
        return self.dff

    def _measures(self, trials: pd.DataFrame, corrections: Mapping[str, Part]) -> None:
        for group, found in self._dff_responses(trials, corrections).items():
            measured = shape_stage.measure_responses(found, self.parameters)
            index = int(corrections[group].attributes["fiber_idx"])
            self.parts[f"photometry/{group}/measures"] = shape_stage.measures_part(index, found, measured)
        self.summaries["response_measures"] = {"n_recordings": len(corrections)}

    def _course_sums(self, trials: pd.DataFrame, corrections: Mapping[str, Part]) -> None:
        for group, found in self._dff_responses(trials, corrections).items():
            sums = shape_stage.course_sums(found, trials, self.parameters)
            if len(sums):
                index = int(corrections[group].attributes["fiber_idx"])
                self.parts[f"photometry/{group}/course_sums"] = shape_stage.course_sums_part(index, sums)
        self.summaries["time_course_sums"] = {"n_recordings": len(corrections)}

    def _mean_measures(self, trials: pd.DataFrame, corrections: Mapping[str, Part]) -> None:
        for group, found in self._dff_responses(trials, corrections).items():
            rows = shape_stage.mean_measures(found, trials, (self.row["eid"], group), self.parameters)
            index = int(corrections[group].attributes["fiber_idx"])
            self.parts[f"photometry/{group}/mean_measures"] = summary_layout.frame_part(index, rows)
        self.summaries["trial_mean_measures"] = {"n_recordings": len(corrections)}

    def _pairs(self, trials: pd.DataFrame, corrections: Mapping[str, Part]) -> None:
        rows = shape_stage.pair_rows(corrections, trials, self.row["eid"], self.parameters)
        if len(rows):
            self.parts["region_pairs"] = shape_stage.pairs_part(rows)
        self.summaries["region_pairs"] = {"n_pairs": len(rows)}

    def _stored_signals(self) -> dict[int, tuple[str, np.ndarray, np.ndarray]]:
        with SessionFile(self.path, self.row["eid"]) as file:
            stored = layout.read_signals(file)
        return {index: (group, s.index.to_numpy(), s.to_numpy()) for group, (index, s) in stored.items()}

    def _responses(
        self, trials: pd.DataFrame, signals: Mapping[int, tuple[str, np.ndarray, np.ndarray]]
    ) -> dict[int, tuple[str, Responses]]:
        by_index = {index: (times, values) for index, (_, times, values) in signals.items()}
        responses = stages.make_responses(by_index, trials, self.parameters)
        for index, found in responses.items():
            self.parts[f"photometry/{signals[index][0]}/responses"] = layout.responses_part(index, found)
        n_events = max((len(found.events) for found in responses.values()), default=0)
        self.summaries["responses"] = {"n_recordings": len(responses), "n_events": n_events, "n_trials": len(trials)}
        return {index: (signals[index][0], found) for index, found in responses.items()}

    def _stored_responses(self) -> dict[int, tuple[str, Responses]]:
        with SessionFile(self.path, self.row["eid"]) as file:
            stored = layout.read_responses(file)
            return {layout.fiber_index(file, group): (group, found) for group, found in stored.items()}

    def _summaries(
        self, due: frozenset[str], trials: pd.DataFrame | None, made: Mapping[int, tuple[str, Responses]]
    ) -> None:
        """Make what the responses of every fibre are boiled down to."""
        steps = {
            "response_magnitudes": ("magnitudes", self._magnitudes),
            "response_vector": ("vectors", self._vectors),
            "condition_traces": ("traces", self._traces),
        }
        responses = made if "responses" in due else None
        for name, (step, make) in steps.items():
            if name in due and self._can_make(trials, name):
                with self._guarded({name}), self.times.step(step):
                    responses = self._stored_responses() if responses is None else responses
                    make(trials, responses)
                    self.summaries[name] = {"n_recordings": len(responses)}

    def _magnitudes(self, trials: pd.DataFrame, responses: Mapping[int, tuple[str, Responses]]) -> None:
        parameters, order = self.parameters.magnitudes, self.parameters.responses.events
        for index, (group, found) in responses.items():
            sizes = response_sizes(found, trials, order, parameters)
            part = summary_layout.magnitudes_part(index, found, sizes, parameters)
            self.parts[f"photometry/{group}/magnitudes"] = part

    def _vectors(self, trials: pd.DataFrame, responses: Mapping[int, tuple[str, Responses]]) -> None:
        sides = list(self.row["hemisphere"])
        for index, (group, _) in responses.items():
            path = f"photometry/{group}/magnitudes"
            sizes = summary_layout.magnitude_rows(self.parts[path] if path in self.parts else self._stored_part(path))
            hemisphere = sides[index] if index < len(sides) else None
            vector = fiber_vector(sizes, trials, hemisphere, self.parameters.modelling, self.parameters.vectors)
            self.parts[f"photometry/{group}/vector"] = summary_layout.vector_part(index, vector)

    def _traces(self, trials: pd.DataFrame, responses: Mapping[int, tuple[str, Responses]]) -> None:
        parameters, order = self.parameters.magnitudes, self.parameters.responses.events
        used = modelled_trials(trials, self.parameters.modelling)
        for index, (group, found) in responses.items():
            traces = condition_traces(own_responses(found, trials, order, parameters), trials, used)
            part = summary_layout.traces_part(index, traces, found.times)
            self.parts[f"photometry/{group}/traces"] = part

    def _stored_part(self, path: str) -> Part:
        with SessionFile(self.path, self.row["eid"]) as file:
            return file.read(path)

    def _performance(self, trials: pd.DataFrame) -> None:
        parameters = self.parameters
        row = task_performance(trials, self.row["session_type"], parameters.performance, parameters.psychometric)
        self.parts["performance"] = layout.performance_part(row)
        correct = row["fraction_correct"]
        self.summaries["task_performance"] = {} if np.isnan(correct) else {"fraction_correct": round(correct, 3)}

    def _wheel(self, trials: pd.DataFrame) -> NDArray[np.float32] | None:
        self.wheel = stages.load_wheel(self.inputs, self.parameters, self.judge)
        if self.wheel is None:
            return None
        velocities = stages.cut_wheel(self.wheel, trials, self.parameters)
        rate = self.parameters.wheel.sampling_rate_hz
        self.parts["wheel/responses"] = layout.wheel_part(velocities, rate)
        moved = int((~np.isnan(velocities)).any(axis=1).sum())
        self.summaries["wheel_velocity"] = {"n_trials": moved}
        return velocities

    def _stored_velocities(self) -> NDArray[np.float32] | None:
        with SessionFile(self.path, self.row["eid"]) as file:
            if "wheel/responses" not in file:
                return None
            velocities: NDArray[np.float32] = layout.read_wheel(file).to_numpy()
        return velocities

    def _regressors(self, trials: pd.DataFrame, velocities: NDArray[np.float32] | None) -> None:
        regressors = trial_regressors(trials, None if velocities is None else peak_velocity(velocities))
        self.parts["trial_regressors"] = layout.regressors_part(regressors)
        self.summaries["trial_regressors"] = {"n_trials": len(regressors)}

    def _encoding(
        self,
        trials: pd.DataFrame,
        signals: Mapping[int, tuple[str, np.ndarray, np.ndarray]],
        wheel: WheelVelocity | None,
    ) -> None:
        continuous = {} if wheel is None else {"wheel_velocity": ContinuousRegressor(wheel.times, wheel.velocity)}
        sides = list(self.row["hemisphere"])
        for index, (group, times, values) in signals.items():
            hemisphere = (sides[index] if index < len(sides) else None) or ""
            model = fit_encoding_model(times, values, trials, continuous, hemisphere, self.parameters.encoding)
            self.parts[f"photometry/{group}/encoding"] = summary_layout.encoding_part(index, model)
        self.summaries["encoding_model"] = {"n_recordings": len(signals)}

    def _video(self) -> None:
        quality = stages.load_video(self.inputs, self.row, self.parameters, self.judge)
        if quality is not None:
            verdicts = [verdict for verdict in self.judge.verdicts.values() if verdict.asset == "video_qc"]
            failed = any(not verdict.passed for verdict in verdicts)
            row = video_row(quality, self.row, has_errors=failed, parameters=self.parameters.video)
            self.parts["video_qc"] = layout.video_part(row)
            self.summaries["video_qc"] = {"n_frames": quality.n_frames}

    def _any_wheel(self, due: frozenset[str]) -> WheelVelocity | None:
        """Return the wheel, if any: one that is missing or broken has its own verdict, and others do without it."""
        known = "wheel_velocity" in due
        return self.wheel if known else stages.load_wheel(self.inputs, self.parameters, Judge())

    def _pose(self, trials: pd.DataFrame, wheel: WheelVelocity | None) -> None:
        camera_times = self.inputs.array("camera_times")
        pose = make_pose(self.inputs, trials, camera_times, wheel, self.parameters, self.judge)
        self.parts[pose_layout.PART] = pose_layout.pose_part(pose, self.parameters.responses.window_s)
        self.summaries["pose"] = {"n_trials": len(trials)}

    @contextmanager
    def _guarded(self, outputs: Iterable[str]) -> Iterator[None]:
        """Turn what nothing foresees into a verdict on this session's outputs."""
        try:
            yield
        except IblnmError:
            raise
        except Exception as error:  # noqa: BLE001 - a bug in one session must not cost the others
            self.judge.unexpected(error, outputs)
