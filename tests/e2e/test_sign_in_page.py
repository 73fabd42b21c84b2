"""People who sign in, in a real browser: the first administrator, somebody invited, and whoever is not let in."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

from app.ui.front import next_of
from tests.e2e.conftest import DESK, PHONE, SIZES, assert_fits, sidebar
from tests.support.team import PASSWORD, Team, team

pytestmark = [pytest.mark.browser, pytest.mark.slow]
GUEST = {DESK: "Grace", PHONE: "Gustav"}
OWNER = {DESK: "Olga", PHONE: "Oskar"}
READER = {DESK: "Rita", PHONE: "Rosa"}


@pytest.fixture(scope="module")
def with_people(tmp_path_factory: pytest.TempPathFactory, browser: Browser, model_cache: Path) -> Iterator[Team]:
    env = {"OPENBOOK_RERANKER": "none", "OPENBOOK_VERIFIER": "rules"}
    with team(tmp_path_factory.mktemp("people"), ui=True, env=env) as made:
        yield made


def sign_in(page: Page, url: str, name: str, password: str = PASSWORD) -> None:
    page.goto(url)
    page.fill("#name", name)
    page.fill("#password", password)
    page.click("button")


@SIZES
def test_an_invited_person_joins_by_a_link_and_sees_what_is_theirs(
    with_people: Team, open_page: Callable[..., Page], width: int
) -> None:
    url = with_people.server.ui_url
    admin, guest = open_page(width=width), open_page(width=width, scheme="dark")
    sign_in(admin, f"{url}/people", "admin")
    admin.get_by_label("Name of a new person").fill(GUEST[width])
    admin.get_by_role("button", name="Invite").click()
    link = admin.locator("code").filter(has_text="/account/join#").inner_text().strip()
    assert link.startswith(url)

    guest.goto(f"{url}/collections")
    expect(guest).to_have_url(f"{url}/account/sign-in?next=%2Fcollections")
    guest.goto(link)
    expect(guest).to_have_url(f"{url}/account/join")  # the token is in no history
    guest.fill("#name", GUEST[width])
    guest.fill("#password", PASSWORD)
    guest.fill("#again", PASSWORD)
    guest.click("button")
    guest.goto(f"{url}/account")
    expect(guest.get_by_text("member · this session")).to_be_visible()
    (cookie,) = [c for c in guest.context.cookies() if c["name"] == "openbook_session"]
    assert cookie["httpOnly"] and cookie["sameSite"] == "Lax"
    assert guest.evaluate("document.cookie").find("openbook_session") == -1
    guest.goto(f"{url}/people")
    expect(guest.get_by_text("Audit log")).to_have_count(0)


@SIZES
def test_an_owner_lets_a_reader_in_who_is_offered_no_uploader(
    with_people: Team, open_page: Callable[..., Page], width: int
) -> None:
    url = with_people.server.ui_url
    with_people.add(OWNER[width])
    with_people.add(READER[width])
    name = f"letters-{width}"
    with with_people.client(OWNER[width]) as at_home:
        at_home.create_collection(name)
    owner, reader = open_page(width=width), open_page(width=width)
    sign_in(owner, f"{url}/collections?collection={name}", OWNER[width].lower())
    owner.get_by_text("Members").click()
    owner.get_by_label("Name of a person").fill(READER[width].lower())
    owner.get_by_role("button", name="Let in").click()
    expect(owner.get_by_text("Members · 2 people")).to_be_visible()
    assert_fits(owner)
    sign_in(reader, f"{url}/collections?collection={name}", READER[width].lower())
    expect(reader.get_by_text("You read and ask here")).to_be_visible()
    expect(reader.get_by_text("Drop files here")).to_have_count(0)
    with with_people.client(OWNER[width]) as at_home:
        at_home.remove_member(name, READER[width].lower())
    reader.reload()
    expect(reader.get_by_text("Your first collection")).to_be_visible()


@SIZES
def test_signing_out_ends_the_session_for_whoever_has_the_cookie(
    with_people: Team, open_page: Callable[..., Page], width: int
) -> None:
    url = with_people.server.ui_url
    page = open_page(width=width)
    sign_in(page, f"{url}/system", "admin")
    expect(page).to_have_url(f"{url}/system")
    (cookie,) = [c for c in page.context.cookies() if c["name"] == "openbook_session"]
    # The page's script runs: on a phone it puts the list away once, when it begins.
    page.locator(".st-key-keys button[aria-keyshortcuts]").wait_for(state="attached")
    sidebar(page).get_by_text("Sign out").first.click()
    page.get_by_role("button", name="Sign out").click()
    expect(page).to_have_url(f"{url}/account/sign-in")
    bearer = {"Authorization": f"Bearer {cookie['value']}"}
    assert httpx.get(f"{with_people.server.api_url}/v1/me", headers=bearer).status_code == 401


def test_a_draft_is_not_shown_to_whoever_signs_in_next(with_people: Team, open_page: Callable[..., Page]) -> None:
    url = with_people.server.ui_url
    with_people.add("Nora")
    page = open_page(width=DESK)
    box = page.get_by_test_id("stChatInputTextArea")
    sign_in(page, url, "admin")
    box.press_sequentially("Whom do we dismiss?")
    page.reload()
    expect(box).to_have_value("Whom do we dismiss?")
    page.context.clear_cookies()  # the session ended without a word
    sign_in(page, url, "nora")
    expect(box).to_be_visible()
    page.wait_for_function("sessionStorage.getItem('openbook-draft') === null")
    expect(box).to_have_value("")


def test_forms_of_other_sites_are_not_taken(with_people: Team) -> None:
    url = with_people.server.ui_url
    form = {"name": "admin", "password": PASSWORD, "next": "//evil.example"}
    for headers in ({"Origin": "http://evil.example"}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"}):
        reply = httpx.post(f"{url}/account/sign-in", data=form, headers=headers)
        assert reply.status_code == 403 and "set-cookie" not in reply.headers
    sent = httpx.put(f"{url}/_stcore/upload_file/s/f", files={"file": ("a.txt", b"x")}, headers={"Origin": url})
    assert sent.status_code == 401, "nobody fills the page's memory without being known"
    reply = httpx.post(f"{url}/account/sign-in", data=form, headers={"Origin": url})
    assert reply.status_code == 303 and reply.headers["location"] == "/"
    assert "frame-ancestors 'none'" in httpx.get(f"{url}/account/sign-in").headers["content-security-policy"]


@pytest.mark.parametrize(
    ("wanted", "led"),
    [
        ("/collections?collection=a", "/collections?collection=a"),
        ("//evil.example", "/"),
        ("/\\evil.example", "/"),
        ("https://evil.example", "/"),
        ("/%2f/evil", "/"),
        ("/a\r\nSet-Cookie: x=y", "/"),
        ("/../x", "/"),
        ("javascript:alert(1)", "/"),
        ("", "/"),
    ],
)
def test_after_signing_in_one_stays_on_this_site(wanted: str, led: str) -> None:
    assert next_of(wanted) == led
