"""Statistics of a recording and of trials, by functions that know nothing of where these come from."""

from dataclasses import replace

import numpy as np
import pandas as pd
from scipy.signal import butter, sosfiltfilt, welch
from scipy.stats import kurtosis, skew

from iblnm_core.parameters import PRESETS
from iblnm_core.session.bleaching import fit_bleaching
from iblnm_core.session.correcting import preprocess
from iblnm_core.session.preprocessing import fit_isosbestic, remove_bleaching
from iblnm_core.session.responses import extract_responses, magnitudes, mask_after_next_event, subtract_baseline
from iblnm_core.session.signal_quality import band_quality

DEFAULT = PRESETS["default"]
# the table's windows do not overlap
_QUALITY = replace(DEFAULT.signal_quality, step_s=DEFAULT.signal_quality.window_s)
_WELCH_SAMPLES = 8192
_SLOPE_BAND_HZ = (0.03, 3.0)
_NORMAL_SD_OF_MAD = 1.4826
_CLIPPED_AT_MADS = 8
_BASELINE_S, _EARLY_S = (-0.2, 0.0), (0.10, 0.35)


def white_noise(values):
    """Return the standard deviation of the white part of a signal: third differences hardly see anything else.

    By their median, which does not see the few jumps.
    """
    return _NORMAL_SD_OF_MAD * np.median(np.abs(np.diff(values, 3))) / np.sqrt(20)


def clipped(values):
    """Return values without what lies far out: single artefacts would decide the third and fourth moment."""
    centre = np.median(values)
    width = _CLIPPED_AT_MADS * _NORMAL_SD_OF_MAD * np.median(np.abs(values - centre))
    return np.clip(values, centre - width, centre + width)


def spectral_slope(values, rate_hz):
    frequencies, power = welch(values, rate_hz, nperseg=_WELCH_SAMPLES)
    inside = (frequencies >= _SLOPE_BAND_HZ[0]) & (frequencies <= _SLOPE_BAND_HZ[1])
    return np.polyfit(np.log10(frequencies[inside]), np.log10(power[inside]), 1)[0]


def correlation_within(one, other, rate_hz, band_hz):
    sections = butter(2, band_hz, "band", fs=rate_hz, output="sos")
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
    quality = band_quality(times, counts, _QUALITY).values
    moderate = clipped(gcamp)
    return {
        "SD of GCaMP, %": 100 * gcamp.std(),
        "SD of isosbestic, %": 100 * paired.std(),
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
        "skewness": skew(moderate),
        "excess kurtosis": kurtosis(moderate),
        "percentile_distance": quality["percentile_distance"],
        "percentile_asymmetry": quality["percentile_asymmetry"],
        "ar_score": quality["ar_score"],
    }


def of_responses(times, counts, reference_times, reference, trials):
    """Return mean and standard deviation (z) of the early response in correct trials, by event."""
    signal = preprocess(times, counts, reference_times, reference, DEFAULT.preprocessing, "time")
    events = DEFAULT.responses.events
    responses = extract_responses(signal.times, signal.values, trials, events, DEFAULT.responses)
    masked = mask_after_next_event(responses, trials, events)
    early = magnitudes(subtract_baseline(masked, _BASELINE_S), _EARLY_S)[:, trials["feedbackType"] > 0]
    found = {}
    for event, label in (("stimOn_times", "stimulus"), ("feedback_times", "feedback")):
        values = early[events.index(event)]
        found |= {f"{label}, mean z": np.nanmean(values), f"{label}, SD of z": np.nanstd(values)}
    return found


def of_trials(trials):
    """Return the timings of a trial table by name, s; trials of all sessions may be stacked."""
    delay = trials["stimOn_times"] - trials["intervals_0"]
    reaction = trials["firstMovement_times"] - trials["stimOn_times"]
    response = trials["response_times"] - trials["stimOn_times"]
    to_end = trials["intervals_1"] - trials["feedback_times"]
    correct = trials["feedbackType"] > 0
    prompt, responded = reaction[reaction > 0.05], response[response > 0.05]
    return {
        "stimulus - start, 5 %": delay.quantile(0.05),
        "stimulus - start, median": delay.median(),
        "stimulus - start, 95 %": delay.quantile(0.95),
        "reaction, median": reaction.median(),
        "reaction, log10 SD": np.log10(prompt).std(),
        "response, median": response.median(),
        "response, log10 SD": np.log10(responded).std(),
        "movement, median": (trials["response_times"] - trials["firstMovement_times"]).median(),
        "negative reactions, %": 100 * (reaction < 0).sum() / reaction.notna().sum(),
        "no-go, %": 100 * (trials["choice"] == 0).mean(),
        "feedback to end, correct": to_end[correct].median(),
        "feedback to end, error": to_end[~correct].median(),
    }


def accuracy(trials):
    """Return the percentage of correct trials by contrast, percent."""
    contrast = 100 * trials["contrastLeft"].fillna(trials["contrastRight"])
    return 100 * (trials["feedbackType"] > 0).groupby(contrast).mean()


def per_minute(trials):
    return 60 * len(trials) / (trials["intervals_1"].max() - trials["intervals_0"].min())


def cut(signal, trials):
    """Return an extracted signal without its first frame, five seconds around the trials."""
    low, high = trials["intervals_0"].min() - 5, trials["intervals_1"].max() + 5
    return signal.iloc[1:][lambda frame: (frame["times"] > low) & (frame["times"] < high)]


def of_signal(signal, roi, trials):
    """Return the statistics of one ROI of an extracted signal and of its responses."""
    bands = [signal[signal["name"] == name] for name in ("GCaMP", "Isosbestic")]
    arrays = [band[column].to_numpy() for band in bands for column in ("times", roi)]
    return of_recording(*arrays) | of_responses(*arrays, trials)


def quantiles(rows):
    return pd.DataFrame(rows).quantile([0.05, 0.5, 0.95])
