"""A local cache with one session for every error that metadata can have; all else about them is sound."""

import csv
import json
import os
import shutil
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from iblnm_core.identifiers import uuid_from
from iblnm_core.sources.indexing import index_cache

DESCRIPTION = "_ibl_experiment.description.yaml"
LOCATIONS = "alf/photometry/photometryROI.locations.pqt"
VIDEO = "raw_video_data/_iblrig_leftCamera.raw.mp4"
DAY = "2025-05-05"


@dataclass
class Mouse:
    """A subject with one session (or two), and what is unusual about them."""

    name: str
    protocol: str = "_iblrig_tasks_biasedChoiceWorld8.25.0"
    regions: tuple[str, ...] | None = ("VTA-l", "SNc-r")
    strain: str = "B6.SJL-Slc6a3t"
    line: str = "Ai148xDat"
    rows: int = 1
    fibers: tuple[tuple[str, int], ...] = (("VTA", 500), ("SNc", -1400))
    without: tuple[str, ...] = ()
    end: str = f"{DAY}T10:07:00"
    sessions: int = 1
    details: dict = field(default_factory=dict)

    def eid(self, number=1):
        return uuid_from(f"lab/{self.name}/{DAY}/{number:03d}")


NOTHING = {"regions": None, "without": (LOCATIONS,), "fibers": ()}

PLANTED = {
    "InvalidSubject": ("subject_in_project", Mouse("test_mouse"), "subject test_mouse is excluded from the project"),
    "SubjectNotUnique": (
        "subject_in_project",
        Mouse("twice", rows=2),
        "Expected exactly 1 subject for 'twice', found 2",
    ),
    "InvalidStrain": ("strain_known", Mouse("strain", strain="B7"), "strain 'B7'; expected among B6.Cg"),
    "InvalidLine": ("line_known", Mouse("line", line="Ai9"), "line 'Ai9'; expected among"),
    "InvalidNeuromodulator": (
        "neuromodulator_known",
        Mouse("unknown", line="Ai9"),
        "neither strain 'B6.SJL-Slc6a3t' nor line 'Ai9' names a neuromodulator",
    ),
    "NMMismatch": (
        "neuromodulator_known",
        Mouse("serotonin", line="Ai148xSert"),
        "report 5HT, recorded is VTA-DA, SNc-DA",
    ),
    "MissingRegionSource": (
        "brain_region_valid",
        Mouse("implanted", regions=None, without=(LOCATIONS,)),
        "VTA, SNc is taken from the table of fibres",
    ),
    "MissingBrainRegion": ("brain_region_valid", Mouse("nowhere", **NOTHING), "no brain region is named by"),
    "InvalidBrainRegion": (
        "brain_region_valid",
        Mouse("elsewhere", regions=("VTA-l", "VP-r"), fibers=(("VTA", 500), ("VP", -1400))),
        "brain region 'VP-r' is not a target",
    ),
    "MissingHemisphere": ("hemisphere_consistent", Mouse("no_side", **NOTHING), "no fibre is known"),
    "HemisphereMismatch": (
        "hemisphere_consistent",
        Mouse("other_side", fibers=(("VTA", -500), ("SNc", -1400))),
        "VTA is recorded on the side l, the table of fibres has r",
    ),
    "MissingInsertion": (
        "hemisphere_consistent",
        Mouse("one_fibre", fibers=(("VTA", 500),)),
        "the table of fibres has none in SNc",
    ),
    "MissingHemiSuffix": (
        "hemisphere_consistent",
        Mouse("no_suffix", regions=("VTA", "SNc-r")),
        "VTA without hemisphere; expected a suffix -l or -r",
    ),
    "DataNotListed": ("datasets_listed", Mouse("no_video", without=(VIDEO,)), "raw_video"),
    "InvalidSessionType": (
        "session_type_valid",
        Mouse("no_type", protocol="samuel_cuedBiasedChoiceWorld"),
        "'samuel_cuedBiasedChoiceWorld' does not match any recognized session type",
    ),
    "InvalidTargetNM": ("target_valid", Mouse("no_target", regions=("VP-l", "SNc-r")), "None; expected among VTA-DA"),
    "InvalidSessionLength": (
        "session_length_valid",
        Mouse("backwards", end=f"{DAY}T09:00:00"),
        "expected an end after the start",
    ),
    "InvalidExtendedQC": (
        "extended_qc_valid",
        Mouse("odd", details={"extended_qc": {"task": 10, "_videoLeft_focus": {"value": 3}}}),
        "qc_videoLeft_focus: a mapping",
    ),
    "TrueDuplicateSession": ("not_duplicated", Mouse("busy", sessions=2), f"busy has several sessions on {DAY}"),
}
"""By error: the rule that raises it, the mouse whose (last) session has it, and part of what it says."""


def write_planted(cache: Path, like: Path) -> dict[str, str]:
    """Write the cache; return the session id by error."""
    mice = [mouse for _, mouse, _ in PLANTED.values()]
    details = []
    for mouse in mice:
        for number in range(1, mouse.sessions + 1):
            folder = cache / "lab" / "Subjects" / mouse.name / DAY / f"{number:03d}"
            shutil.copytree(like, folder, copy_function=os.link)
            for path in mouse.without:
                (folder / path).unlink()
            _describe(folder / DESCRIPTION, mouse)
            times = {"start_time": f"{DAY}T10:00:00", "end_time": mouse.end}
            details.append({"id": mouse.eid(number), **times, **mouse.details})
    index_cache(cache)
    (cache / "session_details.jsonl").write_text("\n".join(json.dumps(entry) for entry in details))
    subjects = [
        {"subject": mouse.name, "strain": mouse.strain, "line": mouse.line} for mouse in mice for _ in range(mouse.rows)
    ]
    fibers = [
        {"subject": mouse.name, "targeted_region": region, "X-ml_um": lateral}
        for mouse in mice
        for region, lateral in mouse.fibers
    ]
    _write(cache / "subjects.csv", subjects)
    _write(cache / "fibers.csv", fibers)
    # of two equal sessions of a day the first by id is used
    return {
        error: max(mouse.eid(number) for number in range(1, mouse.sessions + 1))
        for error, (_, mouse, _) in PLANTED.items()
    }


def _describe(path: Path, mouse: Mouse) -> None:
    content = yaml.safe_load(path.read_text())
    content["tasks"] = [{mouse.protocol: content["tasks"][0].popitem()[1]}]
    fibers = content["devices"]["neurophotometrics"]
    del fibers["fibers"]
    if mouse.regions is not None:
        fibers["fibers"] = {f"G{index}": {"location": region} for index, region in enumerate(mouse.regions)}
    path.unlink()
    path.write_text(yaml.safe_dump(content))


def _write(path: Path, rows: list[dict]) -> None:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
