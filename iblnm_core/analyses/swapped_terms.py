"""What a regressor adds to a linear model when its values come from elsewhere, in closed form: many donors at once. Arrays only."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from iblnm_core.analyses.least_squares import is_degenerate

Array = NDArray[np.float64]
Bools = NDArray[np.bool_]
Places = NDArray[np.intp]

_DOUBTFUL = 1e-5
"""Smallest share of a column's square that the columns before it may leave; below, models are fitted in full."""


@dataclass(frozen=True)
class DonorValues:
    """Values of a regressor in several recordings.

    Attributes
    ----------
    values : ndarray of float64, (d, n)
        A row for each; zeros, which add nothing to inner products, after its last.
    squares : ndarray of float64, (d, n)
        Of the values.
    lengths : ndarray of intp, (d,)
        Number of values of each, at least 1.
    """

    values: Array
    squares: Array
    lengths: Places

    @classmethod
    def of(cls, donors: Sequence[Array]) -> "DonorValues":
        """Collect the values of donors.

        Parameters
        ----------
        donors : sequence of ndarray of float64, (d,) of (at least 1,)
        """
        lengths = np.array([len(donor) for donor in donors], dtype=np.intp)
        values = np.zeros((len(donors), int(lengths.max(initial=0))))
        for row, donor in zip(values, donors, strict=True):
            row[: len(donor)] = donor
        return cls(values, values**2, lengths)


@dataclass(frozen=True)
class _Prefixes:
    """The first rows of a recording, as many as it has in common with each of its donors.

    Attributes
    ----------
    lengths : ndarray of intp, (l,)
        The different numbers of rows.
    which : ndarray of intp, (d,)
        Place of each donor's number of rows among them.
    products : ndarray of float64, (l, k + 1, k + 1)
        Inner products of an orthonormal basis of the design, and of the response, over these rows.
    total : ndarray of float64, (l,)
        Squares of the response about its mean over these rows; not a number where they are lost in rounding.
    """

    lengths: Places
    which: Places
    products: Array
    total: Array

    @classmethod
    def of(cls, columns: Array, lengths: Places) -> "_Prefixes":
        """Sum over the first rows of an orthonormal basis and, in the last column, a response, for every donor."""
        distinct, which = np.unique(np.minimum(lengths, len(columns)), return_inverse=True)
        n_columns = columns.shape[1]
        first, second = np.tril_indices(n_columns)
        products = np.empty((len(distinct), n_columns, n_columns))
        sums = np.cumsum(columns[:, first] * columns[:, second], axis=0)[distinct - 1]
        products[:, first, second] = products[:, second, first] = sums
        squares = products[:, -1, -1]
        total = squares - np.cumsum(columns[:, -1])[distinct - 1] ** 2 / distinct
        return cls(distinct, which, products, np.where(total > _DOUBTFUL * squares, total, np.nan))


def swapped_delta_r2(reduced: Array, multipliers: Array, response: Array, donors: Sequence[Array]) -> Array:
    """Return what a regressor adds to a model when its values are those of each of several donors.

    See `docs/methods/permutation.md`. Each value is of the rows that recording and donor have in common, from the first on.

    Parameters
    ----------
    reduced : ndarray of float64, (n, q)
        Columns without the regressor, an intercept among them.
    multipliers : ndarray of float64, (n, m)
        What the regressor is multiplied with in each of its terms: ones, and its partners in interactions.
    response : ndarray of float64, (n,)
    donors : sequence of ndarray of float64, (d,) of (at least 1,)

    Returns
    -------
    ndarray of float64, (d,)
        Not a number where the design is degenerate or the response constant.
    """
    if not donors:
        return np.empty(0)
    collected, places = DonorValues.of(donors), np.arange(len(donors))
    basis = np.column_stack([np.linalg.qr(reduced)[0], response - response.mean()])
    prefixes = _Prefixes.of(basis, collected.lengths)
    return _of_donors(reduced, multipliers, response, basis, prefixes, collected, places)


@dataclass(frozen=True)
class Regressor:
    """A regressor that is swapped, by places in the design.

    Attributes
    ----------
    columns : ndarray of intp, (m,)
        The regressor and its interactions.
    partners : ndarray of intp, (m,)
        What the regressor is multiplied with in each of them.
    kept : ndarray of intp, (k - m,)
        All other columns.
    """

    columns: Places
    partners: Places
    kept: Places

    @classmethod
    def of(cls, columns: Sequence[int], partners: Sequence[int], n_columns: int) -> "Regressor":
        """Describe a regressor.

        Parameters
        ----------
        columns, partners : sequence of int
            As the attributes.
        n_columns : int
            All columns of the design.
        """
        return cls(np.array(columns), np.array(partners), np.setdiff1d(np.arange(n_columns), columns))


class SwapModel:
    """The model of a recording, in which regressors can be swapped.

    Parameters
    ----------
    design : ndarray of float64, (n, k)
        All columns, an intercept among them; not degenerate.
    response : ndarray of float64, (n,)
    lengths : ndarray of intp, (d,)
        Number of rows of each donor.
    """

    def __init__(self, design: Array, response: Array, lengths: Places) -> None:
        self.design, self.response = design, response
        basis, self.triangle = np.linalg.qr(design)
        self.basis = np.column_stack([basis, response - response.mean()])
        self.prefixes = _Prefixes.of(self.basis, lengths)

    def delta_r2(self, regressor: Regressor, donors: DonorValues, places: Places) -> tuple[Array, Array]:
        """Return what a regressor adds with the values of donors, and with the recording's own on the same rows.

        Parameters
        ----------
        regressor : Regressor
        donors : DonorValues
        places : ndarray of intp, (d,)
            Those of the donors whose numbers of rows the model was made with.

        Returns
        -------
        swapped, own : ndarray of float64, (d,)
            Not a number where the design is degenerate or the response constant.
        """
        kept, columns, n_kept = regressor.kept, regressor.columns, len(regressor.kept)
        # the basis turned so that the kept columns come first
        turn = np.eye(self.basis.shape[1])
        turn[:-1, :-1] = np.linalg.qr(self.triangle[:, np.concatenate([kept, columns])])[0]
        products = turn.T @ self.prefixes.products @ turn
        first = [*range(n_kept), -1]
        of_kept = products[:, :, first][:, first]
        basis = self.basis @ turn[:, first]
        reduced, lengths = self.design[:, kept], self.prefixes.lengths
        gain, sound = _explained(products, np.einsum("dkk->dk", products)[:, :-1], n_kept)
        own = np.where(sound, gain / self.prefixes.total, np.nan)
        for place in np.flatnonzero(np.isnan(own)):
            rows = slice(lengths[place])
            own[place] = _refitted(reduced[rows], self.design[rows, columns], self.response[rows])
        swapped = _of_donors(
            reduced,
            self.design[:, regressor.partners],
            self.response,
            basis,
            replace(self.prefixes, products=of_kept),
            donors,
            places,
        )
        return swapped, own[self.prefixes.which]


def _of_donors(
    reduced: Array,
    multipliers: Array,
    response: Array,
    basis: Array,
    prefixes: _Prefixes,
    donors: DonorValues,
    places: Places,
) -> Array:
    """Take the reduced model out of response and swapped terms, and regress the one on the other."""
    n_rows, n_columns, n_terms = *basis.shape, multipliers.shape[1]
    # all terms of all donors: products of their values with what does not change
    fixed = (multipliers[:, :, None] * basis[:, None, :]).reshape(n_rows, -1)
    crossed = (donors.values[:, :n_rows] @ fixed[: donors.values.shape[1]])[places].reshape(-1, n_terms, n_columns)
    first, second = np.tril_indices(n_terms)
    pairs = multipliers[:, first] * multipliers[:, second]
    inner = np.empty((len(places), n_terms, n_terms))
    inner[:, first, second] = (donors.squares[:, :n_rows] @ pairs[: donors.squares.shape[1]])[places]
    which = prefixes.which
    whole = prefixes.lengths[which] == n_rows
    gain, sound = np.empty(len(places)), np.empty(len(places), dtype=bool)
    gain[whole], sound[whole] = _on_all_rows(crossed[whole], inner[whole], prefixes.products[-1, -1])
    gain[~whole], sound[~whole] = _on_first_rows(crossed[~whole], inner[~whole], prefixes.products[which[~whole]])
    delta_r2: Array = np.where(sound, gain / prefixes.total[which], np.nan)
    for place in np.flatnonzero(np.isnan(delta_r2)):
        length = prefixes.lengths[which[place]]
        terms = donors.values[places[place], :length, None] * multipliers[:length]
        delta_r2[place] = _refitted(reduced[:length], terms, response[:length])
    return delta_r2


def _on_all_rows(crossed: Array, inner: Array, by_response: Array) -> tuple[Array, Bools]:
    """Return what terms explain on all rows, where the basis is orthonormal: taking it out is a product.

    Of `inner` only the lower triangle counts, here and below.
    """
    n_terms = inner.shape[1]
    onto = crossed[:, :, :-1]
    products = np.empty((len(inner), n_terms + 1, n_terms + 1))
    products[:, :-1, :-1] = inner - onto @ onto.transpose(0, 2, 1)
    products[:, -1, :-1] = crossed[:, :, -1] - onto @ by_response[:-1]
    products[:, -1, -1] = by_response[-1]
    return _explained(products, np.einsum("dmm->dm", inner), 0)


def _on_first_rows(crossed: Array, inner: Array, kept: Array) -> tuple[Array, Bools]:
    """Return what terms explain on fewer rows, given the inner products of the kept columns and the response there."""
    n_kept, n_terms = kept.shape[1] - 1, inner.shape[1]
    products = np.empty((len(inner), n_kept + n_terms + 1, n_kept + n_terms + 1))
    products[:, :n_kept, :n_kept] = kept[:, :-1, :-1]
    products[:, n_kept:-1, :n_kept] = crossed[:, :, :-1]
    products[:, n_kept:-1, n_kept:-1] = inner
    products[:, -1, :n_kept] = kept[:, -1, :-1]
    products[:, -1, n_kept:-1] = crossed[:, :, -1]
    products[:, -1, -1] = kept[:, -1, -1]
    return _explained(products, np.einsum("dkk->dk", products)[:, :-1], n_kept)


def _explained(products: Array, squares: Array, n_kept: int) -> tuple[Array, Bools]:
    """Return what columns explain of a response beyond the first ones, and whether that is sound.

    `products` are inner products, of which only the lower triangle counts, the response last; what the response has with
    itself is overwritten. `squares` are those of the columns before anything was taken out of them.
    """
    # what is left of the response does not matter, but must not be nothing
    products[:, -1, -1] = 1 + 2 * products[:, -1, -1]
    factor = _cholesky(products)
    left = np.einsum("dkk->dk", factor)[:, :-1] ** 2
    sound: Bools = (left > _DOUBTFUL * squares).all(axis=1)
    gain: Array = (factor[:, -1, n_kept:-1] ** 2).sum(axis=1)
    return gain, sound


def _cholesky(products: Array) -> Array:
    """Return the triangular factors of matrices; zeros where there is none."""
    try:
        return np.asarray(np.linalg.cholesky(products), dtype=np.float64)
    except np.linalg.LinAlgError:
        # one without a factor fails all
        if len(products) == 1:
            return np.zeros_like(products)
        half = len(products) // 2
        return np.concatenate([_cholesky(products[:half]), _cholesky(products[half:])])


def _refitted(reduced: Array, terms: Array, response: Array) -> float:
    """Return the difference in explained variance with and without terms, fitted in full."""
    full = np.column_stack([reduced, terms])
    if is_degenerate(full) or np.ptp(response) == 0:
        return np.nan
    centred = response - response.mean()
    residuals = [centred - x @ np.linalg.lstsq(x, centred, rcond=None)[0] for x in (reduced, full)]
    without, complete = (residual @ residual for residual in residuals)
    return float((without - complete) / (centred @ centred))
