"""Image files as documents: each kind, their turns and depths, several pages; bombs, damage, and pictures without text."""

from __future__ import annotations

import io
import struct
import time
import zlib

import numpy as np
import pytest
from PIL import Image

from core.errors import EmptyDocument, NotFound, ParseFailed, TooLarge
from ingest.parse import ParseLimits
from ingest.parse.document import OCR_WORDS
from ingest.parse.page_image import page_png
from ingest.parse.sandbox import Sandbox
from tests.support.scans import LETTER, needs_ocr, saved, scan

TEXT = " ".join(LETTER)


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png_bomb(width: int, height: int) -> bytes:
    """A PNG of zeros, a thousandth of the size of what it unpacks to."""
    packer = zlib.compressobj(9)
    row = bytes(1 + width)
    data = b"".join([*(packer.compress(row) for _ in range(height)), packer.flush()])
    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", head) + _chunk(b"IDAT", data) + _chunk(b"IEND", b"")


@needs_ocr
@pytest.mark.parametrize(("kind", "name"), [("PNG", "a.png"), ("JPEG", "a.jpg"), ("TIFF", "a.tif"), ("WEBP", "a.webp")])
def test_a_picture_of_text_is_its_text(kind, name, parse_bytes):
    document = parse_bytes(saved(scan(), kind), name)
    assert document.text == TEXT
    assert (document.title, len(document.pages)) == ("a", 1)
    assert document.mime_type == f"image/{kind.lower()}"


@needs_ocr
def test_the_frames_of_a_tiff_are_pages(parse_bytes):
    second = scan(LETTER[:1])
    document = parse_bytes(
        saved(scan(), "TIFF", save_all=True, append_images=[second], compression="tiff_deflate"), "fax.tif"
    )
    assert [document.text[p.start : p.end] for p in document.pages] == [TEXT, LETTER[0]]


@needs_ocr
def test_what_the_camera_says_of_its_position_is_heeded(parse_bytes, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # the top of the scene is at the right of the stored picture
    data = saved(scan().rotate(90, expand=True), "JPEG", exif=exif)
    document = parse_bytes(data, "photo.jpg")
    assert document.text == TEXT
    path = tmp_path / "photo"
    path.write_bytes(data)
    shown = Image.open(
        io.BytesIO(page_png(path, 1, document.text, [(0, 3)], 620, words=document.metadata[OCR_WORDS]["1"]))
    )
    assert shown.size == (620, 300), "upright"


@needs_ocr
@pytest.mark.parametrize("mode", ["RGBA", "P", "1", "I;16", "CMYK"])
def test_any_depth_and_colour(mode, parse_bytes):
    grey = scan()
    if mode == "RGBA":  # black letters on nothing
        image = Image.new("RGBA", grey.size, (0, 0, 0, 0))
        image.putalpha(grey.point(lambda v: 255 - v))
    elif mode == "I;16":
        image = Image.fromarray(np.asarray(grey).astype(np.uint16) * 16)
    else:
        image = grey.convert(mode)
    assert parse_bytes(saved(image, "TIFF" if mode == "CMYK" else "PNG"), "a.png").text == TEXT


@needs_ocr
def test_a_picture_under_another_name_is_told_by_its_content(parse_bytes):
    document = parse_bytes(saved(scan(), "PNG"), "letter.pdf")
    assert document.text == TEXT
    assert [w.message for w in document.warnings] == ["it is named .pdf, but it is a PNG image and was read as that"]


def test_a_bomb_is_refused_before_it_goes_off(tmp_path):
    path = tmp_path / "bomb.png"
    path.write_bytes(png_bomb(30_000, 3_000))  # 90 million pixels in 90 kB
    with Sandbox(ParseLimits(memory_bytes=512 * 2**20)) as sandbox:
        begun = time.monotonic()
        with pytest.raises(TooLarge, match=r"bomb.png has 30,000 × 3,000 pixels, over the limit of 80 million"):
            sandbox.parse(path, "bomb.png")
        assert time.monotonic() - begun < 10


@needs_ocr
@pytest.mark.slow
@pytest.mark.parametrize("mode", ["RGBA", "RGB", "L", "I;16"])
def test_the_largest_picture_that_is_read_takes_no_more_than_half_a_gigabyte(mode, tmp_path):
    from ingest.parse.picture import _bytes_per_pixel  # what the limit is made of

    most = min(80_000_000, 208 * 2**20 // _bytes_per_pixel(Image.new(mode, (1, 1))))
    path = tmp_path / "large.png"
    path.write_bytes(saved(Image.new(mode, (8000, most // 8000)), "PNG", compress_level=1))
    with Sandbox(ParseLimits(memory_bytes=640 * 2**20)) as sandbox, pytest.raises(EmptyDocument, match="no text"):
        sandbox.parse(path, "large.png")


def test_a_picture_that_claims_more_than_a_billion_pixels_is_refused(parse_bytes):
    head = struct.pack(">IIBBBBB", 2**20, 2**20, 8, 2, 0, 0, 0)
    data = b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", head) + _chunk(b"IDAT", zlib.compress(b"")) + _chunk(b"IEND", b"")
    with pytest.raises(TooLarge, match=r"huge\.png"):
        parse_bytes(data, "huge.png")


def test_more_frames_than_pages_may_be_are_refused(parse_bytes):
    frame = Image.new("1", (40, 40), 1)
    data = saved(frame, "TIFF", save_all=True, append_images=[frame] * 5)
    with pytest.raises(TooLarge, match="more than 3 pages"):
        parse_bytes(data, "fax.tif", ParseLimits(max_pages=3, ocr="off"))


@needs_ocr
def test_a_damaged_picture_says_so_and_names_no_file_of_this_machine(parse_bytes, tmp_path):
    for data in (b"\x89PNG\r\n\x1a\n" + bytes(100), saved(scan(), "PNG")[:900], saved(scan(), "JPEG")[:300]):
        with pytest.raises((ParseFailed, EmptyDocument)) as caught:
            parse_bytes(data, "a.png")
        assert "a.png" in caught.value.message and str(tmp_path) not in caught.value.message


@needs_ocr
def test_a_picture_without_text_says_so(parse_bytes):
    with pytest.raises(EmptyDocument, match=r"sky\.png is a PNG image in which OCR found no text"):
        parse_bytes(saved(Image.new("RGB", (600, 400), "lightblue"), "PNG"), "sky.png")


def test_a_picture_without_ocr_says_what_to_do(parse_bytes, monkeypatch):
    monkeypatch.setattr("ingest.parse.ocr._PLACES", ())
    monkeypatch.delenv("TESSDATA_PREFIX", raising=False)
    with pytest.raises(
        EmptyDocument, match=r"a\.png is a PNG image and no OCR is installed: apt install tesseract-ocr$"
    ):
        parse_bytes(saved(scan(), "PNG"), "a.png")


def test_there_is_no_frame_after_the_last(tmp_path):
    path = tmp_path / "a.tif"
    path.write_bytes(saved(scan(), "TIFF"))
    with pytest.raises(NotFound, match="no page 2"):
        page_png(path, 2, "", [], 300)
