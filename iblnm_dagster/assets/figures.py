"""Figures, drawn from the stored tables; each family is a function of `iblnm_core.figures`, and one asset."""

import base64
from collections.abc import Iterator
from typing import Any

import dagster as dg

from iblnm_core.figures.drawing import FOLDER, FamilyFiles, draw_families
from iblnm_core.figures.registry import FAMILIES
from iblnm_dagster.assets.analyses import table_key
from iblnm_dagster.resources import RootResource

_CAPTIONS = 12


def figure_key(name: str) -> dg.AssetKey:
    """Return the asset of a family of figures."""
    return dg.AssetKey([FOLDER, name])


@dg.multi_asset(
    name=FOLDER,
    specs=[
        dg.AssetSpec(
            figure_key(family.name),
            deps=[table_key(table) for table in family.reads],
            description=family.description,
            group_name=FOLDER,
            kinds={"matplotlib", "png"},
            code_version=family.code_version,
            # only what is selected is drawn
            skippable=True,
        )
        for family in FAMILIES.values()
    ],
    can_subset=True,
)
def figures(context: dg.AssetExecutionContext, root: RootResource) -> Iterator[dg.MaterializeResult[Any]]:
    """All families of figures, several drawn at a time; one that cannot be drawn costs no other."""
    opened = root.open()
    chosen = [family for family in FAMILIES.values() if figure_key(family.name) in context.selected_asset_keys]
    failed = {}
    for outcome in draw_families(opened.path, chosen, opened.parameters, opened.workers):
        if outcome.result is None:
            failed[outcome.task] = outcome.error
            continue
        yield dg.MaterializeResult(
            asset_key=figure_key(outcome.task),
            data_version=dg.DataVersion(outcome.result.content_hash),
            metadata={**_shown(outcome.result), "theme": opened.parameters.figures.theme},
        )
    if failed:
        reasons = [f"{name}: {type(error).__name__}: {error}" for name, error in failed.items()]
        raise dg.Failure("figures that could not be drawn:\n" + "\n".join(reasons), allow_retries=False)


def _shown(files: FamilyFiles) -> dict[str, Any]:
    """Return what the web interface shows of a family: the pictures, what they say, and where they lie."""
    encoded = base64.b64encode(files.preview).decode()
    captions = [f"* **{figure.name}**: {figure.caption}" for figure in files.figures[:_CAPTIONS]]
    if len(files.figures) > _CAPTIONS:
        captions.append(f"* and {len(files.figures) - _CAPTIONS} more")
    companions = [str(files.folder / figure.companion) for figure in files.figures if figure.companion]
    shown = {"companions": dg.MetadataValue.md("\n".join(f"* `{path}`" for path in companions))} if companions else {}
    return {
        "preview": dg.MetadataValue.md(f"![preview](data:image/png;base64,{encoded})"),
        "captions": dg.MetadataValue.md("\n".join(captions)),
        "folder": dg.MetadataValue.path(files.folder),
        "figures": len(files.figures),
        "empty": files.empty,
        **files.counts,
        **shown,
    }
