"""The example recording of corrections, made of formulas."""

import numpy as np

from iblnm_core.corrections.traces import Traces

RATE_HZ = 30


def example(seed=0, duration_s=600):
    """Return times, signal, reference and the neural signal in it: transients every 20 s, slope of the motion 0.5."""
    n = RATE_HZ * duration_s
    t = np.arange(n) / RATE_HZ
    random = np.random.default_rng(seed)
    first, second = random.standard_normal(n), random.standard_normal(n)
    motion = np.sin(2 * np.pi * 0.2 * t) + 0.5 * np.sin(2 * np.pi * 0.53 * t + 1)
    neural = np.zeros(n)
    for onset in onsets(duration_s):
        since = np.maximum(t - onset, 0)
        neural += 0.05 * (1 - np.exp(-since / 0.08)) * np.exp(-since / 0.6)
    signal = slow_signal(t) * (1 + 0.01 * motion) * (1 + neural) + 0.002 * first
    reference = 0.5 * (0.1 * np.exp(-t / 150) + 0.9) * (1 + 0.02 * motion) + 0.001 * second
    return t, signal, reference, neural


def onsets(duration_s=600):
    return np.arange(20, duration_s - 10, 20)


def slow_signal(t):
    return 0.2 * np.exp(-t / 100) + 0.8


def unmasked(t, signal, reference):
    return Traces(t, signal, reference, np.zeros(len(t), np.uint8))


def mean_response(trace, duration_s=600):
    """Return the mean 0.1 to 0.6 s after transients less that of the 0.2 s before."""
    places = np.round(onsets(duration_s) * RATE_HZ).astype(int)
    return np.mean([trace[p + 3 : p + 18].mean() - trace[p - 6 : p].mean() for p in places])
