"""The words of errors, and how pages show texts and numbers."""

import re

from hypothesis import given
from hypothesis import strategies as st

from iblnm_core.errors import BandInversion, family
from iblnm_core.reports.texts import clean, number, without_folders
from iblnm_core.rules import RULES
from iblnm_core.verdict_words import WORDS, words_for

VERBS = {
    *("Add", "Ask", "Check", "Complete", "Confirm", "Correct", "Extend", "Fetch", "Leave", "Look", "Remove", "Report"),
    *("Run", "Treat"),
}


def test_every_error_of_the_rules_has_all_words_and_an_action_that_begins_with_a_verb():
    classes = {consequence.error.__name__ for rule in RULES.values() for consequence in rule.consequences}
    assert classes <= WORDS.keys()
    for name, words in WORDS.items():
        assert len(words.title) > 3, name
        assert re.fullmatch(r"[A-Z].{15,}\.", words.meaning), name
        first = re.split(r"[ .]", words.action)[0]
        assert first == "Nothing" or first in VERBS, (name, words.action)
        assert words.action.endswith("."), name


def test_an_error_without_words_of_its_own_has_those_of_its_parent():
    assert words_for(["OnlyLater", *family(BandInversion)]) == WORDS["BandInversion"]
    assert words_for(["Removed", "QCValidationError"]) == WORDS["QCValidationError"]
    assert words_for(["NeverHeardOf"]).title == "NeverHeardOf"


@given(st.text())
def test_cleaned_texts_have_no_control_characters_and_no_hidden_direction(text):
    shown = clean(text)
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\ud800-\udfff\u202a-\u202e\u2066-\u2069]", shown)
    assert clean(shown) == shown


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_numbers_keep_three_digits_and_are_read_back_as_what_they_were(value):
    shown = number(value)
    read = float(shown.replace("\u202f", ""))
    assert abs(read - value) <= 0.005 * abs(value)


def test_folders_of_other_machines_are_left_out_of_messages_and_relative_paths_stay():
    assert without_folders('File "/data/someone/x/stage.py", line 3') == 'File "…/stage.py", line 3'
    assert without_folders(r"C:\Users\someone\data.pqt is broken") == "…/data.pqt is broken"
    assert without_folders("alf/task_00/_ibl_trials.table.pqt") == "alf/task_00/_ibl_trials.table.pqt"
    assert without_folders("https://alyx.example.org/sessions/1") == "https://alyx.example.org/sessions/1"


def test_values_that_are_not_known_have_one_sign():
    assert [clean(None), clean(float("nan")), number(None), number(float("nan"))] == ["\u2013"] * 4
