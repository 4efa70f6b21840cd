"""The sentence about a variable that an app misses."""

import pytest

from portal.contract.missing_variable import missing_variable, variable_in


@pytest.mark.parametrize("name", ["WEATHER_KEY", "_x", "a1", "A" * 128])
def test_a_name_is_found_in_the_sentence_about_it(name: str) -> None:
    sentence = missing_variable(name)

    assert sentence is not None
    assert variable_in(f"Traceback (most recent call last):\nportal: ERROR: {sentence}\n") == name


@pytest.mark.parametrize("name", ["", "1A", "A B", "A-B", "A\n", "Ä", "A" * 129, None, 7, b"A"])
def test_without_a_valid_name_there_is_no_sentence(name: object) -> None:
    assert missing_variable(name) is None


@pytest.mark.parametrize(
    "text", ["", "KeyError: 'WEATHER_KEY'", "The app's code needs the variable A B, which is not set."]
)
def test_other_text_names_none(text: str) -> None:
    assert variable_in(text) is None


def test_the_last_one_counts() -> None:
    assert variable_in(f"{missing_variable('ONE')}\n{missing_variable('TWO')}") == "TWO"
