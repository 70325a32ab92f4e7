"""Schemas of the results that compare the response vectors of recordings: similarity and decoding."""

from dataclasses import replace

from iblnm_core.schemas.keys import EID, FIBER, SUBJECT, TARGET, result_table
from iblnm_core.table_schema import Column

_FEATURES = Column("features", "text", "event whose features were compared, or all")


SIMILARITY_MATRIX = replace(
    result_table(
        "responses",
        "response_similarity_matrix",
        "How alike the response vectors of any two recordings are: one row per recording, and a column.",
        ("features", "eid", "fiber_idx"),
        (_FEATURES, EID, FIBER, SUBJECT, TARGET),
    ),
    features=Column(
        "EID:FIBER", "number", "cosine of the angle between the vectors of this recording and that one", nullable=True
    ),
)

SIMILARITY_PAIRS = result_table(
    "responses",
    "response_similarity_pairs",
    "The same, each pair once: one row per pair of recordings.",
    ("features", "eid1", "fiber_idx1", "eid2", "fiber_idx2"),
    (
        _FEATURES,
        Column("eid1", "text", "session of the first recording"),
        Column("fiber_idx1", "integer", "its fibre"),
        Column("eid2", "text", "session of the second recording"),
        Column("fiber_idx2", "integer", "its fibre"),
        Column("group1", "text", "target of the first recording"),
        Column("group2", "text", "target of the second recording"),
        Column("similarity", "number", "cosine of the angle between their vectors"),
        Column("comparison", "text", "within if the targets are equal, else between"),
        Column("same_subject", "truth", "whether both are of one mouse"),
    ),
)

SIMILARITY_TARGETS = result_table(
    "responses",
    "response_similarity_targets",
    "How alike recordings of two targets are on average: one row per pair of targets.",
    ("features", "target1", "target2"),
    (
        _FEATURES,
        Column("target1", "text", "the first target"),
        Column("target2", "text", "the second target, or the same"),
        Column("similarity", "number", "mean over their pairs of recordings", nullable=True),
        Column("n_pairs", "integer", "pairs in the mean", "pairs"),
        Column("cross_subject_similarity", "number", "mean over pairs of different mice", nullable=True),
        Column("n_cross_subject_pairs", "integer", "pairs in that mean", "pairs"),
    ),
)

DECODING_SCORES = result_table(
    "target_decoding",
    "decoding_scores",
    "How well the target of a recording is decoded from its response vector, by a model of other mice: one row.",
    ("features",),
    (
        _FEATURES,
        Column("accuracy", "number", "share of recordings whose target was decoded, 0-1"),
        Column("balanced_accuracy", "number", "mean over targets of their shares, 0-1"),
        Column("chance", "number", "balanced accuracy of guessing: one over the number of targets"),
        Column("best_C", "number", "weight of the likelihood against the penalty: median over mice left out"),
        Column("n_valid", "integer", "recordings with a prediction", "recordings"),
        Column("n_recordings", "integer", "recordings without missing features", "recordings"),
        Column("n_subjects", "integer", "mice that they are of", "mice"),
        Column("n_features", "integer", "features of a recording", "features"),
    ),
)

DECODING_CONFUSION = result_table(
    "target_decoding",
    "decoding_confusion",
    "Which target was taken for which: one row per true and predicted target.",
    ("features", "true", "predicted"),
    (
        _FEATURES,
        Column("true", "text", "target of the recordings"),
        Column("predicted", "text", "target that was decoded"),
        Column("n_recordings", "integer", "recordings", "recordings"),
        Column("share", "number", "of the recordings of the true target, 0-1; null where it has none", nullable=True),
    ),
)

DECODING_COEFFICIENTS = result_table(
    "target_decoding",
    "decoding_coefficients",
    "What speaks for a target, in the model of all recordings: one row per target and feature.",
    ("features", "target_NM", "feature"),
    (
        _FEATURES,
        TARGET,
        Column("feature", "text", "condition, such as feedback_c100_contra_correct"),
        Column("coefficient", "number", "per standard deviation of the feature; positive speaks for the target"),
    ),
)

_CONTRIBUTION = tuple(
    Column(f"{what}_{where}", "number", f"{text}, {scored}")
    for where, scored in (("in_sample", "on the recordings of the model itself"), ("held_out", "on mice left out"))
    for what, text in (
        ("full_accuracy", "balanced accuracy with all features"),
        ("reduced_accuracy", "balanced accuracy without this one"),
        ("delta", "their difference"),
    )
)

DECODING_CONTRIBUTIONS = result_table(
    "target_decoding",
    "decoding_contributions",
    "What each feature adds to the decoder: one row per feature.",
    ("features", "feature"),
    (_FEATURES, Column("feature", "text", "condition, such as feedback_c100_contra_correct"), *_CONTRIBUTION),
)

DECODING_PREDICTIONS = result_table(
    "target_decoding",
    "decoding_predictions",
    "The target decoded for every recording by a model of the other mice: one row per recording.",
    ("features", "eid", "fiber_idx"),
    (
        _FEATURES,
        EID,
        FIBER,
        SUBJECT,
        Column("true", "text", "target of the recording"),
        Column("predicted", "text", "target that was decoded; null where the other mice lack a target", nullable=True),
    ),
)
