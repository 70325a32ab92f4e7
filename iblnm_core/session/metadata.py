"""What is doubtful about a session's catalogue row: the metadata rules. The row itself is made in `cohort.catalogue`."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from iblnm_core.errors import (
    DataNotListed,
    HemisphereMismatch,
    InvalidBrainRegion,
    InvalidExtendedQC,
    InvalidLine,
    InvalidNeuromodulator,
    InvalidSessionLength,
    InvalidSessionType,
    InvalidStrain,
    InvalidSubject,
    InvalidTargetNM,
    MissingBrainRegion,
    MissingHemisphere,
    MissingHemiSuffix,
    MissingInsertion,
    MissingRegionSource,
    NMMismatch,
    SessionError,
    SubjectNotUnique,
    TrueDuplicateSession,
)
from iblnm_core.parameters import MetadataParameters
from iblnm_core.session.verdicts import Judge
from iblnm_core.vocabulary import (
    DATASET_CATEGORIES,
    EXCLUDED_SUBJECTS,
    MIDLINE_REGIONS,
    NEUROMODULATOR_OF_GENETICS,
    NEUROMODULATOR_OF_REGION,
    OTHER_SESSIONS,
    PROTOCOL_RED_FLAGS,
    SESSION_TYPES,
    STRAINS,
    TABLE_OF_FIBERS,
    TARGETS,
    is_safe_name,
    split_region,
)


def judge_metadata(row: Mapping[str, Any], parameters: MetadataParameters, judge: Judge) -> None:
    """Judge a session's catalogue row by all metadata rules but that of `judge_paths`.

    Parameters
    ----------
    row : mapping
        A row of the `sessions` table.
    parameters : MetadataParameters
    judge : Judge
        Gets the verdicts.
    """
    subject, regions = row["subject"], list(row["brain_region"])
    judge.record("subject_in_project", _subject_errors(subject, row["n_subject_rows"]))
    if row["n_subject_rows"] is not None:
        _judge_genetics(row, judge)
    judge.record("brain_region_valid", _region_errors(row, regions))
    judge.record("hemisphere_consistent", _hemisphere_errors(row, regions, parameters))
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
        _check_length(row, parameters)
    with judge.rule("not_duplicated"):
        if row["duplicate_of"]:
            day = row["start_time"][:10]
            raise TrueDuplicateSession(
                f"subject {subject} has several sessions on {day}; {row['duplicate_of']} is used"
            )
    with judge.rule("extended_qc_valid"):
        if row["invalid_extended_qc"]:
            raise InvalidExtendedQC("; ".join(row["invalid_extended_qc"]), measured=len(row["invalid_extended_qc"]))


def judge_paths(row: Mapping[str, Any], judge: Judge) -> None:
    """Judge whether the names in a catalogue row can be used as folder and group names."""
    with judge.rule("session_paths_safe"):
        error = unsafe_name(row)
        if error is not None:
            raise error


def unsafe_name(row: Mapping[str, Any]) -> SessionError | None:
    """Return what is wrong with the first name in a catalogue row that can be no folder or group name; None when all can."""
    for field in ("subject", "lab"):
        if row.get(field) and not is_safe_name(row[field]):
            return InvalidSubject(f"{field} {row[field]!r} cannot be a folder name")
    for region in row.get("brain_region") or ():
        if region and not is_safe_name(region):
            return InvalidBrainRegion(f"brain region {region!r} cannot be a name")
    return None


def _subject_errors(subject: str, n_rows: int | None) -> list[SessionError]:
    errors: list[SessionError] = []
    if subject in EXCLUDED_SUBJECTS:
        excluded = ", ".join(sorted(EXCLUDED_SUBJECTS))
        errors.append(InvalidSubject(f"subject {subject} is excluded from the project (excluded: {excluded})"))
    if n_rows is not None and n_rows != 1:
        text = f"Expected exactly 1 subject for '{subject}', found {n_rows:g}"
        errors.append(SubjectNotUnique(text, measured=n_rows, threshold=1))
    return errors


def _judge_genetics(row: Mapping[str, Any], judge: Judge) -> None:
    """Judge strain, line and what they report; a source without a table of subjects says nothing about them."""
    strain, line = row["strain"], row["line"]
    crosses = ", ".join(NEUROMODULATOR_OF_GENETICS)
    with judge.rule("strain_known"):
        if strain not in {*STRAINS, *NEUROMODULATOR_OF_GENETICS}:
            raise InvalidStrain(f"strain {strain!r}; expected among {', '.join(STRAINS)}")
    with judge.rule("line_known"):
        if line not in NEUROMODULATOR_OF_GENETICS:
            raise InvalidLine(f"line {line!r}; expected among {crosses}")
    with judge.rule("neuromodulator_known"):
        reported = NEUROMODULATOR_OF_GENETICS.get(strain) or NEUROMODULATOR_OF_GENETICS.get(line)
        if reported is None:
            raise InvalidNeuromodulator(
                f"neither strain {strain!r} nor line {line!r} names a neuromodulator; expected among {crosses}"
            )
        others = [target for target in row["target_NM"] if target and not target.endswith(f"-{reported}")]
        if others:
            raise NMMismatch(
                f"genetics ({strain}, {line}) report {reported}, recorded is {', '.join(others)}",
                measured=reported,
                threshold=", ".join(others),
            )


def _region_errors(row: Mapping[str, Any], regions: Sequence[str]) -> list[SessionError]:
    """Return what is wrong with the brain regions, and where they had to be taken from."""
    where, source = f"subject {row['subject']}, session {row['eid']}", row["region_source"]
    errors: list[SessionError] = []
    if source in {"", OTHER_SESSIONS, TABLE_OF_FIBERS}:
        giver = {OTHER_SESSIONS: "the subject's other sessions", TABLE_OF_FIBERS: "the table of fibres"}.get(source)
        instead = f"; {', '.join(regions)} is taken from {giver}" if giver else ""
        errors.append(
            MissingRegionSource(
                f"{where}: neither _ibl_experiment.description.yaml nor photometryROI.locations.pqt names a brain region{instead}"
            )
        )
    if not regions:
        errors.append(MissingBrainRegion(f"{where}: no brain region is named by {source or 'any dataset'}"))
    invalid = [region for region in regions if split_region(region)[0] not in NEUROMODULATOR_OF_REGION]
    if invalid:
        known, named = ", ".join(NEUROMODULATOR_OF_REGION), ", ".join(repr(region) for region in invalid)
        errors.append(InvalidBrainRegion(f"brain region {named} is not a target of the project; targets are {known}"))
    for roi, _, region in (entry.partition(": ") for entry in row["filled_regions"]):
        text = f"fibre {roi} has a blank region in {source}; {region} is taken from the locations"
        errors.append(InvalidBrainRegion(text))
    return errors


def _hemisphere_errors(
    row: Mapping[str, Any], regions: Sequence[str], parameters: MetadataParameters
) -> list[SessionError]:
    """Return what is wrong with the sides of the fibres; without a table of fibres only what the names say."""
    subject = row["subject"]
    if not regions:
        return [MissingHemisphere(f"subject {subject}, session {row['eid']}: no fibre is known, and so no hemisphere")]
    errors: list[SessionError] = []
    for region, implanted in zip(regions, row["fiber_sides"], strict=False):
        bare, recorded = split_region(region)
        if implanted == "absent" and region:
            errors.append(MissingInsertion(f"subject {subject}: the table of fibres has none in {bare}"))
        elif implanted in {"midline", "both"} and parameters.midline_and_bilateral_fibers == "missing":
            where = "on the midline" if implanted == "midline" else "on both sides"
            errors.append(
                MissingInsertion(f"subject {subject}: the table of fibres has {bare} {where}, not on one side")
            )
        elif recorded and implanted in {"l", "r"} and recorded != implanted:
            text = f"subject {subject}: {bare} is recorded on the side {recorded}, the table of fibres has {implanted}"
            errors.append(HemisphereMismatch(text, measured=recorded, threshold=implanted))
    # the table of fibres names regions without suffix
    lateral = set() if row["region_source"] == TABLE_OF_FIBERS else set(NEUROMODULATOR_OF_REGION) - MIDLINE_REGIONS
    missing = [region for region in regions if region in lateral]
    if missing:
        text = f"subject {subject}: {', '.join(missing)} without hemisphere; expected a suffix -l or -r"
        errors.append(MissingHemiSuffix(text))
    return errors


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


def _check_length(row: Mapping[str, Any], parameters: MetadataParameters) -> None:
    start, end, length = row["start_time"], row["end_time"], row["session_length"]
    if not end:
        raise InvalidSessionLength("Missing end_time")
    if length is None:
        raise InvalidSessionLength(
            f"start {start}, end {end}: expected times in ISO 8601, both with an offset from UTC or both without"
        )
    if not length > 0:
        raise InvalidSessionLength(f"start {start}, end {end}: expected an end after the start", measured=length)
    if start[:10] != end[:10] and parameters.over_midnight == "invalid":
        raise InvalidSessionLength(f"start {start}, end {end}: on different days")
