"""The texts as a whole: what Home Assistant demands of them, and that none is left over.

That every step, field, option, error and reason has its text is checked wherever a test shows a form
(tests/config_flow/texts.py).
"""

import json
from pathlib import Path
import re

import pytest

from custom_components.reev_ems import config_flow

from .config_flow.texts import TEXTS, walk

FOLDER = Path(config_flow.__file__).parent
LANGUAGES = {
    path.stem: json.loads(path.read_text(encoding="utf-8"))
    for path in sorted((FOLDER / "translations").glob("*.json"))
}
SOURCE = "\n".join(
    path.read_text(encoding="utf-8")
    for path in (
        FOLDER / "config_flow.py",
        FOLDER / "charge_points" / "security.py",
        FOLDER / "meters" / "errors.py",
        *sorted((FOLDER / "flows").glob("*.py")),
    )
)
FLOWS = {
    "config": TEXTS["config"],
    "options": TEXTS["options"],
    **{f"subentry {kind}": texts for kind, texts in TEXTS["config_subentries"].items()},
}
# Aborts of Home Assistant itself that need a text of ours.
RAISED_BY_HOME_ASSISTANT = {"already_configured"}


@pytest.mark.parametrize("flow", FLOWS)
def test_no_error_and_no_reason_is_left_over(flow: str) -> None:
    """An error that nothing raises any more would be translated for nobody."""
    keys = {*FLOWS[flow].get("error", {}), *FLOWS[flow].get("abort", {})}
    unused = {key for key in keys if f'"{key}"' not in SOURCE}
    assert unused <= RAISED_BY_HOME_ASSISTANT


@pytest.mark.parametrize("flow", FLOWS)
def test_no_step_is_left_over(flow: str) -> None:
    """Each step is one that the code shows."""
    unused = {
        step
        for step in FLOWS[flow]["step"]
        if f"async def async_step_{step}(" not in SOURCE
    }
    assert not unused


def test_subentries_say_what_adding_and_changing_them_is_called() -> None:
    """The buttons of the integration's page."""
    for texts in TEXTS["config_subentries"].values():
        assert texts["entry_type"]
        assert texts["initiate_flow"].keys() == {"user", "reconfigure"}


def test_the_languages() -> None:
    """A file that is not found would not be tested."""
    assert LANGUAGES.keys() == {"de", "en"}


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_language_says_everything(language: str) -> None:
    """The same texts in the same order, each with the same placeholders and as many paragraphs."""
    texts = dict(walk(LANGUAGES[language]))
    english = dict(walk(TEXTS))
    assert list(texts) == list(english)
    differing = [
        ".".join(path)
        for path, text in texts.items()
        if _filled(text) != _filled(english[path])
        or text.count("\n") != english[path].count("\n")
    ]
    assert not differing


def _filled(text: str) -> set[str]:
    """Return the placeholders of a text."""
    return set(re.findall(r"{\w+}", text))


def test_no_text_was_forgotten_in_german() -> None:
    """What reads alike in both languages is short: names, abbreviations, words that German took over."""
    english = dict(walk(TEXTS))
    alike = {
        text
        for path, text in walk(LANGUAGES["de"])
        if text == english[path] and len(text.split()) > 3
    }
    assert not alike


@pytest.mark.parametrize("language", LANGUAGES)
def test_texts_are_such_as_home_assistant_takes(language: str) -> None:
    """What hassfest refuses: markup, addresses, stray spaces, quoted placeholders, odd keys, references."""
    refused = re.compile(r"<[a-z/]|://|'{\w+}'|\[%key:", re.IGNORECASE)
    wrong = [
        ".".join(path)
        for path, text in walk(LANGUAGES[language])
        if not text
        or text != text.strip()
        or refused.search(text)
        or not all(re.fullmatch(r"[a-z0-9][a-z0-9_-]*", key) for key in path)
    ]
    assert not wrong
