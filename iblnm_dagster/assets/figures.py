"""Figures, drawn from the stored tables; each family is a function of `iblnm_core.figures`, and one asset."""

import base64
from time import perf_counter
from typing import Any

import dagster as dg

from iblnm_core.figures.drawing import FOLDER, FamilyFiles, draw_family
from iblnm_core.figures.registry import FAMILIES
from iblnm_dagster.assets.analyses import table_key
from iblnm_dagster.resources import RootResource

_CAPTIONS = 12


def figure_key(name: str) -> dg.AssetKey:
    """Return the asset of a family of figures."""
    return dg.AssetKey([FOLDER, name])


def build_figures(name: str) -> dg.AssetsDefinition:
    """Return the asset of one family of figures."""
    family = FAMILIES[name]

    @dg.asset(
        key=figure_key(name),
        deps=[table_key(table) for table in family.reads],
        description=family.description,
        group_name=FOLDER,
        kinds={"matplotlib", "png"},
        code_version=family.code_version,
    )
    def drawn(root: RootResource) -> dg.MaterializeResult[Any]:
        opened = root.open()
        start = perf_counter()
        files = draw_family(opened.path, family, opened.parameters)
        return dg.MaterializeResult(
            data_version=dg.DataVersion(files.content_hash),
            metadata={
                **_shown(files),
                "theme": opened.parameters.figures.theme,
                "seconds": round(perf_counter() - start, 2),
            },
        )

    return drawn


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
