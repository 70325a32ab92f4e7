"""Random sequences on the frame grid: coloured noise, event trains, responses to them. No neuroscience here."""

import numpy as np
from numpy.typing import NDArray
from scipy import fft

Floats = NDArray[np.float64]


def coloured_noise(
    rng: np.random.Generator, n: int, rate_hz: float, exponent: float, band_hz: tuple[float, float]
) -> Floats:
    """Return noise whose power falls as a power of frequency inside a band and is zero outside.

    Drawn in the frequency domain (Timmer and Koenig 1995, Astron. Astrophys. 300, 707).

    Parameters
    ----------
    rng : numpy.random.Generator
    n : int
    rate_hz : float
    exponent : float
        Power goes as 1 / f ** exponent.
    band_hz : (float, float)

    Returns
    -------
    ndarray of float64, (n,)
        Mean 0, standard deviation 1.
    """
    length = fft.next_fast_len(n, real=True)
    frequencies = fft.rfftfreq(length, 1 / rate_hz)
    inside = np.flatnonzero((frequencies >= band_hz[0]) & (frequencies <= band_hz[1]))
    draws = rng.standard_normal((2, len(inside)), dtype=np.float32)
    spectrum = np.zeros(len(frequencies), np.complex128)
    spectrum[inside] = (draws[0] + 1j * draws[1]) * frequencies[inside] ** (-exponent / 2)
    return standardised(fft.irfft(spectrum, length)[:n])


def event_train(positions: Floats, weights: Floats, n: int) -> Floats:
    """Return weighted impulses on a grid, each split linearly between its two neighbours.

    Parameters
    ----------
    positions : ndarray of float64, (k,)
        In grid steps; impulses off the grid, or at unknown positions, are left out.
    weights : ndarray of float64, (k,)
    n : int
        Length of the grid.
    """
    inside = (positions >= 0) & (positions < n - 1)
    whole = np.floor(positions[inside]).astype(np.int64)
    part = positions[inside] - whole
    places = np.concatenate([whole, whole + 1])
    shares = np.concatenate([(1 - part) * weights[inside], part * weights[inside]])
    return np.bincount(places, shares, minlength=n).astype(np.float64, copy=False)


def poisson_times(rng: np.random.Generator, rate_hz: float, duration_s: float) -> Floats:
    """Return the times (s) of a Poisson process, unordered."""
    return rng.uniform(0.0, duration_s, rng.poisson(rate_hz * duration_s))


def responses_to(train: Floats, kernel: Floats) -> Floats:
    """Return the causal convolution of a train with a kernel sampled on the same grid, as long as the train."""
    length = fft.next_fast_len(len(train) + len(kernel) - 1, real=True)
    convolved: Floats = fft.irfft(fft.rfft(train, length) * fft.rfft(kernel, length), length)[: len(train)]
    return convolved


def standardised(values: Floats) -> Floats:
    """Return values with mean 0 and standard deviation 1; all zeros for constant ones."""
    centred: Floats = values - values.mean()
    spread = float(centred.std())
    if spread > 0:
        centred /= spread
    return centred
