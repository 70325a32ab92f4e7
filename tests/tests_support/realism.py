"""Statistics of a recording and of trials, by functions that know nothing of where these come from."""

import numpy as np
import pandas as pd
from scipy.signal import butter, sosfiltfilt, welch

from iblnm_core.parameters import PRESETS
from iblnm_core.session.bleaching import fit_bleaching
from iblnm_core.session.preprocessing import fit_isosbestic, remove_bleaching
from iblnm_core.session.signal_quality import band_quality

DEFAULT = PRESETS["default"]
_WELCH_SAMPLES = 4096
_SLOPE_BAND_HZ = (0.03, 3.0)


def white_noise(values):
    """Return the standard deviation of the white part of a signal: third differences hardly see anything else."""
    return np.diff(values, 3).std() / np.sqrt(20)


def spectral_slope(values, rate_hz):
    frequencies, power = welch(values, rate_hz, nperseg=_WELCH_SAMPLES)
    inside = (frequencies >= _SLOPE_BAND_HZ[0]) & (frequencies <= _SLOPE_BAND_HZ[1])
    return np.polyfit(np.log10(frequencies[inside]), np.log10(power[inside]), 1)[0]


def correlation_within(one, other, rate_hz, band_hz):
    sections = butter(3, band_hz, "band", fs=rate_hz, output="sos")
    return np.corrcoef(sosfiltfilt(sections, one), sosfiltfilt(sections, other))[0, 1]


def quantum(counts):
    """Return the smallest step between two values of a camera."""
    steps = np.diff(np.unique(counts))
    return steps[steps > 1e-9].min()


def of_recording(times, counts, reference_times, reference):
    """Return all statistics of one fibre by name; relative changes in percent, the quantum in 1e-7."""
    rate = 1 / np.median(np.diff(times))
    gcamp = remove_bleaching(times, counts, DEFAULT.preprocessing)
    iso = remove_bleaching(reference_times, reference, DEFAULT.preprocessing)
    paired = np.interp(times, reference_times, iso)
    slope, _, explained = fit_isosbestic(gcamp, paired)
    half_minute = round(30 * rate)
    quality = band_quality(times, counts, DEFAULT.signal_quality).values
    return {
        "SD of GCaMP, %": 100 * gcamp.std(),
        "SD of isosbestic, %": 100 * iso.std(),
        "white noise of GCaMP, %": 100 * white_noise(gcamp),
        "white noise of isosbestic, %": 100 * white_noise(iso),
        "spectral slope of GCaMP": spectral_slope(gcamp, rate),
        "spectral slope of isosbestic": spectral_slope(iso, rate),
        "isosbestic R2": explained,
        "isosbestic slope": slope,
        "r of bands, 0.01-0.1 Hz": correlation_within(gcamp, paired, rate, (0.01, 0.1)),
        "r of bands, 0.5-2 Hz": correlation_within(gcamp, paired, rate, (0.5, 2)),
        "bleaching tau / duration": fit_bleaching(times, counts, DEFAULT.bleaching_fit).tau_s / (times[-1] - times[0]),
        "end / start of GCaMP": counts[-half_minute:].mean() / counts[:half_minute].mean(),
        "quantum, 1e-7": 1e7 * quantum(counts),
        "unique fraction": quality["n_unique_samples"],
        "percentile_distance": quality["percentile_distance"],
        "percentile_asymmetry": quality["percentile_asymmetry"],
        "ar_score": quality["ar_score"],
    }


def of_trials(trials):
    """Return the timings of a trial table by name, s; trials of all sessions may be stacked."""
    delay = trials["stimOn_times"] - trials["intervals_0"]
    reaction = trials["firstMovement_times"] - trials["stimOn_times"]
    response = trials["feedback_times"] - trials["stimOn_times"]
    to_end = trials["intervals_1"] - trials["feedback_times"]
    correct = trials["feedbackType"] > 0
    prompt = reaction[reaction > 0.05]
    return {
        "stimulus - start, 5 %": delay.quantile(0.05),
        "stimulus - start, median": delay.median(),
        "stimulus - start, 95 %": delay.quantile(0.95),
        "reaction, median": reaction.median(),
        "reaction, log10 SD": np.log10(prompt).std(),
        "response, median": response.median(),
        "response, log10 SD": np.log10(response[response > 0]).std(),
        "movement, median": (trials["feedback_times"] - trials["firstMovement_times"]).median(),
        "negative reactions, %": 100 * (reaction < 0).sum() / reaction.notna().sum(),
        "no-go, %": 100 * (trials["choice"] == 0).mean(),
        "feedback to end, correct": to_end[correct].median(),
        "feedback to end, error": to_end[~correct].median(),
    }


def per_minute(trials):
    return 60 * len(trials) / (trials["intervals_1"].max() - trials["intervals_0"].min())


def cut(signal, trials):
    """Return an extracted signal without its first frame, five seconds around the trials."""
    low, high = trials["intervals_0"].min() - 5, trials["intervals_1"].max() + 5
    return signal.iloc[1:][lambda frame: (frame["times"] > low) & (frame["times"] < high)]


def of_signal(signal, roi):
    """Return the statistics of one ROI of an extracted signal."""
    bands = [signal[signal["name"] == name] for name in ("GCaMP", "Isosbestic")]
    return of_recording(*(band[column].to_numpy() for band in bands for column in ("times", roi)))


def quantiles(rows):
    return pd.DataFrame(rows).quantile([0.05, 0.5, 0.95])
