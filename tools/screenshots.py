"""The pictures of the README, taken from a real server: ``python tools/screenshots.py --files DIR``.

Starts ``openbook serve`` over a data directory of its own, brings the PDFs of DIR in, asks, and writes
docs/images/{chat,collection,dark,phone,search}.png, each at most 300 kB.
"""

from __future__ import annotations

import argparse
import io
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, Page, expect, sync_playwright

from app.client import Client
from app.replies import ACTIVE_STATES

REPO = Path(__file__).resolve().parent.parent
MAX_BYTES = 300_000
COLLECTION = "annual-reports"
ARGS = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]
ARGS += ["--disable-background-networking", "--disable-component-update", "--disable-sync"]


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=Path, required=True, help="a folder of PDFs")
    parser.add_argument("--limit", type=int, default=20, help="how many of them")
    parser.add_argument("--question", default="What was Apple's total net sales in the third quarter of 2022?")
    parser.add_argument("--out", type=Path, default=REPO / "docs" / "images")
    parser.add_argument("--data-dir", type=Path, help="kept if given; otherwise a temporary one")
    options = parser.parse_args(argv)
    options.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as temporary:
        command = [sys.executable, "-m", "app.cli", "serve", "--port", "0", "--ui-port", "0"]
        command += ["--data-dir", str(options.data_dir or temporary)]
        server = subprocess.Popen(command, cwd=REPO, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        try:
            api_url, page_url = _addresses(server)
            expect.set_options(timeout=60_000)
            with Client(api_url) as api, sync_playwright() as playwright:
                chromium = shutil.which("chromium") or shutil.which("google-chrome")
                browser = playwright.chromium.launch(executable_path=chromium, args=ARGS)
                _take(browser, api, page_url, sorted(options.files.glob("*.pdf"))[: options.limit], options)
                browser.close()
        finally:
            server.send_signal(signal.SIGINT)
            server.wait(30)
    return 0


def _addresses(server: subprocess.Popen[str]) -> tuple[str, str]:
    said = ""
    while server.stdout is not None and (line := server.stdout.readline()):
        said += line
        if "ready in" in line:
            return re.findall(r"API\s+(http://\S+)", said)[0], re.findall(r"Page\s+(http://\S+)", said)[0]
    raise SystemExit(f"the server did not start:\n{said}")


def _take(browser: Browser, api: Client, url: str, files: list[Path], options: argparse.Namespace) -> None:
    out: Path = options.out
    page = _page(browser, "light")
    if COLLECTION not in {c["name"] for c in api.collections()}:
        api.create_collection(COLLECTION)
        for name in ("contracts", "papers-2026"):
            api.create_collection(name)
        page.goto(f"{url}/collections?collection={COLLECTION}")
        page.locator("input[type=file]").set_input_files([str(f) for f in files])
        expect(page.get_by_role("progressbar").nth(3)).to_be_visible(timeout=120_000)
        while not any(0.2 < j["progress"] < 0.95 for j in api.jobs(collection=COLLECTION)):
            time.sleep(0.2)
        page.wait_for_timeout(1200)
        _shoot(page, out / "collection.png")
    while any(j["state"] in ACTIVE_STATES for j in api.jobs(collection=COLLECTION)):
        time.sleep(0.5)
    page.goto(url)
    _ask(page, options.question)
    page.locator(".ob-answer .ob-chip").first.click()
    expect(page.get_by_role("dialog").get_by_role("img", name=re.compile("Page"))).to_be_visible()
    page.wait_for_timeout(1500)
    _shoot(page, out / "chat.png")
    page.keyboard.press("Escape")
    chat = page.url
    dark = _page(browser, "dark")
    dark.goto(chat)
    expect(dark.locator(".ob-summary").first).to_be_visible()
    dark.wait_for_timeout(800)
    _shoot(dark, out / "dark.png")
    dark.goto(f"{url}/search")
    dark.get_by_label("Search for").fill(options.question)
    dark.get_by_label("Search for").press("Enter")
    expect(dark.locator(".ob-parts").first).to_be_visible()
    dark.wait_for_timeout(800)
    _shoot(dark, out / "search.png")
    phone = _page(browser, "light", width=390, height=844)
    phone.goto(chat)
    expect(phone.locator(".ob-summary").first).to_be_visible()
    phone.wait_for_timeout(800)
    _shoot(phone, out / "phone.png")


def _page(browser: Browser, scheme: str, width: int = 1600, height: int = 960) -> Page:
    narrow = width < 600
    context = browser.new_context(
        viewport={"width": width, "height": height},
        color_scheme="dark" if scheme == "dark" else "light",
        is_mobile=narrow,
        has_touch=narrow,
        device_scale_factor=2 if narrow else 1,
    )
    context.set_default_timeout(60_000)
    return context.new_page()


def _ask(page: Page, question: str) -> None:
    box = page.get_by_test_id("stChatInputTextArea")
    box.fill(question)
    box.press("Enter")
    expect(page.locator(".ob-summary").last).to_be_visible(timeout=60_000)
    page.wait_for_timeout(800)


def _shoot(page: Page, path: Path) -> None:
    png = page.screenshot()
    if len(png) > MAX_BYTES:
        out = io.BytesIO()
        Image.open(io.BytesIO(png)).convert("RGB").quantize(256).save(out, "PNG", optimize=True)
        png = out.getvalue()
    if len(png) > MAX_BYTES:
        raise SystemExit(f"{path.name} has {len(png):,} bytes: more than {MAX_BYTES:,}")
    path.write_bytes(png)
    print(f"{path.name}: {len(png):,} bytes")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
