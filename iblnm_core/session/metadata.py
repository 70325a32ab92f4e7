"""What is doubtful about a session's catalogue row: the metadata rules. The row itself is made in `cohort.catalogue`."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from iblnm_core.errors import (
    DataNotListed,
    InvalidBrainRegion,
    InvalidSessionLength,
    InvalidSessionType,
    InvalidSubject,
    InvalidTargetNM,
    MissingBrainRegion,
    MissingHemiSuffix,
    MissingRegionSource,
)
from iblnm_core.session.verdicts import Judge
from iblnm_core.vocabulary import (
    DATASET_CATEGORIES,
    EXCLUDED_SUBJECTS,
    MIDLINE_REGIONS,
    NEUROMODULATOR_OF_REGION,
    PROTOCOL_RED_FLAGS,
    SESSION_TYPES,
    TARGETS,
    is_safe_name,
    split_region,
)


def judge_metadata(row: Mapping[str, Any], judge: Judge) -> None:
    """Judge a session's catalogue row by all metadata rules but that of `judge_paths`.

    Parameters
    ----------
    row : mapping
        A row of the `sessions` table.
    judge : Judge
        Gets the verdicts.
    """
    subject, regions = row["subject"], list(row["brain_region"])
    with judge.rule("subject_in_project"):
        if subject in EXCLUDED_SUBJECTS:
            excluded = ", ".join(sorted(EXCLUDED_SUBJECTS))
            raise InvalidSubject(f"subject {subject} is excluded from the project (excluded: {excluded})")
    with judge.rule("brain_region_valid"):
        _check_regions(row, regions)
    with judge.rule("hemisphere_consistent"):
        _check_hemispheres(subject, regions)
    with judge.rule("datasets_listed"):
        absent = absent_categories(row["datasets"])
        if absent:
            raise DataNotListed(", ".join(absent), measured=len(absent), threshold=0)
    with judge.rule("session_type_valid"):
        session_type_of(row["task_protocol"])
    with judge.rule("target_valid"):
        invalid = [str(target) for target in row["target_NM"] if target not in TARGETS]
        if invalid:
            raise InvalidTargetNM(f"{', '.join(invalid)}; expected among {', '.join(TARGETS)}")
    with judge.rule("session_length_valid"):
        _check_length(row)


def judge_paths(row: Mapping[str, Any], judge: Judge) -> None:
    """Judge whether the names in a catalogue row can be used as folder and group names."""
    with judge.rule("session_paths_safe"):
        for field in ("subject", "lab"):
            if row.get(field) and not is_safe_name(row[field]):
                raise InvalidSubject(f"{field} {row[field]!r} cannot be a folder name")
        for region in row["brain_region"]:
            if region and not is_safe_name(region):
                raise InvalidBrainRegion(f"brain region {region!r} cannot be a name")


def _check_regions(row: Mapping[str, Any], regions: Sequence[str]) -> None:
    where = f"subject {row['subject']}, session {row['eid']}"
    if not regions:
        if not row["region_source"]:
            raise MissingRegionSource(
                f"{where}: neither _ibl_experiment.description.yaml nor photometryROI.locations.pqt names a brain region"
            )
        raise MissingBrainRegion(f"{where}: {row['region_source']} names no brain region")
    for region in regions:
        if split_region(region)[0] not in NEUROMODULATOR_OF_REGION:
            known = ", ".join(NEUROMODULATOR_OF_REGION)
            raise InvalidBrainRegion(f"brain region {region!r} is not a target of the project; targets are {known}")
    if row["filled_regions"]:
        raise InvalidBrainRegion(
            "; ".join(
                f"fibre {roi} has a blank region in {row['region_source']}; {region} is taken from the locations"
                for roi, _, region in (entry.partition(": ") for entry in row["filled_regions"])
            )
        )


def _check_hemispheres(subject: str, regions: Sequence[str]) -> None:
    lateral = set(NEUROMODULATOR_OF_REGION) - MIDLINE_REGIONS
    missing = [region for region in regions if region in lateral]
    if missing:
        raise MissingHemiSuffix(
            f"subject {subject}: {', '.join(missing)} without hemisphere; expected a suffix -l or -r"
        )


def absent_categories(datasets: Sequence[str]) -> list[str]:
    """Return the dataset categories of which a session lists no dataset."""
    return [
        category
        for category, pattern in DATASET_CATEGORIES.items()
        if not any(re.fullmatch(pattern, path) for path in datasets)
    ]


def session_type_of(protocol: str | None) -> str:
    """Return the session type that a task protocol names.

    Raises
    ------
    InvalidSessionType
        When it names none or several, or carries a red flag.
    """
    text = protocol or ""
    matches = [kind for kind in SESSION_TYPES if f"{kind}ChoiceWorld" in text]
    if "Histology" in text:
        matches.append("histology")
    if not matches:
        raise InvalidSessionType(f"{text!r} does not match any recognized session type")
    flags = [flag for flag in PROTOCOL_RED_FLAGS if flag in text]
    if flags:
        raise InvalidSessionType(f"{text!r} contains red flags {flags}")
    if len(matches) > 1:
        raise InvalidSessionType(f"{text!r} matches multiple session types: {matches}")
    return matches[0]


def _check_length(row: Mapping[str, Any]) -> None:
    if not row["end_time"]:
        raise InvalidSessionLength("Missing end_time")
    length = row["session_length"]
    if length is None or not length > 0:
        raise InvalidSessionLength(
            f"start {row['start_time']}, end {row['end_time']}: expected an end after the start", measured=length
        )
