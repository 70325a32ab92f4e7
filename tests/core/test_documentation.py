"""The documentation says what is so: generated pages, links, commands, snippets, docstrings."""

import ast
import dataclasses
import inspect
import re
import tomllib
from pathlib import Path

import h5py
import numpy as np
import pytest
from tests_support.sessions import processed_root

from iblnm_core import documentation
from iblnm_core.analyses.registry import ANALYSES
from iblnm_core.cohort.status import ALL_OUTPUTS
from iblnm_core.corrections.recipes import NAMED
from iblnm_core.demo.presets import demo_plans
from iblnm_core.overrides import parameters_from
from iblnm_core.parameters import PRESETS
from iblnm_core.session.outputs import ON_REQUEST, OUTPUTS

REPOSITORY = Path(__file__).resolve().parents[2]
PAGES = sorted([*REPOSITORY.glob("*.md"), *(REPOSITORY / "docs").rglob("*.md")])
MODULES = sorted([*REPOSITORY.glob("iblnm_core/**/*.py"), *REPOSITORY.glob("iblnm_dagster/**/*.py")])
README = REPOSITORY / "README.md"


def _name(path):
    return path.relative_to(REPOSITORY).as_posix()


def _blocks(page, language):
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


def _prose(page):
    return re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)


def _anchors(page):
    """Anchors of the headings, as GitHub makes them."""
    headings = re.findall(r"^#+ +(.+)$", _prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.fixture(scope="module")
def demo_root(tmp_path_factory):
    """A folder with a small demo root."""
    folder = tmp_path_factory.mktemp("documentation")
    plans = [dataclasses.replace(plan, pose=True) for plan in demo_plans(subjects=1, sessions=1, clinic=False)]
    return processed_root(folder / "iblnm_demo", plans, ALL_OUTPUTS | ON_REQUEST)


@pytest.mark.parametrize("name", documentation.PAGES)
def test_a_generated_page_is_the_one_committed(name, tmp_path):
    documentation.main([str(tmp_path)])
    made, committed = (tmp_path / name).read_text(), (REPOSITORY / "docs" / name).read_text()
    assert made == committed, "run `make docs`"


def _stored_entries(group):
    """Datasets, columns of rows and attributes of a part: type and number of dimensions by name."""
    datasets, rows = {}, {}

    def collect(prefix, items):
        for own, item in items.items():
            if isinstance(item, h5py.Group):
                collect(f"{prefix}{'CORRECTION' if own in NAMED else own}/", item)
            elif own == "rows":
                rows.update({field: item.dtype[field] for field in item.dtype.names})
            else:
                datasets[prefix + own] = item

    collect("", group)
    kinds = {name: ("text" if d.dtype == object else d.dtype.name, d.ndim) for name, d in datasets.items()}
    of_rows = {name: "text" if dtype.kind == "S" else dtype.name for name, dtype in rows.items()}
    return kinds, of_rows, {name for name in group.attrs if not name.endswith("_digest")}


def test_the_data_dictionary_names_everything_in_a_session_file(demo_root):
    [path] = demo_root.session_folder.glob("*.h5")
    described = {part.path: part for part in documentation.FILE_PARTS if not part.by_hand}
    with h5py.File(path) as file:
        region = next(iter(file["photometry"]))
        found = {f"photometry/{part}" for group in file["photometry"].values() for part in group}
        assert {name.replace("photometry/REGION", "photometry") for name in described if "REGION" in name} == found
        assert {name for name in described if "REGION" not in name} == {
            *(set(file) - {"photometry", "wheel"}),
            *(f"wheel/{part}" for part in file["wheel"]),
        }
        for name, part in described.items():
            datasets, rows, attributes = _stored_entries(file[name.replace("REGION", region)])
            assert attributes == {entry.name for entry in part.attributes}, name
            assert set(datasets) == {entry.name for entry in part.datasets}, name
            assert rows == {entry.name: entry.kind for entry in part.rows}, name
            for entry in part.datasets:
                # counts are whole numbers as long as all are known
                kinds = {entry.kind, "float64"} if name.endswith("/qc") else {entry.kind}
                kind, dimensions = datasets[entry.name]
                assert kind in kinds, f"{name}/{entry.name}"
                assert dimensions == entry.shape.count(",") + (not entry.shape.endswith(",)")), f"{name}/{entry.name}"


def test_every_part_of_the_dictionary_belongs_to_an_output_and_every_output_has_a_part():
    assert {part.output for part in documentation.FILE_PARTS if not part.by_hand} == set(OUTPUTS)


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)\s]+)\)", _prose(page)):
        if not re.match(r"\w+:", target):
            path, _, anchor = target.partition("#")
            aim = (page.parent / path).resolve() if path else page
            assert aim.exists(), f"{_name(page)}: {target}"
            assert aim.is_relative_to(REPOSITORY), f"{_name(page)}: {target}"
            if anchor:
                assert anchor in _anchors(aim), f"{_name(page)}: {target}"


def test_the_readme_leads_to_every_page():
    linked = {(REPOSITORY / target).resolve() for target in re.findall(r"\]\(([\w/.]+\.md)\)", README.read_text())}
    assert linked >= set(PAGES) - {README}


@pytest.mark.parametrize("module", MODULES, ids=_name)
def test_pages_named_in_code_exist(module):
    for target in re.findall(r"docs/[\w/]+\.md", module.read_text(encoding="utf-8")):
        assert (REPOSITORY / target).is_file(), target


def test_the_graph_in_the_readme_is_the_graph():
    from iblnm_dagster.events import graph_dependencies

    [drawing] = _blocks(README, "mermaid")
    drawn = set()
    for sources, target in re.findall(r"^ *([\w& ]+?) --> (\w+)$", drawing, re.MULTILINE):
        drawn |= {(source, target) for source in sources.split(" & ")}
    made = {(source, name) for name in OUTPUTS for source in graph_dependencies(name)}
    tables = {("photometry_qc", "qc"), ("session_errors", "errors"), ("session_errors", "session_status")}
    tables |= {("task_performance", "performance"), ("trial_regressors", "regressors"), ("trials", "all_trials")}
    tables |= {("corrections", "corrected"), ("pose", "movement"), ("transients", "peaks"), ("response_cells", "cells")}
    tables |= {("time_course_sums", "sums"), ("trial_mean_measures", "shapes"), ("region_pairs", "pairs")}
    tables |= {("video_qc", "video"), ("errors", "logs"), ("response_magnitudes", "sizes")}
    tables |= {("response_vector", "matrix"), ("condition_traces", "traces"), ("encoding_model", "kernels")}
    upstream = {("session_index", "sessions"), ("session_index", "sessions_qc")}
    chosen = {
        (source, name)
        for source in ("sessions", "errors", "performance", "session_status", "labels", "corrected")
        for name in ("recordings", "selection")
    }
    assert drawn == made | tables | upstream | chosen | _drawn_analyses(drawing)


def _drawn_analyses(drawing):
    """Edges of the analyses, by the node of the drawing in which each is named."""
    nodes = {name: node for node, text in re.findall(r'(\w+)\["([^"]+)"\]', drawing) for name in text.split(", ")}
    maker = {schema.name: name for name, analysis in ANALYSES.items() for schema in analysis.tables}

    def node(table):
        name = maker.get(table, table)
        return nodes.get(f"tables/{table}", nodes.get(name, name))

    return {(node(table), nodes.get(name, name)) for name, analysis in ANALYSES.items() for table in analysis.reads}


def test_the_commands_in_the_pages_exist():
    from iblnm_dagster.cli import main

    lines = [line for page in PAGES for block in _blocks(page, "sh") for line in block.splitlines()]
    commands = [line.split() for line in lines if line.startswith("iblnm ")]
    assert commands
    for command in commands:
        known = {option for parameter in main.commands[command[1]].params for option in parameter.opts}
        assert {word for word in command if word.startswith("--")} <= known, " ".join(command)
    targets = set(re.findall(r"^(\w+):", (REPOSITORY / "Makefile").read_text(), re.MULTILINE))
    asked = set(re.findall(r"(?:^|`)make (\w+)(?:`|$)", README.read_text(), re.MULTILINE))
    assert {"demo", "test"} <= asked <= targets


def test_the_snippets_of_the_readme_run(demo_root, monkeypatch):
    monkeypatch.chdir(demo_root.path.parent)
    monkeypatch.setenv("MPLBACKEND", "Agg")
    names = {}
    for block in _blocks(README, "python"):
        exec(compile(block, "README.md", "exec"), names)
    assert len(names["good"]) == 1
    assert np.isfinite(names["means"].to_numpy()).all()
    assert len(names["trials"]) == len(names["feedback"])
    assert names["responses"][names["region"]].dims == ("event", "trial", "time")


def test_the_configuration_page_knows_every_parameter_and_its_default():
    page = REPOSITORY / "docs" / "configuration.md"
    [example] = _blocks(page, "toml")
    assert parameters_from("default", tomllib.loads(example)["parameters"]) != PRESETS["default"]
    section = page.read_text().partition("### Parameters")[2].partition("## ")[0]
    listed = {}
    for names, values in re.findall(r"^\| (`\w+\.\w+`(?:, `[\w.]+`)*) \| ((?:[^|\\]|\\\|)+) \|", section, re.MULTILINE):
        # a bar inside a cell is escaped
        text = values.replace("`", "").replace("\\|", "|")
        cells = tomllib.loads(f"v = [{text}]")["v"]
        found = re.findall(r"`([\w.]+)`", names)
        listed |= dict(zip(found, cells, strict=True))
    stated = {}
    for section, values in vars(PRESETS["default"]).items():
        stated |= {f"{section}.{n}": list(v) if isinstance(v, tuple) else v for n, v in vars(values).items()}
    assert listed == stated


def test_the_deviations_page_names_every_difference_between_the_presets():
    page = (REPOSITORY / "docs" / "deviations.md").read_text()
    section = page.partition("## Between the presets")[2].partition("## ")[0]
    named = re.findall(r"^\| `(\w+\.\w+)`", section, re.MULTILINE)
    default, reference = vars(PRESETS["default"]), vars(PRESETS["reference"])
    differing = [
        f"{name}.{field}"
        for name, values in default.items()
        for field, value in vars(values).items()
        if value != getattr(reference[name], field)
    ]
    assert named == differing


def _public(module):
    """Public functions and classes of a module and public methods of its classes, with their enclosing class."""
    for node in ast.parse(module.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
            yield node
            if isinstance(node, ast.ClassDef):
                yield from (
                    inner
                    for inner in node.body
                    if isinstance(inner, ast.FunctionDef) and not inner.name.startswith("_")
                )


def _sections(docstring):
    """Sections of a numpydoc docstring: the unindented lines of each by its title."""
    parts = re.split(r"^(\w[\w ]*)\n-+\n", inspect.cleandoc(docstring), flags=re.MULTILINE)
    return {
        title: [line for line in text.splitlines() if line[:1].strip()]
        for title, text in zip(parts[1::2], parts[2::2], strict=True)
    }


def _documented(lines):
    """Names that a section of parameters or attributes documents."""
    return [name.strip() for line in lines for name in line.partition(" : ")[0].split(",")]


def _given(node):
    """Names that a function takes, or the fields and constructor parameters of a class."""
    if isinstance(node, ast.FunctionDef):
        arguments = node.args
        every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
        further = [f"**{arguments.kwarg.arg}"] if arguments.kwarg else []
        return [argument.arg for argument in every if argument.arg not in {"self", "cls"}] + further
    assigned = [
        target.attr
        for method in node.body
        if isinstance(method, ast.FunctionDef)
        for inner in ast.walk(method)
        if isinstance(inner, ast.Assign | ast.AnnAssign)
        for outer in (inner.targets if isinstance(inner, ast.Assign) else [inner.target])
        for target in (outer.elts if isinstance(outer, ast.Tuple) else [outer])
        if isinstance(target, ast.Attribute)
    ]
    fields = [n.target.id for n in node.body if isinstance(n, ast.AnnAssign) and isinstance(n.target, ast.Name)]
    constructor = [n for n in node.body if isinstance(n, ast.FunctionDef) and n.name == "__init__"]
    return fields + assigned + [name for n in constructor for name in _given(n)]


@pytest.mark.parametrize("module", MODULES, ids=_name)
def test_public_names_are_documented(module):
    problems = []
    assert ast.get_docstring(ast.parse(module.read_text(encoding="utf-8"))), "the module says nothing"
    for node in _public(module):
        docstring = ast.get_docstring(node) or ""
        summary = docstring.partition("\n\n")[0].strip()
        if not summary.endswith("."):
            problems.append(f"{node.name}: no summary that ends with a full stop")
        sections = _sections(docstring)
        unknown = set(sections) - {"Parameters", "Attributes", "Returns", "Yields", "Raises"}
        if unknown:
            problems.append(f"{node.name}: sections {unknown}")
        given = _given(node)
        for title in ("Parameters", "Attributes"):
            documented = _documented(sections.get(title, []))
            if set(documented) - set(given):
                problems.append(f"{node.name}: {title} {set(documented) - set(given)} do not exist")
        if isinstance(node, ast.FunctionDef) and "Parameters" in sections:
            left_out = set(given) - set(_documented(sections["Parameters"]))
            if left_out:
                problems.append(f"{node.name}: parameters {left_out} are not documented")
    assert not problems, "\n".join(problems)


def test_nothing_names_places_outside_the_project():
    places = re.compile(
        r"(?<![\w.])/(?:work|home|root|mnt|opt|srv|Users)/\w|\.\./shared|\.library|--(?:extra-)?index-url"
    )
    suffixes = {".py", ".md", ".toml", ".yaml", ".yml", ".lock", ".json", ".txt", ""}
    tops = [path for path in REPOSITORY.iterdir() if not path.name.startswith(".") and path.name != "iblnm_demo"]
    files = [file for top in [*tops, REPOSITORY / ".ci"] for file in ([top] if top.is_file() else top.rglob("*"))]
    named = [
        f"{_name(file)}: {match[0]}"
        for file in files
        if file.is_file() and file.suffix in suffixes and file != Path(__file__)
        for match in places.finditer(file.read_text(encoding="utf-8"))
    ]
    assert not named
