"""What the documentation says that the code can confirm."""

from collections.abc import Iterator
from pathlib import Path
import re

from homeassistant import components
import pytest
import yaml

from custom_components.reev_ems.flows.options import DEFAULTS, SECTIONS

from .config_flow.texts import TEXTS

PROJECT = Path(__file__).parent.parent
PAGES = [*PROJECT.glob("*.md"), *(PROJECT / "docs").glob("*.md")]
OPTIONS = TEXTS["options"]["step"]["init"]["sections"]


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings."""
    return {
        re.sub(r"[^\w -]", "", heading).strip().lower().replace(" ", "-")
        for heading in re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    }


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    """Every page, picture and heading that is linked exists."""
    dead = []
    for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        if "://" in link:
            continue
        name, _, anchor = link.partition("#")
        target = page.parent / name if name else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            dead.append(link)
    assert not dead


def test_every_page_is_found_from_the_readme() -> None:
    """A page that nothing links is read by nobody."""
    readme = (PROJECT / "README.md").read_text()
    pages = {f"docs/{page.name}" for page in (PROJECT / "docs").glob("*.md")}
    assert {page for page in pages if f"({page}" not in readme} == set()


def test_rules_that_are_named_are_written_down() -> None:
    """A reader of "(S7)" finds what it says."""
    rules = set(
        re.findall(
            r"^\*\*(S\d+) ", (PROJECT / "docs/safety.md").read_text(), re.MULTILINE
        )
    )
    assert len(rules) == 14
    named = {
        f"S{number}"
        for folder in ("custom_components", "simulator", "tests", "docs")
        for kind in ("*.py", "*.md", "*.yaml")
        for file in (PROJECT / folder).rglob(kind)
        for number in re.findall(r"(?:\(S|test_s)(\d+)[,_)]", file.read_text())
    }
    assert named == rules


def test_architecture_names_what_is_there() -> None:
    """Every file that the page names exists, in the room in which it says so."""
    text = (PROJECT / "docs/architecture.md").read_text()
    integration = PROJECT / "custom_components/reev_ems"
    missing = []
    for line in text.splitlines():
        room = Path()
        for name in re.findall(r"`([a-z_0-9/]+(?:\.(?:py|yaml)|/))`", line):
            if not any((place / name).exists() for place in (PROJECT, integration)):
                if not (integration / room / name).exists():
                    missing.append(name)
            elif "/" in name:
                room = Path(name).parent
    assert missing == []


def documented_options() -> Iterator[tuple[str, str, str, str]]:
    """Yield section, label, default and range of each row of the table of options."""
    text = (PROJECT / "docs/settings.md").read_text()
    table = text.partition("## The options")[2].partition("\n## ")[0]
    section = ""
    for row in table.splitlines():
        cells = [cell.strip() for cell in row.strip("|").split("|")]
        if not row.startswith("|") or cells[0] in {"setting", "---"}:
            continue
        if cells[0].startswith("**"):
            section = cells[0].strip("*")
        else:
            yield section, cells[0], cells[1], cells[2]


def shown(value: object) -> str:
    """Return a default as the table shows it, without its unit."""
    if isinstance(value, bool):
        return "on" if value else "off"
    return f"{value:g}" if isinstance(value, int | float) else str(value)


def test_options_are_documented_as_they_are() -> None:
    """Each option is in the table, under its section, with its default and its bounds."""
    expected = []
    for name, fields in SECTIONS.items():
        for key, selector in fields.items():
            config = selector.config
            bounds = (
                f"{config['min']:.0f} – {config['max']:.0f}" if "max" in config else ""
            )
            default = shown(DEFAULTS[key]) if key in DEFAULTS else "none"
            label = OPTIONS[name]["data"][key]
            expected.append((OPTIONS[name]["name"], label, default, bounds))
    documented = [
        (section, label, default.split(" ")[0], bounds)
        for section, label, default, bounds in documented_options()
    ]
    assert documented == expected


def test_every_action_is_documented() -> None:
    """Each action has its place in the list of actions."""
    actions = yaml.safe_load(
        (PROJECT / "custom_components/reev_ems/services.yaml").read_text()
    )
    text = (PROJECT / "docs/entities.md").read_text()
    assert {name for name in actions if f"{name}`" not in text} == set()


def test_every_quality_rule_is_judged() -> None:
    """The rules are those that Home Assistant asks of a platinum integration; what is open says so."""
    known = Path(components.__file__).with_name("peblar") / "quality_scale.yaml"
    ours = PROJECT / "custom_components/reev_ems/quality_scale.yaml"
    asked = yaml.safe_load(known.read_text())["rules"]
    judged = yaml.safe_load(ours.read_text())["rules"]
    assert judged.keys() == asked.keys()
    statuses = {
        rule: verdict if isinstance(verdict, str) else verdict["status"]
        for rule, verdict in judged.items()
    }
    assert set(statuses.values()) <= {"done", "todo", "exempt"}
    assert not {
        rule
        for rule, status in statuses.items()
        if status == "exempt" and not judged[rule].get("comment")
    }
