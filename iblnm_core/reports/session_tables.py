"""Tables of the report of one session: quality, performance, what is known of the subject, what all was made from."""

import dataclasses
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from iblnm_core.parameters import PRESETS, Parameters
from iblnm_core.reports import judging
from iblnm_core.reports.model import Card, Cell, Fact, Row, Section, TableView, table
from iblnm_core.reports.reading import StoredSession
from iblnm_core.reports.texts import UNKNOWN, clean, counted, number, percent, without_folders
from iblnm_core.root import Root
from iblnm_core.session.outputs import COMPUTED
from iblnm_core.session.performance import FITTED_BLOCKS
from iblnm_core.session.psychometric import PARAMETER_NAMES
from iblnm_core.vocabulary import DATASET_CATEGORIES

_BANDS = {"GCaMP": "470 nm", "Isosbestic": "415 nm"}
_SHARE_OF_UNIQUE, _INVERSIONS, _EARLY, _GAPS = "FewUniqueSamples", "BandInversion", "EarlySamples", "LedStateGap"
_BLOCK_NAMES = {"psych_50": "50 % left", "psych_20": "20 % left", "psych_80": "80 % left"}
_PARAMETER_WORDS = {
    "bias": "bias (%)",
    "threshold": "threshold (%)",
    "lapse_right": "lapse right",
    "lapse_left": "lapse left",
}


def quality_section(stored: StoredSession, found: Sequence[Card]) -> Section:
    """Return the section about the quality of the recording."""
    heading = ("quality", "Photometry quality")
    quality = stored.quality
    if not len(quality):
        return Section(*heading, (judging.why_missing("photometry_qc", stored.provenance, found),))
    anchors = {card.error_type: card for card in found}
    rows = [
        _quality_row(row, stored, anchors)
        for _, of_fiber in quality.groupby("fiber_idx")
        for row in of_fiber.to_dict("records")
    ]
    return Section(
        *heading,
        text="One row per region and band. Noise: median absolute deviance in sliding windows. Distinct values: share of "
        "samples in a window that differ from each other. AR score: how well a sample is told from the one before. "
        "Shared variance: part of the 470 nm signal that a line on the 415 nm band explains. Bleaching: time "
        "constant of its decay. A bold value with ✕ or ! failed its check.",
        tables=(
            TableView(
                "Quality by region and band",
                (
                    "Region and band",
                    "Noise (camera units)",
                    "Distinct values (fraction)",
                    "AR score",
                    "Shared variance (R²)",
                    "Slope on 415 nm",
                    "Bleaching (s)",
                    "Early frames",
                    "LED inversions",
                    "Frames of unknown LED",
                ),
                tuple(rows),
                numeric=True,
            ),
        ),
    )


def _quality_row(row: Mapping[Any, Any], stored: StoredSession, cards: Mapping[str, Card]) -> Row:
    region, band = clean(row["brain_region"]), str(row["band"])
    signal = stored.signals.get(str(row["brain_region"])) if band == "GCaMP" else None
    unique = row.get("n_unique_samples")
    few = cards.get(_SHARE_OF_UNIQUE)
    # the rule's own message says which bands failed
    failed_here = few is not None and f"{row['brain_region']}/{band}=" in few.measured
    tau, reason = row.get("bleaching_tau"), row.get("bleaching_fit")
    bleaching = number(tau) if reason in {None, "ok"} else clean(reason)
    return Row(
        (
            Cell(f"{region}, {_BANDS.get(band, clean(band))}"),
            Cell(number(row.get("median_absolute_deviance"))),
            _judged(number(unique), few if failed_here else None),
            Cell(number(row.get("ar_score"))),
            Cell(number(row.get("iso_correlation"))),
            Cell(number(signal.iso_slope) if signal is not None else UNKNOWN),
            Cell(bleaching if band == "GCaMP" else UNKNOWN),
            _judged(number(row.get("n_early_samples")), cards.get(_EARLY)),
            _judged(number(row.get("n_band_inversions")), cards.get(_INVERSIONS)),
            _judged(number(row.get("n_gap_frames")), cards.get(_GAPS)),
        )
    )


def _judged(text: str, card: Card | None) -> Cell:
    return Cell(text) if card is None else Cell(f"{card.sign} {text}", failed=card.anchor)


def behaviour_table(stored: StoredSession) -> TableView:
    """Return the table of a session's performance: fractions and psychometric parameters by block."""
    row = stored.performance
    facts = [
        ["Trials", number(row.get("n_trials"))],
        ["Trials without choice", percent(row.get("nogo_fraction"))],
        ["Correct", percent(row.get("fraction_correct"))],
        ["Correct on easy trials", percent(row.get("fraction_correct_easy"))],
        ["Blocks", clean(row.get("blocks"))],
        ["Bias shift (%)", number(row.get("bias_shift"))],
    ]
    for prefix in FITTED_BLOCKS:
        status = row.get(f"{prefix}_status")
        if status is None:
            continue
        bounds = set(row.get(f"{prefix}_at_bound", ()))
        values = [
            f"{_PARAMETER_WORDS[name]} {number(row.get(f'{prefix}_{name}'))}{' (on a bound: a limit, no estimate)' if name in bounds else ''}"
            for name in PARAMETER_NAMES
        ]
        fit = "; ".join(values) if status == "ok" else f"no fit: {clean(status)}"
        facts.append([f"Psychometric function, {_BLOCK_NAMES[prefix]}", fit])
    return table(
        "Performance. Bias shift: bias in blocks of 80 % left less that of 20 % left.", ("Measure", "Value"), facts
    )


def subject_section(stored: StoredSession) -> Section:
    """Return the section about subject and session; people who recorded it are counted, not named."""
    row = stored.row
    users = row.get("users") or ()
    facts = (
        Fact("Strain", clean(row.get("strain"))),
        Fact("Line", clean(row.get("line"))),
        Fact("Genotype", clean("; ".join(row.get("genotype") or ()) or None)),
        Fact("Neuromodulator", clean(row.get("NM"))),
        Fact("Projects", clean(", ".join(row.get("projects") or ()) or None)),
        Fact("Task protocol", clean(row.get("task_protocol") or None)),
        Fact("Start", _moment(row.get("start_time"))),
        Fact("End", _moment(row.get("end_time"))),
        Fact("Length", _length(row.get("session_length"))),
        Fact("People", counted(len(users), "user") if users else UNKNOWN),
        Fact("Source of the regions", clean(row.get("region_source") or None)),
        Fact("Record in the database", clean(row.get("url"))),
    )
    return Section("subject", "Subject and session", facts=facts)


def _moment(text: str | None) -> str:
    """Return a time as stored, without parts of a second."""
    return clean(text and text.partition(".")[0].replace("T", " "))


def _length(seconds: float | None) -> str:
    return UNKNOWN if seconds is None else number(round(float(seconds) / 60, 1), "min")


def data_section(root: Root, stored: StoredSession) -> Section:
    """Return the section about inputs, versions and parameters."""
    inputs = {entry.path: entry for provenance in stored.provenance.values() for entry in provenance.inputs}
    libraries = {name: version for p in stored.provenance.values() for name, version in p.libraries.items()}
    absent = _absent_categories(stored)
    changed = _changed_parameters(root)
    outputs = [
        [
            name,
            "stored" if entry.state == "stored" else f"{entry.state} ({clean(entry.stopped_by)})",
            entry.code,
            entry.fingerprint,
        ]
        for name in COMPUTED
        if (entry := stored.provenance.get(name)) is not None
    ]
    facts = (
        Fact("Missing dataset categories", ", ".join(absent) or "none"),
        Fact("Libraries", ", ".join(f"{name} {version}" for name, version in sorted(libraries.items())) or UNKNOWN),
        Fact("To make this page again", f"iblnm report {stored.eid}"),
    )
    tables = [
        table(
            "Input datasets, as they were read",
            ("Path", "Bytes", "Content hash"),
            [
                [without_folders(clean(e.path)), number(e.size) if e.size else "not read", clean(e.digest)]
                for _, e in sorted(inputs.items())
            ],
        ),
        table("Outputs and their data versions", ("Output", "State", "Code version", "Data version"), outputs),
        table(
            f"Parameters that differ from the preset {root.preset}"
            if changed
            else f"All parameters are those of the preset {root.preset}",
            ("Parameter", "Value", "Value of the preset"),
            changed,
        ),
        table("All parameters", ("Section", "Parameters"), _by_section(root.parameters), folded=True),
    ]
    notices = () if stored.provenance else ("Nothing is stored of this session: no output was made yet.",)
    return Section("data", "Data and provenance", notices, facts=facts, tables=tuple(t for t in tables if t.rows))


def _absent_categories(stored: StoredSession) -> list[str]:
    datasets = stored.row.get("datasets") or ()
    return [
        name
        for name, pattern in DATASET_CATEGORIES.items()
        if not any(re.fullmatch(pattern, str(path)) for path in datasets)
    ]


def flat(parameters: Parameters) -> dict[str, str]:
    """Return all parameters as texts by section and name."""
    return {
        f"{section}.{name}": json.dumps(value)
        for section, values in dataclasses.asdict(parameters).items()
        for name, value in values.items()
    }


def _by_section(parameters: Parameters) -> list[list[str]]:
    """Return all parameters, one row per section, so that they stay few on paper."""
    rows: dict[str, list[str]] = {}
    for name, value in flat(parameters).items():
        section, _, field = name.partition(".")
        rows.setdefault(section, []).append(f"{field} = {clean(value)}")
    return [[section, "; ".join(values)] for section, values in rows.items()]


def _changed_parameters(root: Root) -> list[list[str]]:
    ours, preset = flat(root.parameters), flat(PRESETS[root.preset])
    return [[name, clean(value), preset[name]] for name, value in ours.items() if value != preset[name]]


def data_version(stored: StoredSession) -> str:
    """Return a short hash of the data versions of all outputs."""
    versions = {name: entry.fingerprint for name, entry in stored.provenance.items()}
    return hashlib.blake2b(json.dumps(versions, sort_keys=True).encode(), digest_size=4).hexdigest()


def parameters_version(root: Root) -> str:
    """Return a short hash of all parameters."""
    return root.parameters.digest(tuple(sorted(field.name for field in dataclasses.fields(root.parameters))))[:8]
