"""Sums over the rows of each subject, from which random-intercept models are fitted. Arrays only; no statistics here."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class SubjectSums:
    """What a model with a random intercept needs of the rows of each subject.

    Attributes
    ----------
    n_rows : ndarray of int64, (g,)
    column_sums : ndarray of float64, (g, p)
        Of the columns of the design.
    response_sum : ndarray of float64, (g,)
    cross_products : ndarray of float64, (g, p, p)
        X'X.
    cross_response : ndarray of float64, (g, p)
        X'y.
    response_squares : ndarray of float64, (g,)
        y'y.
    """

    n_rows: NDArray[np.int64]
    column_sums: Array
    response_sum: Array
    cross_products: Array
    cross_response: Array
    response_squares: Array

    @classmethod
    def of(cls, design: Array, response: Array, subjects: NDArray[np.intp]) -> "SubjectSums":
        """Sum the rows of each subject.

        Parameters
        ----------
        design : ndarray of float64, (n, p)
        response : ndarray of float64, (n,)
        subjects : ndarray of intp, (n,)
            Codes of the subjects, from 0.
        """
        order = np.argsort(subjects, kind="stable")
        n_rows = np.bincount(subjects)
        # one product per subject holds all its sums
        table = np.column_stack([np.ones(len(response)), design, response])[order]
        blocks = np.split(table, np.cumsum(n_rows)[:-1])
        products = np.stack([block.T @ block for block in blocks])
        return cls(
            n_rows.astype(np.int64),
            products[:, 0, 1:-1],
            products[:, 0, -1],
            products[:, 1:-1, 1:-1],
            products[:, 1:-1, -1],
            products[:, -1, -1],
        )

    def columns(self, chosen: Sequence[int]) -> "SubjectSums":
        """Return the sums of a design that has only some of the columns.

        Parameters
        ----------
        chosen : sequence of int
            Places of the columns, in the order that is wanted.
        """
        places = np.asarray(chosen, dtype=np.intp)
        return SubjectSums(
            self.n_rows,
            self.column_sums[:, places],
            self.response_sum,
            self.cross_products[:, places[:, None], places],
            self.cross_response[:, places],
            self.response_squares,
        )

    def recoded(self, matrix: Array) -> "SubjectSums":
        """Return the sums of a design whose columns are combinations of the present ones.

        Parameters
        ----------
        matrix : ndarray of float64, (p, r)
            What the present design is multiplied with.
        """
        return SubjectSums(
            self.n_rows,
            self.column_sums @ matrix,
            self.response_sum,
            matrix.T @ self.cross_products @ matrix,
            self.cross_response @ matrix,
            self.response_squares,
        )

    def without(self, subject: int) -> "SubjectSums":
        """Return the sums of all other subjects.

        Parameters
        ----------
        subject : int
            Code of the subject.
        """
        return self._of_subjects(np.delete(np.arange(len(self.n_rows)), subject))

    def only(self, subject: int) -> "SubjectSums":
        """Return the sums of one subject.

        Parameters
        ----------
        subject : int
            Code of the subject.
        """
        return self._of_subjects(np.array([subject]))

    def _of_subjects(self, places: NDArray[np.intp]) -> "SubjectSums":
        return SubjectSums(
            self.n_rows[places],
            self.column_sums[places],
            self.response_sum[places],
            self.cross_products[places],
            self.cross_response[places],
            self.response_squares[places],
        )
