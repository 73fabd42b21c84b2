"""Equations, charts and diagrams: what a person reads there is in the text, or the document says that it is not."""

from __future__ import annotations

import io
import time
from typing import Any

import docx
import pytest
from docx.opc.packuri import PackURI
from docx.opc.part import Part
from docx.oxml import parse_xml
from lxml import etree

from ingest.parse.equation import equation_text, mathml_text

M = "http://schemas.openxmlformats.org/officeDocument/2006/math"
W = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
A = "http://schemas.openxmlformats.org/drawingml/2006/main"
C = "http://schemas.openxmlformats.org/drawingml/2006/chart"
D = "http://schemas.openxmlformats.org/drawingml/2006/diagram"
R = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"

CHART = (
    f'<c:chartSpace xmlns:c="{C}"><c:chart><c:plotArea><c:barChart><c:ser><c:tx><c:strRef><c:strCache><c:pt idx="0">'
    '<c:v>Revenue</c:v></c:pt></c:strCache></c:strRef></c:tx><c:cat><c:strRef><c:strCache><c:pt idx="0"><c:v>2023</c:v>'
    '</c:pt></c:strCache></c:strRef></c:cat><c:val><c:numRef><c:numCache><c:pt idx="0"><c:v>4711</c:v></c:pt></c:numCache>'
    "</c:numRef></c:val></c:ser></c:barChart></c:plotArea></c:chart></c:chartSpace>"
)
DIAGRAM = (
    f'<dgm:dataModel xmlns:dgm="{D}" xmlns:a="{A}"><dgm:ptLst><dgm:pt><dgm:t><a:p><a:r><a:t>Chief Executive: Jane Doe</a:t>'
    "</a:r></a:p></dgm:t></dgm:pt></dgm:ptLst></dgm:dataModel>"
)


def run(text: str) -> str:
    return f"<m:r><m:t>{text}</m:t></m:r>"


@pytest.mark.parametrize(
    ("inner", "line"),
    [
        (run("E=m") + f"<m:sSup><m:e>{run('c')}</m:e><m:sup>{run('2')}</m:sup></m:sSup>", "E=mc^2"),
        (f"<m:f><m:fPr/><m:num>{run('a+b')}</m:num><m:den>{run('c')}</m:den></m:f>", "(a+b)/c"),
        (f"<m:d><m:e>{run('a+b')}</m:e></m:d>", "(a+b)"),
        (f"<m:rad><m:deg/><m:e>{run('x+1')}</m:e></m:rad>", "√(x+1)"),
        (
            f'<m:nary><m:naryPr><m:chr m:val="∑"/></m:naryPr><m:sub>{run("i=1")}</m:sub><m:sup>{run("n")}</m:sup>'
            f"<m:e><m:sSub><m:e>{run('x')}</m:e><m:sub>{run('i')}</m:sub></m:sSub></m:e></m:nary>",
            "∑_(i=1)^n x_i",
        ),
    ],
)
def test_an_equation_of_word_is_a_line(inner: str, line: str) -> None:
    assert equation_text(etree.fromstring(f'<m:oMath xmlns:m="{M}">{inner}</m:oMath>')) == line


@pytest.mark.parametrize(
    ("source", "line"),
    [
        ('<math alttext="E=mc^2"><mi>E</mi></math>', "E=mc^2"),
        (
            "<math><semantics><mi>E</mi><annotation encoding='application/x-tex'>E=mc^{2}</annotation></semantics></math>",
            "E=mc^{2}",
        ),
        ("<math><mi>E</mi><mo>=</mo><mi>m</mi><msup><mi>c</mi><mn>2</mn></msup></math>", "E=mc^2"),
        ("<math><mfrac><mrow><mi>a</mi><mo>+</mo><mi>b</mi></mrow><mn>2</mn></mfrac></math>", "(a+b)/2"),
        ("<math><msup><mn>10</mn><mrow><mo>−</mo><mn>6</mn></mrow></msup></math>", "10^−6"),
        ("<math><msqrt><mi>x</mi></msqrt><mo>&#x2062;</mo><mi>y</mi></math>", "√xy"),
    ],
)
def test_an_equation_of_a_page_is_a_line(source: str, line: str) -> None:
    assert mathml_text(etree.fromstring(source)) == line


def _fraction(above: str, below: str) -> str:
    return f"<m:f><m:num>{run(above)}</m:num><m:den>{run(below)}</m:den></m:f>"


def _page_fraction(above: str, below: str) -> str:
    return f"<mfrac><mi>{above}</mi><mi>{below}</mi></mfrac>"


# In Word, in a page, and the line.
BESIDE = [
    (run("2") + _fraction("1", "3"), "<mn>2</mn>" + _page_fraction("1", "3"), "2 1/3"),
    (run("2") + _fraction("a", "b"), "<mn>2</mn>" + _page_fraction("a", "b"), "2(a/b)"),
    (run("x=2") + _fraction("1", "3") + run("y"), f"<mi>x=2</mi>{_page_fraction('1', '3')}<mi>y</mi>", "x=(2 1/3)y"),
    (_fraction("1", "2") + run("5"), _page_fraction("1", "2") + "<mn>5</mn>", "(1/2)5"),
    (_fraction("a", "b") + run("c"), _page_fraction("a", "b") + "<mrow><mi>c</mi></mrow>", "(a/b)c"),
    (_fraction("1", "2") * 2, f"<mrow>{_page_fraction('1', '2')}</mrow>" + _page_fraction("1", "2"), "(1/2)(1/2)"),
    (_fraction("1", "2") + run("+5"), _page_fraction("1", "2") + "<mo>+</mo><mn>5</mn>", "1/2+5"),
    (
        _fraction("1", "2") + f"<m:rad><m:deg/><m:e>{run('x')}</m:e></m:rad>",
        _page_fraction("1", "2") + "<msqrt><mi>x</mi></msqrt>",
        "(1/2)√x",
    ),
    (
        f"<m:d><m:e>{run('a')}</m:e></m:d>" + _fraction("1", "2"),
        f"<mo>(</mo><mi>a</mi><mo>)</mo>{_page_fraction('1', '2')}",
        "(a)(1/2)",
    ),
    (
        f"<m:rad><m:deg>{run('3')}</m:deg><m:e>{run('27')}</m:e></m:rad>",
        "<mroot><mn>27</mn><mn>3</mn></mroot>",
        "27^(1/3)",
    ),
    (
        run("2") + f"<m:rad><m:deg>{run('3')}</m:deg><m:e>{run('-8')}</m:e></m:rad>",
        "<mn>2</mn><mroot><mn>-8</mn><mn>3</mn></mroot>",
        "2((-8)^(1/3))",
    ),
    (
        f'<m:f><m:fPr><m:type m:val="noBar"/></m:fPr><m:num>{run("n")}</m:num><m:den>{run("k")}</m:den></m:f>',
        '<mfrac linethickness="0pt"><mi>n</mi><mi>k</mi></mfrac>',
        "(n over k)",
    ),
    (
        f'<m:d><m:e><m:f><m:fPr><m:type m:val="noBar"/></m:fPr><m:num>{run("n")}</m:num><m:den>{run("k")}</m:den></m:f></m:e></m:d>',
        '<mo>(</mo><mfrac linethickness="0"><mi>n</mi><mi>k</mi></mfrac><mo>)</mo>',
        "(n over k)",
    ),
    (
        f"<m:sSup><m:e>{run('x')}</m:e><m:sup>{run('2')}</m:sup></m:sSup>" + run("3"),
        "<msup><mi>x</mi><mn>2</mn></msup><mn>3</mn>",
        "x^2 3",
    ),
    (
        f"<m:f><!-- a --><m:num>{run('a')}</m:num><!-- b --><m:den>{run('b')}</m:den></m:f>",
        "<mfrac><!-- a --><mi>a</mi><!-- b --><mi>b</mi></mfrac>",
        "a/b",
    ),
]


@pytest.mark.parametrize(("word", "page", "line"), BESIDE)
def test_what_stands_beside_a_fraction_or_a_root_is_no_part_of_it(word: str, page: str, line: str) -> None:
    assert equation_text(etree.fromstring(f'<m:oMath xmlns:m="{M}">{word}</m:oMath>')) == line
    assert mathml_text(etree.fromstring(f"<math>{page}</math>")) == line


@pytest.mark.parametrize(
    ("source", "line"),
    [
        ("<math><mn>2</mn><mo>&#x2064;</mo><mfrac><mn>1</mn><mn>3</mn></mfrac></math>", "2 1/3"),
        ("<math><mn>2</mn><mo>&#x2062;</mo><mfrac><mn>1</mn><mn>3</mn></mfrac></math>", "2(1/3)"),
        ("<math><mfrac><mn>1</mn><mn>3</mn></mfrac><mo>&#x2062;</mo><mi>x</mi></math>", "(1/3)x"),
        ("<math><msub><mi>x</mi><mn>2</mn></msub><mfrac><mn>1</mn><mn>3</mn></mfrac></math>", "x_2(1/3)"),
    ],
)
def test_a_sign_that_is_not_seen_still_says_what_a_fraction_is(source: str, line: str) -> None:
    assert mathml_text(etree.fromstring(source)) == line


def test_an_equation_in_deep_brackets_takes_no_time() -> None:
    source = "<math>" + "<msup><mrow>" * 120 + "<mi>x</mi>" + "</mrow><mn>2</mn></msup>" * 120 + "</math>"
    start = time.process_time()
    assert mathml_text(etree.fromstring(source)).startswith("(")
    assert time.process_time() - start < 1


def test_equations_of_a_page_stand_in_its_sentences_and_tables(parse_bytes: Any) -> None:
    power = "<math><msup><mi>c</mi><mn>2</mn></msup></math>"
    source = (
        f"<html><body><p>Mass is <math alttext='m'><mi>m</mi></math> and light {power}.</p>"
        f"<table><tr><th>Sign</th><th>Name</th></tr><tr><td>{power}</td><td>speed</td></tr></table>"
        f"<p hidden>{power}</p></body></html>"
    )
    assert parse_bytes(source, "a.html").text.split("\n") == [
        "Mass is m and light c^2.",
        "",
        "| Sign | Name |",
        "|-|-|",
        "| c^2 | speed |",
    ]


def _word(*elements: str, parts: dict[str, tuple[str, str]] | None = None) -> bytes:
    """A document with each of ``elements`` in a paragraph of its own; ``parts``: kind -> (part name, XML), each as rId-kind."""
    document = docx.Document()
    for kind, (name, xml) in (parts or {}).items():
        part = Part(PackURI(name), "application/xml", xml.encode(), document.part.package)
        document.part.rels.add_relationship(f"{R}/{kind}", part, f"rId-{kind}")
    for element in elements:
        document.add_paragraph("Before ")._p.append(parse_xml(element))
    file = io.BytesIO()
    document.save(file)
    return file.getvalue()


def _drawing(uri: str, inner: str) -> str:
    return (
        f'<w:r xmlns:w="{W}" xmlns:a="{A}" xmlns:r="{R}"><w:drawing><a:graphic><a:graphicData uri="{uri}">{inner}'
        "</a:graphicData></a:graphic></w:drawing></w:r>"
    )


def test_equations_charts_and_diagrams_of_word_are_read(parse_bytes: Any) -> None:
    equation = f'<m:oMathPara xmlns:m="{M}"><m:oMath>{run("WACC=4.7")}</m:oMath></m:oMathPara>'
    source = _word(
        equation,
        _drawing(C, f'<c:chart xmlns:c="{C}" r:id="rId-chart"/>'),
        _drawing(D, f'<d:relIds xmlns:d="{D}" r:dm="rId-diagramData"/>'),
        parts={"chart": ("/word/charts/chart1.xml", CHART), "diagramData": ("/word/diagrams/data1.xml", DIAGRAM)},
    )
    document = parse_bytes(source, "a.docx")
    assert document.text.split("\n\n") == [
        "Before WACC=4.7",
        "Before",
        "|  | Revenue |\n|-|-|\n| 2023 | 4711 |",
        "Before",
        "- Chief Executive: Jane Doe",
    ]
    assert document.warnings == ()


def test_what_is_drawn_in_word_and_cannot_be_read_is_said(parse_bytes: Any) -> None:
    source = _word(
        _drawing("http://schemas.microsoft.com/office/drawing/2014/chartex", ""),
        _drawing(C, f'<c:chart xmlns:c="{C}" r:id="rId-chart"/>'),
        _drawing(D, f'<d:relIds xmlns:d="{D}" r:dm="rId-missing"/>'),
        f'<w:r xmlns:w="{W}"><w:object/></w:r>',
        parts={"chart": ("/word/charts/chart1.xml", "<damaged")},
    )
    document = parse_bytes(source, "a.docx")
    assert [w.message for w in document.warnings] == [
        "2 charts were not read",
        "1 diagram was not read",
        "1 embedded object was not read",
    ]
