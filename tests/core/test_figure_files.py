"""A family of figures on disk: what is written, when it is drawn again, and that equal input gives equal bytes."""

import io
import json
import subprocess
import sys
from dataclasses import replace

import pandas as pd
import pytest
from matplotlib.figure import Figure
from PIL import Image

from iblnm_core.cohort_parameters import FigureParameters
from iblnm_core.demo.simulated_tables import simulate_tables
from iblnm_core.errors import MissingPrerequisite
from iblnm_core.figures.drawing import PREVIEW_BYTES, UnsuitableName, draw_families, draw_family, stored_family
from iblnm_core.figures.family import Drawn, Family, counts_of, nothing_drawn
from iblnm_core.figures.registry import FAMILIES
from iblnm_core.figures.theme import THEMES, in_order
from iblnm_core.parameters import Parameters
from iblnm_core.schemas import RECORDINGS, TABLES
from iblnm_core.storage.tables import make_table, write_table

HOSTILE = "=1+1 $\\frac$ <script>"


def draw(tables, _parameters, theme, names=("by_target", "by_side")):
    recordings = tables["recordings"]
    if recordings.empty:
        yield nothing_drawn(names[0], "Recordings", "no recording is selected", recordings)
        return
    for name, column in zip(names, ("target_NM", "hemisphere"), strict=False):
        figure = Figure(figsize=(4, 3))
        axes = figure.subplots()
        sizes = recordings[column].value_counts()
        for place, value in enumerate(in_order(sizes.index)):
            axes.bar(place, sizes[value], color=theme.target_colour(value))
            axes.text(place, sizes[value], value)
        axes.set_ylabel("recordings")
        yield Drawn(name, figure, recordings[["eid", column]], f"Recordings by {column}.", counts_of(recordings))


FAMILY = Family("counted", "Recordings, counted.", "responses", {"recordings": None}, draw)


@pytest.fixture
def recordings():
    return simulate_tables(12, 5, seed=2).recordings


def store(folder, rows):
    write_table(folder, make_table(RECORDINGS, rows))


def files_of(folder):
    return {path.name: path.read_bytes() for path in (folder / "figures" / "counted").iterdir()}


def test_a_family_is_pictures_tables_captions_and_counts(tmp_path, recordings):
    store(tmp_path, recordings)
    made = draw_family(tmp_path, FAMILY, Parameters())
    assert made.drawn
    assert not made.empty
    names = {"manifest.json", "preview.png"} | {
        f"by_{of}.{kind}" for of in ("target", "side") for kind in ("png", "svg", "csv")
    }
    assert set(files_of(tmp_path)) == names
    assert made.counts == {"n_recordings": len(recordings), "n_sessions": 12, "n_subjects": 5}
    picture = Image.open(tmp_path / "figures/counted/by_target.png")
    assert picture.text["Description"] == "Recordings by target_NM."
    drawn = pd.read_csv(tmp_path / "figures/counted/by_target.csv")
    assert drawn["target_NM"].tolist() == recordings["target_NM"].tolist()
    assert stored_family(tmp_path, "counted").figures == made.figures


def test_nothing_is_drawn_again_until_something_changes_that_it_is_made_from(tmp_path, recordings):
    store(tmp_path, recordings)
    first = draw_family(tmp_path, FAMILY, Parameters())
    before = files_of(tmp_path)
    again = draw_family(tmp_path, FAMILY, Parameters())
    assert not again.drawn
    assert (again.figures, again.content_hash) == (first.figures, first.content_hash)
    other_theme = replace(Parameters(), figures=FigureParameters(theme="reference"))
    assert draw_family(tmp_path, FAMILY, other_theme).drawn
    assert files_of(tmp_path)["by_target.png"] != before["by_target.png"]
    store(tmp_path, recordings.head(3))
    assert draw_family(tmp_path, FAMILY, other_theme).drawn
    assert draw_family(tmp_path, replace(FAMILY, code_version="2"), other_theme).drawn


@pytest.mark.parametrize("harm", ["lost", "changed"])
def test_a_file_that_is_lost_or_changed_is_made_anew_with_equal_bytes(tmp_path, recordings, harm):
    store(tmp_path, recordings)
    draw_family(tmp_path, FAMILY, Parameters())
    before = files_of(tmp_path)
    path = tmp_path / "figures/counted/by_side.svg"
    path.unlink() if harm == "lost" else path.write_bytes(b"<svg/>")
    assert stored_family(tmp_path, "counted") is None
    assert draw_family(tmp_path, FAMILY, Parameters()).drawn
    assert files_of(tmp_path) == before


def test_equal_tables_give_equal_bytes_in_another_process(tmp_path, recordings):
    program = (
        "import sys; from pathlib import Path; sys.path.insert(0, 'tests/core');"
        "from test_figure_files import FAMILY; from iblnm_core.parameters import Parameters;"
        "from iblnm_core.figures.drawing import draw_family; draw_family(Path(sys.argv[1]), FAMILY, Parameters())"
    )
    for name, seed in (("a", "1"), ("b", "2")):
        store(tmp_path / name, recordings)
        environment = {"PYTHONHASHSEED": seed, "TZ": f"UTC{seed}", "MPLCONFIGDIR": str(tmp_path)}
        subprocess.run([sys.executable, "-c", program, str(tmp_path / name)], env=environment, check=True)
    assert files_of(tmp_path / "a") == files_of(tmp_path / "b")


def test_two_processes_that_draw_a_family_at_once_leave_one_whole_family(tmp_path, recordings):
    program = (
        "import sys; from pathlib import Path; sys.path.insert(0, 'tests/core');"
        "from test_figure_files import FAMILY; from iblnm_core.parameters import Parameters;"
        "from iblnm_core.figures.drawing import draw_family; print('ready', flush=True); sys.stdin.readline();"
        "print(draw_family(Path(sys.argv[1]), FAMILY, Parameters()).drawn)"
    )
    alone, together = tmp_path / "alone", tmp_path / "together"
    for folder in (alone, together):
        store(folder, recordings)
    draw_family(alone, FAMILY, Parameters())
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    both = [subprocess.Popen([sys.executable, "-c", program, str(together)], **pipes) for _ in range(2)]
    for process in both:
        assert process.stdout.readline() == "ready\n"
    for process in both:
        process.stdin.write("go\n")
        process.stdin.flush()
    said = [process.communicate(timeout=120)[0] for process in both]
    assert [process.returncode for process in both] == [0, 0]
    # the second one waits, and finds what it would have drawn
    assert sorted(said) == ["False\n", "True\n"]
    assert files_of(together) == files_of(alone)
    assert stored_family(together, "counted") is not None


@pytest.mark.parametrize("vector", ["svg", "pdf"])
def test_a_picture_for_print_has_no_date_and_the_other_format_goes(tmp_path, recordings, vector):
    store(tmp_path, recordings)
    for chosen in ("svg", "pdf", vector):
        draw_family(tmp_path, FAMILY, replace(Parameters(), figures=FigureParameters(vector_format=chosen)))
    found = {name: content for name, content in files_of(tmp_path).items() if name.startswith("by_target")}
    assert set(found) == {"by_target.png", f"by_target.{vector}", "by_target.csv"}
    assert b"CreationDate" not in found[f"by_target.{vector}"]
    assert b"<dc:date>" not in found[f"by_target.{vector}"]


def test_an_empty_cohort_is_a_picture_that_says_so(tmp_path, recordings):
    store(tmp_path, recordings.head(0))
    made = draw_family(tmp_path, FAMILY, Parameters())
    assert made.empty
    [figure] = made.figures
    assert figure.missing == "no recording is selected"
    assert (made.folder / figure.data).read_text().startswith("eid,")


def test_text_of_the_data_is_neither_a_formula_nor_mathematics(tmp_path, recordings):
    store(tmp_path, recordings.assign(target_NM=HOSTILE))
    draw_family(tmp_path, FAMILY, Parameters())
    cells = pd.read_csv(tmp_path / "figures/counted/by_target.csv")["target_NM"]
    assert set(cells) == {f"'{HOSTILE}"}


def test_the_preview_fits_into_the_event_log(tmp_path, recordings):
    def noise(_tables, _parameters, _theme):
        values = pd.Series(range(200 * 300)).sample(frac=1, random_state=0).to_numpy().reshape(200, 300)
        for place in range(7):
            figure = Figure(figsize=(9, 6))
            figure.subplots().imshow(values, cmap="prism")
            yield Drawn(f"noise_{place}", figure, pd.DataFrame(), "Noise.")

    store(tmp_path, recordings)
    made = draw_family(tmp_path, replace(FAMILY, draw=noise), Parameters())
    assert len(made.preview) <= PREVIEW_BYTES
    assert Image.open(io.BytesIO(made.preview)).width > 300


@pytest.mark.parametrize("names", [("../out", "b"), ("a b", "b"), ("same", "same"), ("", "b")])
def test_names_that_are_no_file_names_are_refused(tmp_path, recordings, names):
    store(tmp_path, recordings)
    family = replace(FAMILY, draw=lambda *given: draw(*given, names=names))
    with pytest.raises(UnsuitableName, match="expected a name of its own"):
        draw_family(tmp_path, family, Parameters())


def test_a_table_that_is_not_stored_is_named(tmp_path):
    with pytest.raises(MissingPrerequisite, match="recordings"):
        draw_family(tmp_path, FAMILY, Parameters())


def test_a_broken_manifest_is_no_stored_family(tmp_path, recordings):
    store(tmp_path, recordings)
    draw_family(tmp_path, FAMILY, Parameters())
    manifest = tmp_path / "figures/counted/manifest.json"
    for content in ("", "[]", json.dumps({"figures": [{"name": "x"}], "made_from": {}})):
        manifest.write_text(content)
        assert stored_family(tmp_path, "counted") is None
        assert draw_family(tmp_path, FAMILY, Parameters()).drawn


@pytest.mark.parametrize("name", FAMILIES)
def test_a_family_of_nothing_says_in_words_what_is_missing(tmp_path, name):
    family = FAMILIES[name]
    tables = {table: TABLES[table].arrow().empty_table().to_pandas() for table in family.reads}
    if family.read_sessions is not None:
        tables |= family.read_sessions(tmp_path, tables, Parameters())
    pictures = list(family.draw(tables, Parameters(), THEMES["default"]))
    assert pictures
    for drawn in pictures:
        assert len(drawn.missing.split()) >= 3
        assert drawn.missing in [text.get_text() for text in drawn.figure.texts]


@pytest.mark.parametrize("workers", [1, 2])
def test_families_are_drawn_apart_and_one_that_cannot_be_costs_no_other(tmp_path, workers):
    names = ("movement_encoding", "learning_curves", "variance_components")
    for name in names[:2]:
        for table in FAMILIES[name].reads:
            rows = pd.DataFrame(columns=TABLES[table].column_names)
            write_table(tmp_path, make_table(TABLES[table], rows))
    chosen = [FAMILIES[name] for name in names]
    made = {outcome.task: outcome for outcome in draw_families(tmp_path, chosen, Parameters(), workers)}
    assert {name: outcome.result.drawn for name, outcome in made.items() if outcome.result} == dict.fromkeys(
        names[:2], True
    )
    assert isinstance(made[names[2]].error, MissingPrerequisite)
    assert all(stored_family(tmp_path, name) for name in names[:2])
    again = {outcome.task: outcome for outcome in draw_families(tmp_path, chosen[:2], Parameters(), workers)}
    assert {name: outcome.result.drawn for name, outcome in again.items()} == dict.fromkeys(names[:2], False)
    assert {name: outcome.result.content_hash for name, outcome in again.items()} == {
        name: made[name].result.content_hash for name in names[:2]
    }
