"""Decoding the target of a recording from its response vector, each subject decoded by a model of the others."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from iblnm_core.analyses.outcomes import Outcome, Status
from iblnm_core.analyses.sparse_logistic import balanced_weights, decision_scores, fit_sparse_logistic, moved_alike
from iblnm_core.errors import TooFewClasses, UnknownOption

Array = NDArray[np.float64]
Codes = NDArray[np.intp]
TuningScore = Literal["accuracy", "balanced_accuracy"]

C_GRID = tuple(float(c) for c in np.logspace(-3, 3, 10))
_FEWEST_INNER_FOLDS, _MOST_INNER_FOLDS = 2, 3
_UNPREDICTED = -1
_ANALYSIS = "target_decoding"


@dataclass(frozen=True)
class FoldSettings:
    """How the model of one fold is made.

    Attributes
    ----------
    C : float or None
        Weight of the likelihood against the penalty; tuned for each fold when None.
    tuning_score : {'accuracy', 'balanced_accuracy'}
        What the best C has most of.
    standardise_within : bool
        Whether the inner folds of the tuning are standardised by their own training rows, rather than by those of the
        outer fold.
    """

    C: float | None = None
    tuning_score: TuningScore = "accuracy"
    standardise_within: bool = False


def decode_fold(
    features: Array, classes: Codes, held_out: NDArray[np.bool_], n_classes: int, settings: FoldSettings
) -> tuple[Codes, float]:
    """Predict held-out rows from the others.

    See `docs/methods/decoding.md`. A function of its arguments alone, so that folds can run anywhere in any order.

    Parameters
    ----------
    features : ndarray of float64, (n, p)
    classes : ndarray of int, (n,)
        From 0 to n_classes - 1.
    held_out : ndarray of bool, (n,)
        Rows to predict.
    n_classes : int
    settings : FoldSettings

    Returns
    -------
    predicted : ndarray of int, (h,)
        Class of each held-out row; -1 for all of them when the other rows lack a class.
    C : float
        Of the model; not a number when there is none.
    """
    training = ~held_out
    if len(np.unique(classes[training])) < n_classes:
        return np.full(int(held_out.sum()), _UNPREDICTED), np.nan
    scaled = _standardise(features, training)
    C, start = settings.C, None
    if C is None:
        base = features if settings.standardise_within else scaled
        C, start = _tune(base[training], classes[training], settings)
    weights = balanced_weights(classes[training])
    model = fit_sparse_logistic(scaled[training], classes[training], weights, C, start)
    return decision_scores(scaled[held_out], model).argmax(axis=1), C


def _standardise(features: Array, training: NDArray[np.bool_]) -> Array:
    """Return features in standard deviations from the mean of the training rows."""
    mean, deviation = features[training].mean(axis=0), features[training].std(axis=0)
    # a constant may differ from its mean by rounding
    varies = deviation > 1e-12 * np.abs(mean)
    scaled: Array = (features - mean) / np.where(varies, deviation, 1.0)
    return scaled


def _tune(features: Array, classes: Codes, settings: FoldSettings) -> tuple[float, Array | None]:
    """Return the smallest C of the best inner score, and where the search for its model can start."""
    folds, weights = inner_folds(classes), balanced_weights(classes)
    scores = np.zeros((folds.max() + 1, len(C_GRID)))
    starts: list[Array] = []
    for fold in range(len(scores)):
        training = folds != fold
        scaled = _standardise(features, training) if settings.standardise_within else features
        present, codes = np.unique(classes[training], return_inverse=True)
        models: list[Array] = []
        for place, C in enumerate(C_GRID):
            predicted = np.full(int((~training).sum()), present[0])
            if len(present) > 1:
                # models change with C much as they did before
                start = moved_alike(models[-1], models[-2:][0], models[-1]) if models else None
                models.append(fit_sparse_logistic(scaled[training], codes, weights[present], C, start))
                predicted = present[decision_scores(scaled[~training], models[-1]).argmax(axis=1)]
            scores[fold, place] = _score(classes[~training], predicted, settings.tuning_score)
        if len(present) == len(weights):
            starts = models
    # means that differ by rounding only are equal
    best = int(np.round(scores.mean(axis=0), 12).argmax())
    return C_GRID[best], starts[best] if starts else None


def inner_folds(classes: NDArray[np.intp]) -> NDArray[np.intp]:
    """Return the fold of each row when every class is spread evenly, in the order of the rows.

    Parameters
    ----------
    classes : ndarray of int, (n,)
        There are as many folds as the smallest class has rows, but not below 2 and not above 3.

    Returns
    -------
    ndarray of int, (n,)
    """
    _, first, codes, counts = np.unique(classes, return_index=True, return_inverse=True, return_counts=True)
    n_folds = int(np.clip(counts.min(), _FEWEST_INNER_FOLDS, _MOST_INNER_FOLDS))
    by_appearance = np.argsort(first)
    ordered = np.repeat(by_appearance, counts[by_appearance])
    folds = np.empty(len(classes), dtype=np.intp)
    for code in range(len(counts)):
        shares = [int((ordered[fold::n_folds] == code).sum()) for fold in range(n_folds)]
        folds[codes == code] = np.repeat(np.arange(n_folds), shares)
    return folds


def _recalls(true: Codes, predicted: Codes) -> Array:
    """Return the share of each class that is there that was predicted as such."""
    _, codes, counts = np.unique(true, return_inverse=True, return_counts=True)
    shares: Array = np.bincount(codes, weights=true == predicted) / counts
    return shares


def _score(true: Codes, predicted: Codes, score: TuningScore) -> float:
    if not len(true):
        return 0.0
    return float((true == predicted).mean() if score == "accuracy" else _recalls(true, predicted).mean())


class TargetNMDecoder:
    """Logistic regression of the target on the response vector, cross-validated by leaving one subject out.

    See `docs/methods/decoding.md`.

    Parameters
    ----------
    C : float, optional
        Weight of the likelihood against the penalty; tuned within each fold when None.
    tuning_score : {'accuracy', 'balanced_accuracy'}
        What the tuning maximises.
    standardise_within : bool
        Whether the tuning standardises its inner folds by themselves.
    contributions : bool
        Whether to refit without each feature, which takes most of the time.

    Attributes
    ----------
    settings : FoldSettings
    with_contributions : bool
    accuracy, balanced_accuracy : float
        Of the predicted recordings; 0 when none is. Balanced is the mean over the targets that are there.
    confusion : DataFrame of int64, (k, k)
        True targets in rows, predicted ones in columns, both sorted.
    per_class_accuracy : Series of float64, (k,)
        Share of each target's recordings that were predicted as such; 0 where it has none.
    coefficients : DataFrame of float64, (k, p)
        Of the model of all recordings, per standard deviation of the feature. Positive speaks for the target.
    contributions : DataFrame or None
        One row per feature: `feature`, and balanced accuracies of all features, without this one, and their difference,
        `full_accuracy_in_sample`, `reduced_accuracy_in_sample`, `delta_in_sample` on the very recordings of the model and
        `full_accuracy_held_out`, `reduced_accuracy_held_out`, `delta_held_out` on subjects left out; C is `best_C` throughout.
    predictions : DataFrame
        Levels of the matrix' index, `true` and `predicted` (null where no model could be made), in the order of the matrix.
    best_C : float
        Median over folds; 1 when there was none.
    n_valid : int
        Recordings with a prediction.

    Raises
    ------
    UnknownOption
        When there is no such score.
    """

    accuracy: float
    balanced_accuracy: float
    confusion: pd.DataFrame
    per_class_accuracy: pd.Series
    coefficients: pd.DataFrame
    contributions: pd.DataFrame | None
    predictions: pd.DataFrame
    best_C: float  # noqa: N815 - as the field writes it
    n_valid: int

    def __init__(
        self,
        C: float | None = None,
        tuning_score: TuningScore = "accuracy",
        standardise_within: bool = False,
        contributions: bool = True,
    ) -> None:
        if tuning_score not in get_args(TuningScore):
            raise UnknownOption(f"tuning_score {tuning_score!r}; expected one of {', '.join(get_args(TuningScore))}")
        self.settings = FoldSettings(C, tuning_score, standardise_within)
        self.with_contributions = contributions

    def fit(
        self, matrix: pd.DataFrame, targets: Sequence[str] | ArrayLike, subjects: Sequence[str] | ArrayLike
    ) -> "TargetNMDecoder":
        """Decode and score every recording, and describe the model of them all.

        The result does not depend on the order of the rows.

        Parameters
        ----------
        matrix : DataFrame of float64, (r, p)
            Response matrix. Rows with a missing value are dropped.
        targets, subjects : sequence of str, (r,)

        Returns
        -------
        TargetNMDecoder
            This one.

        Raises
        ------
        TooFewClasses
            When the complete rows are of fewer than two targets.
        """
        rows = _ordered_rows(matrix, targets, subjects)
        labels, of_subject = np.asarray(targets, dtype=object)[rows], np.asarray(subjects, dtype=object)[rows]
        names, codes = np.unique(labels, return_inverse=True)
        if len(names) < 2:
            raise TooFewClasses(
                f"{len(rows)} complete recordings of {len(names)} targets ({', '.join(names)}); decoding needs 2 targets"
            )
        features = matrix.to_numpy(np.float64)[rows]
        predicted = np.full(len(rows), _UNPREDICTED)
        fold_Cs = []
        for held_out in _subject_folds(of_subject):
            predicted[held_out], C = decode_fold(features, codes, held_out, len(names), self.settings)
            fold_Cs.append(C)
        used = np.array(fold_Cs)[~np.isnan(fold_Cs)]
        self.best_C = float(np.median(used)) if len(used) else 1.0
        self._score(names, codes, predicted)

        shown = names[predicted]
        shown[predicted == _UNPREDICTED] = None
        table = pd.DataFrame({"true": labels, "predicted": shown}, index=matrix.index[rows])
        self.predictions = table.iloc[np.argsort(rows)].reset_index()

        scaled = _standardise(features, np.full(len(rows), True))
        model = fit_sparse_logistic(scaled, codes, balanced_weights(codes), self.best_C)
        weights = model[:, :-1] if len(names) > 2 else np.stack([-model[1, :-1], model[1, :-1]])
        self.coefficients = pd.DataFrame(weights, index=names, columns=matrix.columns)
        self.contributions = None
        if self.with_contributions:
            folds = list(_subject_folds(of_subject))
            self.contributions = _contributions(features, codes, folds, self.best_C, matrix.columns)
        return self

    def _score(self, names: NDArray[np.object_], codes: Codes, predicted: Codes) -> None:
        valid = predicted != _UNPREDICTED
        true, found, n = codes[valid], predicted[valid], len(names)
        counts = np.bincount(true * n + found, minlength=n * n).reshape(n, n)
        self.n_valid = int(valid.sum())
        self.accuracy = _score(true, found, "accuracy")
        self.balanced_accuracy = _score(true, found, "balanced_accuracy")
        self.confusion = pd.DataFrame(counts, index=names, columns=names)
        shares = counts.diagonal() / np.maximum(counts.sum(axis=1), 1)
        self.per_class_accuracy = pd.Series(shares, index=names)


def _ordered_rows(
    matrix: pd.DataFrame, targets: Sequence[str] | ArrayLike, subjects: Sequence[str] | ArrayLike
) -> NDArray[np.intp]:
    """Return the places of the complete rows, by subject, then target, then index: whatever order they come in."""
    keys = matrix.index.to_frame(index=False)
    keys.columns = pd.RangeIndex(keys.shape[1])
    keys.insert(0, "target", np.asarray(targets, dtype=object))
    keys.insert(0, "subject", np.asarray(subjects, dtype=object))
    complete = keys[matrix.notna().all(axis=1).to_numpy()]
    return complete.sort_values(list(keys.columns), kind="stable").index.to_numpy(np.intp)


def _subject_folds(subjects: NDArray[np.object_]) -> Iterator[NDArray[np.bool_]]:
    for subject in np.unique(subjects):
        yield subjects == subject


def _contributions(
    features: Array, codes: Codes, folds: Sequence[NDArray[np.bool_]], C: float, names: pd.Index
) -> pd.DataFrame:
    """Return what each feature adds to the balanced accuracy, in the sample and on held-out subjects."""
    everything = np.full(len(codes), True)
    in_sample, of_all = _without_each(features, codes, everything, everything, C)
    held_out = np.full((features.shape[1] + 1, len(codes)), _UNPREDICTED)
    n_classes = codes.max() + 1
    for fold in folds:
        if len(np.unique(codes[~fold])) == n_classes:
            held_out[:, fold], _ = _without_each(features, codes, ~fold, fold, C, of_all)
    table = pd.DataFrame({"feature": list(names)})
    for kind, predicted in (("in_sample", in_sample), ("held_out", held_out)):
        valid = predicted[0] != _UNPREDICTED
        scores = np.array([_score(codes[valid], row[valid], "balanced_accuracy") for row in predicted])
        table[f"full_accuracy_{kind}"] = scores[0]
        table[f"reduced_accuracy_{kind}"] = scores[1:]
        table[f"delta_{kind}"] = scores[0] - scores[1:]
    return table


def _without_each(
    features: Array,
    codes: Codes,
    training: NDArray[np.bool_],
    tested: NDArray[np.bool_],
    C: float,
    similar: Sequence[Array] | None = None,
) -> tuple[Codes, list[Array]]:
    """Return the predictions of the model of all features and of those without each, (p + 1, tested), and the models."""
    scaled = _standardise(features, training)
    weights = balanced_weights(codes[training])
    full = fit_sparse_logistic(scaled[training], codes[training], weights, C, None if similar is None else similar[0])
    models, predicted = [full], [decision_scores(scaled[tested], full).argmax(axis=1)]
    for column in range(features.shape[1]):
        model = np.delete(full, column, axis=1)
        if not full[:, column].any():
            # what the model does not use, it does not miss
            models.append(model)
            predicted.append(predicted[0])
            continue
        fewer = np.delete(scaled, column, axis=1)
        if similar is not None:
            model = moved_alike(model, np.delete(similar[0], column, axis=1), similar[column + 1])
        models.append(fit_sparse_logistic(fewer[training], codes[training], weights, C, model))
        predicted.append(decision_scores(fewer[tested], models[-1]).argmax(axis=1))
    return np.array(predicted), models


def decode_targets(
    matrix: pd.DataFrame,
    targets: Sequence[str] | ArrayLike,
    subjects: Sequence[str] | ArrayLike,
    decoder: TargetNMDecoder | None = None,
    event: str = "",
) -> tuple[TargetNMDecoder | None, Outcome]:
    """Decode the targets of a cohort, or say why this cannot be done.

    Parameters
    ----------
    matrix : DataFrame of float64, (r, p)
        Response matrix.
    targets, subjects : sequence of str, (r,)
    decoder : TargetNMDecoder, optional
        The decoder to fit, when not one with the defaults.
    event : str
        For the outcome, when the matrix is of one event.

    Returns
    -------
    decoder : TargetNMDecoder or None
        Fitted; None when no recording could be decoded.
    outcome : Outcome
        Its `n_trials` counts complete recordings; the detail says how many were left out or not decoded.
    """
    complete = matrix.notna().all(axis=1).to_numpy()
    n_recordings, n_subjects = int(complete.sum()), len(set(np.asarray(subjects, dtype=object)[complete]))
    n_targets = len(set(np.asarray(targets, dtype=object)[complete]))

    def outcome(status: Status, detail: str | None) -> Outcome:
        return Outcome(_ANALYSIS, "", event, status, n_recordings, n_subjects, detail=detail)

    left_out = [f"{len(matrix) - n_recordings} recordings with missing features"] if not complete.all() else []
    if not n_recordings or not matrix.shape[1]:
        return None, outcome(Status.NO_DATA, "; ".join(left_out) or None)
    if n_targets < 2:
        return None, outcome(Status.SINGLE_LEVEL, "; ".join([*left_out, "all recordings are of one target"]))
    if n_subjects < 2:
        return None, outcome(Status.TOO_FEW_SUBJECTS, "; ".join([*left_out, "no other subject to decode from"]))
    fitted = (decoder or TargetNMDecoder()).fit(matrix, targets, subjects)
    unpredicted = n_recordings - fitted.n_valid
    if unpredicted:
        left_out.append(f"{unpredicted} recordings of a subject without whom a target is missing")
    if not fitted.n_valid:
        return None, outcome(Status.INCOMPLETE_DESIGN, "; ".join(left_out))
    return fitted, outcome(Status.OK, "; ".join(left_out) or None)
