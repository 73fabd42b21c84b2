"""Results as text: plain for a terminal, Markdown for a report. Knows numbers, not where they are shown."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from typing import Literal

from eval.compare import Comparison, signed, size
from eval.faithfulness import FaithfulnessResult
from eval.qa_scores import QaResult
from eval.retrieval import RetrievalResult
from eval.toolcalls.run import ToolCallsResult, share

Style = Literal["plain", "markdown"]


def table(
    headers: Sequence[str], rows: Sequence[Sequence[str]], *, style: Style = "plain", left: Sequence[int] = (0,)
) -> str:
    """A table; the columns in ``left`` are flush left, the others right.

    Raises:
        ValueError: a row that has not as many cells as there are headers.
    """
    if any(len(row) != len(headers) for row in rows):
        raise ValueError(f"every row must have {len(headers)} cells, as there are headers")
    if style == "markdown":
        rule = ["---" if i in left else "---:" for i in range(len(headers))]
        escaped = [[cell.replace("|", "\\|").replace("\n", " ") for cell in row] for row in (headers, *rows)]
        return "\n".join("| " + " | ".join(row) + " |" for row in (escaped[0], rule, *escaped[1:]))
    widths = [max(_width(row[i]) for row in (headers, *rows)) for i in range(len(headers))]
    lines = [
        "  ".join(_padded(cell, widths[i], i in left) for i, cell in enumerate(row)).rstrip()
        for row in (headers, *rows)
    ]
    return "\n".join([lines[0], "  ".join("─" * width for width in widths), *lines[1:]])


def retrieval_report(result: RetrievalResult, *, style: Style = "plain") -> str:
    """One retriever on one split."""
    rows = [(name, f"{value:.4f}") for name, value in result.metrics.items()]
    facts = [
        f"{result.retriever} on {result.dataset}/{result.split}: {result.n_queries:,} questions over "
        f"{result.n_documents:,} documents",
        "",
        table(("metric", "value"), rows, style=style),
        "",
        f"{_milliseconds(result.seconds_per_query)} per question for {result.k} passages "
        f"(95 % within {_milliseconds(result.seconds_per_query_p95)}); indexed in {result.index_seconds:.1f} s; "
        f"{result.unjudged:.0%} of the first {result.k} were never judged",
    ]
    if result.judged_not_in_corpus:
        facts.append(f"{result.judged_not_in_corpus:,} judgements are of documents that the corpus lacks")
    return "\n".join(facts)


def toolcalls_report(result: ToolCallsResult, *, style: Style = "plain") -> str:
    """One model on one folder of questions."""
    found = result.to_json()
    rows = [(name, f"{len(some):,}", f"{share(some):.3f}") for name, some in result.categories().items()]
    rows.append(("all", f"{found['n']:,}", f"{found['accuracy']:.3f}"))
    facts = [
        f"{result.model}, {'native tool calls' if result.mode == 'native' else 'calls written as text'}, "
        f"on {result.dataset}",
        "",
        table(("category", "questions", "right"), rows, style=style),
        "",
        f"mean over categories {found['mean_accuracy']:.3f}; {found['unparsable']:,} answers were no calls, "
        f"{found['failed']:,} questions failed; {result.seconds / found['n']:.2f} s per question",
    ]
    return "\n".join(facts)


def qa_report(result: QaResult, *, style: Style = "plain") -> str:
    """One strategy on one data set."""
    said = {
        "contains": "answerable questions whose answer holds a gold answer",
        "answer_rate": "answerable questions answered",
        "em": "answers equal to a gold answer (answerable)",
        "f1": "overlap with the nearest gold answer (answerable)",
        "wrong_rate": "of those answered: wrong",
        "wrong_unanswerable": "    … should have abstained",
        "wrong_answer": "    … holds no gold answer",
        "abstain_precision": "abstentions that were right",
        "abstain_recall": "unanswerable questions where it abstained",
        "citation_precision": "citations that count",
        "citation_recall": "sentences supported by what they cite",
        "faithfulness": "claims supported by what was retrieved",
        "rouge_l": "longest common subsequence with a gold answer",
        "bleu": "sentence BLEU against the gold answers",
        "bertscore": "BERTScore F1 by the packaged encoder",
        "context_precision": "relevant passages stand first among those read",
        "context_recall": "what answers stands in what was read",
        "perplexity": "of what the model wrote, under itself; 1 is certain",
    }
    rows = [(name, _share(result.metrics[name]), meaning) for name, meaning in said.items()]
    lines = [
        f"{result.strategy} on {result.dataset} ({result.mode}): {result.n:,} questions, {result.n_answerable:,} answerable; "
        f"{result.n_answered:,} answered, {result.n_abstained:,} abstained, {result.n_failed:,} failed",
        "",
        table(("metric", "value", "meaning"), rows, style=style, left=(0, 2)),
        "",
        f"{result.seconds_per_question:.2f} s per question (95 % within {result.seconds_per_question_p95:.2f} s); "
        f"{result.n_claims:,} claims checked; {result.usage.prompt_tokens:,} tokens read and "
        f"{result.usage.completion_tokens:,} written by a language model",
    ]
    if reasons := result.unscored.get("perplexity"):
        lines.append(f"without a perplexity: {', '.join(f'{n:,} ({why})' for why, n in reasons.items())}")
    if result.n_unverified:
        lines.append(f"{result.n_unverified:,} sentences could not be checked and are in no number")
    return "\n".join(lines)


def faithfulness_report(result: FaithfulnessResult, *, style: Style = "plain") -> str:
    """One verifier on one data set."""
    names = ("balanced_accuracy", "f1", "precision", "recall", "auroc", "kappa")
    by = "the verifier's label" if result.decided_by == "label" else f"score ≥ {result.threshold:.3f}"
    lines = [
        f"{result.dataset}: {result.n:,} claims, {result.n_supported:,} supported; decided by {by}",
        "",
        table(("metric", "value"), [(name, _share(getattr(result, name))) for name in names], style=style),
        "",
        f"{_milliseconds(result.seconds_per_claim)} per claim",
    ]
    if result.n_unverified:
        lines.append(f"{result.n_unverified:,} verdicts could not be made and count as not supported")
    return "\n".join(lines)


def comparison_report(comparison: Comparison, *, style: Style = "plain") -> str:
    """B against A, one line per metric, then what may be concluded."""
    rows = []
    for m in comparison.metrics:
        ci = "" if m.ci_low is None or m.ci_high is None else f"[{signed(m.ci_low)}, {signed(m.ci_high)}]"
        detectable = "" if m.detectable_difference is None else size(m.detectable_difference)
        rows.append(
            (
                m.metric + (" (lower is better)" if m.lower_is_better else ""),
                f"{m.mean_a:.4f}",
                f"{m.mean_b:.4f}",
                signed(m.difference),
                ci,
                f"{m.p:.4f}",
                f"{m.p_holm:.4f}",
                f"{m.wins}/{m.losses}/{m.ties}",
                str(m.n),
                detectable,
            )
        )
    headers = ("metric", "A", "B", "B − A", "95 % interval", "p", "p (Holm)", "B wins/loses/ties", "n", "detectable")
    count = len(comparison.metrics)
    lines = [
        f"A  {comparison.a.label}  {comparison.a.path}",
        f"B  {comparison.b.label}  {comparison.b.path}",
        "",
        table(headers, rows, style=style),
        "",
        *(f"{m.metric}: {m.text(count)}" for m in comparison.metrics),
        *(f"note: {note}" for note in comparison.notes),
    ]
    return "\n".join(lines)


def _share(value: float | None) -> str:
    return "–" if value is None else f"{value:.4f}"


def _milliseconds(seconds: float) -> str:
    return f"{seconds * 1000:.1f} ms" if seconds < 1 else f"{seconds:.2f} s"


def _width(text: str) -> int:
    """Terminal columns: wide characters take two, combining ones none."""
    return sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def _padded(text: str, width: int, left: bool) -> str:
    fill = " " * (width - _width(text))
    return text + fill if left else fill + text
