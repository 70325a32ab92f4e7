"""How much each difference between the presets changes: the table of `docs/deviations.md`.

Run `python benchmarks/deviations.py CACHE [CACHE ...]`, each a local ONE cache. Every session is processed with the preset
`default`, then with one parameter of `reference` at a time, then with all.
"""

import argparse
import dataclasses
import tempfile
from pathlib import Path

import numpy as np
from sessions import catalogue_of

from iblnm_core.parameters import PRESETS
from iblnm_core.root import create_root
from iblnm_core.session import layout
from iblnm_core.session.pipeline import process_session
from iblnm_core.storage.session_file import SessionFile

EDGE_S = 100.0
METRICS = (
    "n_unique_samples",
    "median_absolute_deviance",
    "percentile_distance",
    "percentile_asymmetry",
    "ar_score",
    "iso_correlation",
)


def variants():
    """Return parameter sets by name: each difference by itself, and all of them."""
    default, reference = PRESETS["default"], PRESETS["reference"]
    found = {}
    for section in dataclasses.fields(default):
        ours, theirs = getattr(default, section.name), getattr(reference, section.name)
        for field in dataclasses.fields(ours):
            if getattr(ours, field.name) != getattr(theirs, field.name):
                changed = dataclasses.replace(ours, **{field.name: getattr(theirs, field.name)})
                found[f"{section.name}.{field.name}"] = dataclasses.replace(default, **{section.name: changed})
    return found | {"all": reference}


def outputs(task, parameters):
    """Return signals, mean feedback responses and quality rows of a session."""
    Path(task.file).unlink(missing_ok=True)
    process_session(dataclasses.replace(task, parameters=parameters))
    with SessionFile(Path(task.file), task.eid) as file:
        means = {
            region: np.nanmean(found.values[found.events.index("feedback_times")], axis=0)
            for region, found in layout.read_responses(file).items()
            if "feedback_times" in found.events
        }
        quality = layout.read_qc(file)
        return {name: s for name, (_, s) in layout.read_signals(file).items()}, means, quality


def differences(ours, theirs):
    """Return for each recording of a session how signal, its edges and the mean response differ; and each metric."""
    signals, means, quality = ours
    other_signals, other_means, other_quality = theirs
    for region, mean in means.items():
        if region in other_means:
            a, b = signals[region], other_signals[region]
            grid = a.index.to_numpy()
            change = a.to_numpy() - np.interp(grid, b.index.to_numpy(), b.to_numpy())
            edge = (grid < grid[0] + EDGE_S) | (grid > grid[-1] - EDGE_S)
            rms = [float(np.sqrt(np.nanmean(change[where] ** 2))) for where in (slice(None), edge)]
            yield "recording", [*rms, float(np.abs(mean - other_means[region]).max()), float(np.abs(mean).max())]
    if len(quality) and len(quality) == len(other_quality):
        for name in METRICS:
            yield name, list(np.abs(other_quality[name] / quality[name] - 1).dropna())


def measure(cache, folder):
    root = create_root(folder, cache=cache)
    catalogue = catalogue_of(root)
    collected = {name: {} for name in variants()}
    for task in catalogue.tasks(catalogue.sessions):
        ours = outputs(task, PRESETS["default"])
        for name, parameters in variants().items():
            for kind, values in differences(ours, outputs(task, parameters)):
                collected[name].setdefault(kind, []).append(values)
    return collected


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("caches", nargs="+", type=Path)
    for cache in parser.parse_args().caches:
        with tempfile.TemporaryDirectory() as folder:
            collected = measure(cache, Path(folder))
        print(
            f"\n{cache}\n{'':<36}{'n':>4}{'signal':>9}{'edges':>9}{'mean':>9}{'of':>9}"
            + "".join(f"{m[:12]:>14}" for m in METRICS)
        )
        for name, kinds in collected.items():
            recordings = np.array(kinds.get("recording", []))
            medians = np.median(recordings, axis=0) if len(recordings) else [np.nan] * 4
            relative = [np.median(np.concatenate(kinds[m])) if m in kinds else np.nan for m in METRICS]
            print(
                f"{name:<36}{len(recordings):>4}"
                + "".join(f"{value:>9.3f}" for value in medians)
                + "".join(f"{value:>14.4f}" for value in relative)
            )


if __name__ == "__main__":
    main()
