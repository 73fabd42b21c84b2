"""Every page of the application, looked at by axe: wide and narrow, light and dark, with what opens on it open.

What axe calls serious or critical fails, unless ``NOT_OURS`` says why it cannot be changed here. The rules lie in the package
axe-playwright-python, which is only for development; without it these tests are skipped.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.e2e.conftest import Site, assert_fits
from tests.e2e.test_sign_in_page import sign_in
from tests.e2e.test_traces_page import open_list
from tests.support.jobs import settled
from tests.support.team import Team, team

pytestmark = [pytest.mark.browser, pytest.mark.slow]
OpenPage = Callable[..., Page]

# (rule, what the element's HTML holds) → why it stays. Nothing of ours belongs here.
NOT_OURS: dict[tuple[str, str], str] = {}
SIZES = [(1280, "light"), (1280, "dark"), (390, "light"), (390, "dark")]
NAME = "accessible"
TEXT = (
    b"""# The lighthouse log

The lighthouse keeper kept eleven geese. The lamp was lit with rapeseed oil until 1846.

## Storms

A storm broke the lantern in 1851. """
    + b"It was mended within a week. " * 60
)


@pytest.fixture(scope="session")
def axe() -> str:
    """The rules as a script."""
    found = find_spec("axe_playwright_python")
    if found is None or found.origin is None:
        pytest.skip("axe-playwright-python is not installed")
    return (Path(found.origin).parent / "axe.min.js").read_text("utf-8")


@dataclass(slots=True)
class Findings:
    axe: str
    where: str
    found: list[str] = field(default_factory=list)

    def look(self, page: Page, name: str) -> None:
        """Everything serious or critical on the page as it is now."""
        page.wait_for_timeout(600)  # what fades in has another contrast until it has
        page.evaluate(self.axe)
        result: dict[str, Any] = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
        for violation in result["violations"]:
            if violation["impact"] not in ("serious", "critical"):
                continue
            for node in violation["nodes"]:
                if any(rule == violation["id"] and part in node["html"] for rule, part in NOT_OURS):
                    continue
                why = (node["any"] or node["all"] or node["none"])[0]["message"]
                self.found.append(f"{name}, {self.where}: {violation['id']}: {node['html'][:160]}\n    {why}")


@dataclass(frozen=True, slots=True)
class World:
    chat: str
    run_id: str


@pytest.fixture(scope="module")
def world(site: Site) -> World:
    """A collection, a conversation with a file of its own, and a run."""
    site.api.create_collection(NAME)
    for job in site.api.upload(NAME, [("log.md", io.BytesIO(TEXT)), ("broken.pdf", io.BytesIO(b"%PDF-1.4"))]):
        settled(site.api, job["job_id"])
    chat = site.api.create_chat([NAME])["chat_id"]
    for job in site.api.attach(chat, [("own.md", io.BytesIO(TEXT)), ("bad.pdf", io.BytesIO(b"%PDF-1.4"))]):
        settled(site.api, job["job_id"])
    for strategy, question in (
        ("rag", "How many geese did the keeper keep?"),
        ("extract", "What was the lamp lit with?"),
    ):
        with site.api.chat_stream(chat, question, strategy=strategy) as said:
            assert list(said)[-1][0] == "done"
    return World(chat, site.api.trace_page(chat=chat)["traces"][-1]["run_id"])


@pytest.mark.parametrize(("width", "scheme"), SIZES)
def test_no_page_has_a_serious_finding(
    site: Site, open_page: OpenPage, world: World, axe: str, width: int, scheme: str
) -> None:
    page, findings = open_page(width=width, scheme=scheme), Findings(axe, f"{width} {scheme}")

    def go(path: str) -> None:
        page.goto(f"{site.ui_url}{path}")
        expect(page.get_by_test_id("stMainBlockContainer")).to_be_visible()

    go("/")
    expect(page.get_by_text("What would you like to know?")).to_be_visible()
    findings.look(page, "chat")
    page.get_by_test_id("stPopoverButton").first.click()
    findings.look(page, "choosing collections")

    go(f"/?chat={world.chat}")
    expect(page.locator(".ob-answer, .ob-abstained")).to_have_count(2)
    findings.look(page, "answers")
    page.get_by_role("button", name=re.compile("2 files")).click()
    expect(page.get_by_text("Ask only these files")).to_be_visible()
    findings.look(page, "files of a conversation")
    page.keyboard.press("Escape")
    page.locator(".ob-chip").first.click()
    expect(page.locator(".ob-passage")).to_be_visible()
    findings.look(page, "passage")

    go("/collections")
    expect(page.get_by_role("button", name="Create")).to_be_visible()
    findings.look(page, "collections")
    go(f"/collections?collection={NAME}")
    expect(page.locator(".ob-file").filter(has_text="broken.pdf")).to_be_visible()
    findings.look(page, "a collection")

    go("/search")
    page.get_by_label("Search for").fill("How many geese did the keeper keep?")
    page.get_by_role("button", name="Search", exact=True).click()
    expect(page.locator(".ob-way").first).to_be_visible()
    page.get_by_text("Why this one").first.click()
    findings.look(page, "search")

    go("/check")
    expect(page.get_by_test_id("stMain").get_by_role("button").first).to_be_visible()
    findings.look(page, "check")
    go("/evaluate")
    expect(page.get_by_role("heading", name="Evaluate")).to_be_visible()
    findings.look(page, "evaluate")

    go("/traces")
    expect(page.locator(".st-key-runs")).to_be_visible()
    findings.look(page, "traces")
    go(f"/traces?run={world.run_id}")
    expect(page.locator(".ob-timeline")).to_be_visible()
    page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
    findings.look(page, "a trace")
    page.get_by_role("button", name="Replay").click()
    expect(page.get_by_text("Identical")).to_be_visible()
    open_list(page, "Compare with")
    findings.look(page, "choosing another run")
    page.keyboard.press("Escape")
    open_list(page, "Compare with")
    page.keyboard.press("Enter")
    expect(page.locator(".ob-change").first).to_be_visible()
    findings.look(page, "differences")

    go("/system")
    expect(page.locator(".ob-facts").first).to_be_visible()
    findings.look(page, "system")
    assert_fits(page)
    assert not findings.found, "\n".join(findings.found)


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory, model_cache: Path, browser: Browser) -> Iterator[Team]:
    with team(tmp_path_factory.mktemp("people"), ui=True) as made:
        made.add("Vera")
        yield made


@pytest.mark.parametrize(("width", "scheme"), SIZES)
def test_nor_has_any_page_of_people_who_sign_in(
    people: Team, open_page: OpenPage, axe: str, width: int, scheme: str
) -> None:
    page, findings = open_page(width=width, scheme=scheme), Findings(axe, f"{width} {scheme}")
    ui = people.server.ui_url
    page.goto(f"{ui}/account/join#not-a-token")
    expect(page.locator("#again")).to_be_visible()
    findings.look(page, "joining")
    page.goto(ui)
    expect(page.locator("#name")).to_be_visible()
    findings.look(page, "signing in")
    sign_in(page, ui, "admin")
    expect(page.get_by_text("Bring your documents")).to_be_visible()
    findings.look(page, "first page")
    page.goto(f"{ui}/account")
    expect(page.get_by_role("heading", name="Account")).to_be_visible()
    findings.look(page, "account")
    page.goto(f"{ui}/account/password")
    findings.look(page, "changing the password")
    page.goto(f"{ui}/people")
    expect(page.get_by_text("Vera").first).to_be_visible()
    findings.look(page, "people")
    page.goto(f"{ui}/traces")
    expect(page.get_by_text("No runs yet")).to_be_visible()
    findings.look(page, "no traces")
    assert not findings.found, "\n".join(findings.found)
