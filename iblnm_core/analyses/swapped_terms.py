"""What a regressor adds to linear models when its values come from elsewhere, in closed form: many at once. Arrays only."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from iblnm_core.analyses.least_squares import is_degenerate

Array = NDArray[np.float64]
Bools = NDArray[np.bool_]
Places = NDArray[np.intp]

_DOUBTFUL = 1e-4
"""Smallest share of a column's square that the columns before it may leave; below, models are fitted in full."""
_VARIES = 1e-6
"""Smallest share of a sum of squares that its part about the mean may be; below, the same."""
_TRACE = 3e-14
"""Added to squares, as a share: more than rounding, and less than a ten-digit result knows of where nothing is doubtful."""


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
class Regressor:
    """A regressor that is swapped, by places in the design.

    Attributes
    ----------
    columns : ndarray of intp, (m,) or (0,)
        The regressor and its interactions; none where a design lacks it.
    partners : ndarray of intp, (m,)
        What the regressor is multiplied with in each of its terms.
    kept : ndarray of intp, (q,)
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
        places = np.array(columns, dtype=np.intp), np.array(partners, dtype=np.intp)
        return cls(*places, np.setdiff1d(np.arange(n_columns), places[0]))


def swapped_delta_r2(reduced: Array, partners: Sequence[int], response: Array, donors: Sequence[Array]) -> Array:
    """Return what a regressor adds to a model when its values are those of each of several donors.

    See `docs/methods/permutation.md`. Each value is of the rows that recording and donor have in common, from the first on.

    Parameters
    ----------
    reduced : ndarray of float64, (n, q)
        Columns without the regressor, an intercept among them.
    partners : sequence of int, (m,)
        Places of the columns that the regressor is multiplied with in each of its terms; that of the intercept for itself.
    response : ndarray of float64, (n,)
    donors : sequence of ndarray of float64, (d,) of (at least 1,)

    Returns
    -------
    ndarray of float64, (d,)
        Not a number where the design is degenerate or the response constant.
    """
    if not donors:
        return np.empty(0)
    values = DonorValues.of(donors)
    models = SwapModels([reduced], [response], [np.arange(len(donors))], values.lengths)
    return models.delta_r2(Regressor.of([], partners, reduced.shape[1]), values)[0]


class SwapModels:
    """Models of some recordings, in which regressors can be swapped.

    Parameters
    ----------
    designs : sequence of ndarray of float64, (f,) of (n, k)
        All columns, an intercept among them; not degenerate.
    responses : sequence of ndarray of float64, (f,) of (n,)
    donors : sequence of ndarray of intp, (f,) of (any,)
        Places of the donors of each recording.
    lengths : ndarray of intp, (d,)
        Number of values of every donor.

    Attributes
    ----------
    focal, donor : ndarray of intp, (p,)
        Places of recording and donor of all pairs, recording by recording.
    """

    focal: Places
    donor: Places

    def __init__(
        self, designs: Sequence[Array], responses: Sequence[Array], donors: Sequence[Places], lengths: Places
    ) -> None:
        sizes, n_columns = np.array([len(response) for response in responses]), designs[0].shape[1]
        self.focal = np.repeat(np.arange(len(designs)), [len(places) for places in donors])
        self.donor = np.concatenate(donors)
        # a recording and as many of its first rows as it has in common with some donor
        common = np.minimum(lengths[self.donor], sizes[self.focal])
        span = int(sizes.max()) + 1
        numbers, self._prefix = np.unique(self.focal * span + common, return_inverse=True)
        self._prefix_focal, self._prefix_rows = np.divmod(numbers, span)
        self._whole = common == sizes[self.focal]
        # rows of zeros, which add nothing to inner products, make all of one size
        self._columns = np.zeros((len(designs), span - 1, n_columns))
        self._basis = np.zeros((len(designs), span - 1, n_columns + 1))
        self._triangles = np.empty((len(designs), n_columns, n_columns))
        self._products = np.empty((len(numbers), n_columns + 1, n_columns + 1))
        self._total = np.empty(len(numbers))
        for place, (design, response) in enumerate(zip(designs, responses, strict=True)):
            basis, own = self._basis[place, : len(response)], self._prefix_focal == place
            self._columns[place, : len(response)] = design
            basis[:, :-1], self._triangles[place] = np.linalg.qr(design)
            basis[:, -1] = response - response.mean()
            self._products[own], self._total[own] = _over_first_rows(basis, self._prefix_rows[own])

    def delta_r2(self, regressor: Regressor, donors: DonorValues) -> tuple[Array, Array]:
        """Return what a regressor adds with the values of donors, and with the recording's own on the same rows.

        Parameters
        ----------
        regressor : Regressor
        donors : DonorValues

        Returns
        -------
        swapped, own : ndarray of float64, (p,)
            By pair of recording and donor; not a number where the design is degenerate or the response constant.
        """
        kept, columns, n_kept = regressor.kept, regressor.columns, len(regressor.kept)
        # the bases turned so that the kept columns come first, the response last
        turn = np.zeros((len(self._basis), self._basis.shape[2], self._basis.shape[2]))
        turn[:, :-1, :-1] = np.linalg.qr(self._triangles[:, :, np.concatenate([kept, columns])])[0]
        turn[:, -1, -1] = 1
        of_prefix = turn[self._prefix_focal]
        products = of_prefix.transpose(0, 2, 1) @ self._products @ of_prefix
        first = [*range(n_kept), -1]
        kept_products, basis = products[:, :, first][:, first], self._basis @ turn[:, :, first]
        gain, sound = _explained(products, _squares(products)[:, :-1], n_kept)
        own = np.where(sound, gain / self._total, np.nan)
        doubtful = np.flatnonzero(np.isnan(own))
        own_terms = self._columns[self._prefix_focal[doubtful]][:, :, columns]
        own[doubtful] = self._refitted(doubtful, kept, own_terms)
        gain, sound = self._explained_by_donors(regressor, donors, basis, kept_products)
        swapped = np.where(sound, gain / self._total[self._prefix], np.nan)
        doubtful = np.flatnonzero(np.isnan(swapped))
        multipliers = self._columns[self.focal[doubtful]][:, : donors.values.shape[1], regressor.partners]
        terms = donors.values[self.donor[doubtful], : multipliers.shape[1], None] * multipliers
        swapped[doubtful] = self._refitted(self._prefix[doubtful], kept, terms)
        return swapped, own[self._prefix]

    def _refitted(self, prefixes: Places, kept: Places, terms: Array) -> Array:
        """Return what terms (s, n, m) add on first rows of recordings (s,), fitted in full."""
        if not len(prefixes):
            return np.empty(0)
        n_kept, n_columns = len(kept), len(kept) + terms.shape[2]
        focal, lengths = self._prefix_focal[prefixes], self._prefix_rows[prefixes]
        used = np.arange(self._columns.shape[1]) < lengths[:, None]
        full = np.zeros((len(focal), used.shape[1], n_columns + 1))
        full[:, :, :n_kept] = self._columns[focal][:, :, kept]
        full[:, : terms.shape[1], n_kept:-1] = terms
        response = self._basis[focal, :, -1]
        mean = np.where(used, response, 0).sum(axis=1) / lengths
        full[:, :, -1] = response - mean[:, None]
        full *= used[:, :, None]
        lowest, highest = (np.where(used, response, end) for end in (np.inf, -np.inf))
        constant = highest.max(axis=1) == lowest.min(axis=1)
        triangle = np.asarray(np.linalg.qr(full, mode="r"))
        useless = is_degenerate(triangle[:, :n_columns, :n_columns]) | constant
        squares = (triangle[:, :, -1] ** 2).sum(axis=1)
        added = (triangle[:, n_kept:n_columns, -1] ** 2).sum(axis=1)
        shares: Array = np.divide(added, squares, out=np.full(len(focal), np.nan), where=~useless)
        return shares

    def _explained_by_donors(
        self, regressor: Regressor, donors: DonorValues, basis: Array, kept_products: Array
    ) -> tuple[Array, Bools]:
        """Take the reduced models out of responses and swapped terms, and regress the one on the other."""
        multipliers, n_terms = self._columns[:, :, regressor.partners], len(regressor.partners)
        n_rows = min(basis.shape[1], donors.values.shape[1])
        # all terms of all donors: products of their values with what does not change
        fixed = (multipliers[:, :n_rows, :, None] * basis[:, :n_rows, None]).reshape(len(basis), n_rows, -1)
        crossed = donors.values[:, :n_rows] @ fixed
        first, second = np.tril_indices(n_terms)
        squares = donors.squares[:, :n_rows] @ (multipliers[:, :n_rows, first] * multipliers[:, :n_rows, second])
        gain, sound = np.empty(len(self.focal)), np.empty(len(self.focal), dtype=bool)
        for some, explained in ((self._whole, _on_all_rows), (~self._whole, _on_first_rows)):
            pairs = self.focal[some], self.donor[some]
            inner = np.zeros((len(pairs[0]), n_terms, n_terms))
            inner[:, first, second] = squares[pairs]
            of_pairs = crossed[pairs].reshape(len(inner), n_terms, basis.shape[2])
            gain[some], sound[some] = explained(of_pairs, inner, kept_products[self._prefix[some]])
        return gain, sound


def _over_first_rows(basis: Array, lengths: Places) -> tuple[Array, Array]:
    """Return inner products of columns over as many first rows as asked for, and the squares of the last one about its mean.

    The latter are not a number where they are lost in rounding.
    """
    blocks = np.split(basis, lengths)[:-1]
    products = np.cumsum([block.T @ block for block in blocks], axis=0)
    squares = products[:, -1, -1]
    total = squares - np.cumsum(basis[:, -1])[lengths - 1] ** 2 / lengths
    return products, np.where(total > _VARIES * squares, total, np.nan)


def _on_all_rows(crossed: Array, inner: Array, kept: Array) -> tuple[Array, Bools]:
    """Return what terms explain on all rows, where the basis is orthonormal: taking it out is a product.

    Of `inner` only the lower triangle counts, here and below.
    """
    n_terms = inner.shape[1]
    onto = crossed[:, :, :-1]
    products = np.empty((len(inner), n_terms + 1, n_terms + 1))
    products[:, :-1, :-1] = inner - onto @ onto.transpose(0, 2, 1)
    products[:, -1, :-1] = crossed[:, :, -1] - (onto @ kept[:, :-1, -1:])[:, :, 0]
    products[:, -1, -1] = kept[:, -1, -1]
    return _explained(products, _squares(inner), 0)


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
    return _explained(products, _squares(products)[:, :-1], n_kept)


def _squares(products: Array) -> Array:
    """Return the diagonals of matrices; they can be written to."""
    diagonals: Array = np.einsum("dkk->dk", products)
    return diagonals


def _explained(products: Array, squares: Array, n_kept: int) -> tuple[Array, Bools]:
    """Return what columns explain of a response beyond the first ones, and whether that is sound.

    `products` are inner products, of which only the lower triangle counts, the response last; they are overwritten. `squares`
    are those of the columns before anything was taken out of them.
    """
    diagonal = _squares(products)
    # what is left of the response does not matter, but must not be nothing
    diagonal[:, -1] = 1 + 2 * diagonal[:, -1]
    # columns that depend on each other have a factor then, too
    diagonal[:, :-1] += _TRACE * squares
    factor = _cholesky(products)
    sound: Bools = np.all(_squares(factor)[:, :-1] ** 2 > _DOUBTFUL * squares, axis=1)
    gain: Array = np.sum(factor[:, -1, n_kept:-1] ** 2, axis=1)
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
