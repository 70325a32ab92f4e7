"""All analyses of the responses of 1,000 simulated sessions of 40 mice: seconds and peak memory of every step, one core.

Run `python benchmarks/cohort_responses.py`; about two minutes. Trials of the unbiased block and those of all blocks each run
through all steps in one process of their own, which reads the tables as they are stored. Prints a table and writes it to
`benchmarks/results/cohort_responses.json`: seconds that passed, seconds that the core worked (fewer where others use it, too),
and the peak memory so far.
"""

import argparse
import json
import multiprocessing
import resource
import tempfile
import time
from pathlib import Path

import pandas as pd
from simulated_cohort import simulate
from threadpoolctl import threadpool_limits

from iblnm_core.analyses import model_families, movement
from iblnm_core.analyses.anova import anova
from iblnm_core.analyses.baseline_coding import MODELS, baseline_coding
from iblnm_core.analyses.baseline_recordings import baseline_recordings
from iblnm_core.analyses.coding import stimulus_side
from iblnm_core.analyses.contrast_comparison import compare_contrast_codings
from iblnm_core.analyses.decoding import decode_targets
from iblnm_core.analyses.drop_one import code_recordings, drop_one
from iblnm_core.analyses.frame import modelling_frame, usable_trials
from iblnm_core.analyses.model_families import TASK_FAMILIES, ModelOptions
from iblnm_core.analyses.movement import CEILINGS, MOVEMENT_FAMILIES
from iblnm_core.analyses.response_vectors import VECTOR_EVENTS, response_matrix, response_vector
from iblnm_core.analyses.similarity import cosine_similarity, pair_table, target_means
from iblnm_core.analyses.swap_null import mouse_p_values, recording_p_values, swap_nulls
from iblnm_core.analyses.task_lmm import fit_task_models
from iblnm_core.analyses.variance_components import variance_components
from iblnm_core.analyses.wheel_lmm import wheel_lmm
from iblnm_core.parameters import AnalysisParameters, ModellingParameters

RESULTS = Path(__file__).parent / "results" / "cohort_responses.json"
LIMIT_S, LIMIT_MB = 60, 2048
OF_RESPONSES = ["eid", "fiber_idx", "event", "trial", "response_early", "pre_event"]
FAMILIES = (*TASK_FAMILIES, *MOVEMENT_FAMILIES, *CEILINGS)
# analyses of responses before there is an outcome, and after
MODELLED = ("stimOn", "feedback")


class Steps:
    """The analyses one after the other; what later ones need is kept."""

    def __init__(self, folder, blocks):
        self.folder, self.parameters = folder, ModellingParameters(blocks=blocks)
        self.analyses = AnalysisParameters()
        self.options = ModelOptions(levels=self.analyses.contrasts, coding=self.analyses.contrast_coding)

    def reading_tables(self):
        self.responses = pd.read_parquet(self.folder / "responses.pqt", columns=OF_RESPONSES)
        self.regressors = pd.read_parquet(self.folder / "regressors.pqt")
        self.recordings = pd.read_parquet(self.folder / "recordings.pqt")
        return f"{len(self.responses):,} responses"

    def modelling_frame(self):
        self.frame = modelling_frame(self.responses, self.regressors, self.recordings, self.parameters)
        return f"{len(self.frame):,} rows"

    def task_lmm(self):
        found = fit_task_models(self.frame, coding=self.options.coding, levels=self.options.levels)
        return _size(found.tables.coefficients)

    def response_anova(self):
        return _size(anova(self.frame)[0])

    def contrast_coding(self):
        return _size(compare_contrast_codings(self.frame, levels=self.options.levels)[0])

    def movement_loso(self):
        return _size(movement.movement_loso(self.frame, self.options)[0])

    def timing_slopes(self):
        return _size(movement.timing_slopes(self.frame, self.options)[0])

    def wheel_lmm(self):
        return _size(wheel_lmm(self.frame)[0])

    def families_explained_variance(self):
        return _size(model_families.explained_variance(self.frame, FAMILIES, self.options)[0])

    def families_coefficients(self):
        return _size(model_families.coefficients(self.frame, FAMILIES, self.options)[0])

    def families_marginal_means(self):
        return _size(model_families.marginal_means(self.frame, FAMILIES, self.options, ["contrast", "side"])[0])

    def families_cross_validation(self):
        return _size(movement.cross_validation(self.frame, FAMILIES, self.options)[0])

    def families_jackknife(self):
        return _size(movement.jackknife(self.frame, FAMILIES, self.options)[0])

    def coding_recordings(self):
        rows = self.frame[self.frame["event"].isin(MODELLED)]
        self.coded = code_recordings(rows, self.options.coding, self.options.levels)
        return f"{len(self.coded)} recordings and events"

    def drop_one(self):
        self.dropped = drop_one(self.coded)
        return _size(self.dropped.delta_r2)

    def swap_null(self):
        self.nulls, _ = swap_nulls(self.coded)
        return f"{sum(int(null.is_donor.sum()) for null in self.nulls):,} pairs"

    def swap_null_p_values(self):
        tables = recording_p_values(self.nulls), mouse_p_values(self.nulls)
        del self.nulls, self.coded
        return ", ".join(map(_size, tables))

    def variance_components(self):
        found = variance_components(self.dropped.coefficients)
        return _size(found.summary)

    def baseline_recordings(self):
        self.baselines = baseline_recordings(self.responses, self.regressors, self.recordings)
        return f"{len(self.baselines)} recordings"

    def baseline_performance(self):
        return _size(baseline_coding(self.baselines, MODELS[0]))

    def baseline_reaction_time(self):
        return _size(baseline_coding(self.baselines, MODELS[1]))

    def response_vectors(self):
        self.vectors = vectors_of(self.responses, self.regressors, self.recordings, self.parameters)
        return f"{len(self.vectors)} vectors"

    def response_matrix(self):
        self.matrix = response_matrix(self.vectors, nan_handling="drop_features").dropna()
        self.targets = self.matrix.index.get_level_values("target_NM").to_numpy()
        subjects = self.recordings.drop_duplicates("eid").set_index("eid")["subject"]
        self.subjects = subjects.loc[self.matrix.index.get_level_values("eid")].to_numpy()
        return "complete: {} recordings, {} features".format(*self.matrix.shape)

    def similarity(self):
        similarity = cosine_similarity(self.matrix)
        pairs = pair_table(similarity, self.targets)
        target_means(similarity, self.targets)
        target_means(similarity, self.targets, self.subjects)
        return _size(pairs)

    def decoder(self):
        decoder, outcome = decode_targets(self.matrix, self.targets, self.subjects)
        return f"{outcome.status}, balanced accuracy {decoder.balanced_accuracy:.2f}, C {decoder.best_C:.3g}"


STEPS = [name for name in vars(Steps) if not name.startswith("_")]


def vectors_of(responses, regressors, recordings, parameters):
    """Return the response vector of every recording."""
    responses = responses[responses["event"].isin(VECTOR_EVENTS)].rename(columns={"response_early": "response"})
    of_recording = responses.groupby(["eid", "fiber_idx"], sort=False).indices
    of_session = regressors.groupby("eid", sort=False).indices
    used = usable_trials(regressors, parameters)
    by_trial = regressors[["trial", "stim_side", "contrast", "feedbackType"]]
    vectors = {}
    for recording in recordings.itertuples(index=False):
        rows = of_session[recording.eid]
        trials = by_trial.iloc[rows].set_index("trial")
        hemisphere = pd.Series(recording.hemisphere, index=trials.index)
        trials["side"] = stimulus_side(trials["stim_side"], hemisphere)
        magnitudes = responses.iloc[of_recording[recording.eid, recording.fiber_idx]]
        key = recording.eid, recording.target_NM, recording.fiber_idx
        vectors[key] = response_vector(magnitudes, trials, used[rows])
    return vectors


def _size(table):
    return f"{len(table):,} rows"


def measure(folder, blocks, chosen):
    """Run steps and write seconds, peak memory so far and a remark for each of them."""
    steps = Steps(folder, blocks)
    found = {}
    with threadpool_limits(1):
        for name in chosen:
            start, busy = time.perf_counter(), time.process_time()
            remark = getattr(steps, name)()
            found[name] = time.perf_counter() - start, time.process_time() - busy, peak_mb(), remark
            print(line(blocks, name, *found[name]), flush=True)
    (folder / f"{blocks}.json").write_text(json.dumps(found))


def line(blocks, name, seconds, busy, peak, remark):
    """Return a line of the printed table."""
    return f"{blocks:<10}{name:<30}{seconds:>8.2f} s{busy:>8.2f} s{peak:>7.0f} MB   {remark}"


def peak_mb():
    """Return the largest memory that this process had so far, MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def store_tables(folder, n_sessions, n_subjects):
    """Simulate the cohort and store its tables."""
    for name, rows in simulate(n_sessions, n_subjects)._asdict().items():
        rows.to_parquet(folder / f"{name}.pqt", index=False)


def in_a_process(function, *arguments):
    """Run a function in a process of its own, whose memory starts from nothing."""
    process = multiprocessing.get_context("spawn").Process(target=function, args=arguments)
    process.start()
    process.join()
    if process.exitcode:
        raise SystemExit(f"{function.__name__} ended with {process.exitcode}")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sessions", type=int, default=1000)
    parser.add_argument("--subjects", type=int, default=40)
    parser.add_argument("--blocks", nargs="+", default=["unbiased", "all"])
    parser.add_argument("--steps", nargs="+", default=STEPS, help="some of the steps, with those that they build upon")
    options = parser.parse_args()
    table = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        in_a_process(store_tables, folder, options.sessions, options.subjects)
        for blocks in options.blocks:
            in_a_process(measure, folder, blocks, options.steps)
            found = json.loads((folder / f"{blocks}.json").read_text())
            seconds, busy = (sum(row[place] for row in found.values()) for place in (0, 1))
            peak = max(row[2] for row in found.values())
            print(line(blocks, "all steps", seconds, busy, peak, f"aim {LIMIT_S} s, {LIMIT_MB} MB"), flush=True)
            table[blocks] = {"steps": found, "seconds": seconds, "seconds of the core": busy, "peak_mb": peak}
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(table, indent=1) + "\n")


if __name__ == "__main__":
    main()
