"""The loops of METHODS.md once more, as small machines that were written from it and share no code with ours.

A machine is a generator: it yields each request that the method makes as (end of the prompt, stop strings), is sent what
the model says, and returns what the method comes to. Run side by side with the real loop, every request must agree.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field

from tests.support.passages import EVERYTHING, PassageRetriever

Request = tuple[str, tuple[str, ...]]


@dataclass
class Outcome:
    """``answer`` None: none was given. ``queries`` are what was searched, in order."""

    answer: str | None
    turns: int
    observations: list[str] = field(default_factory=list)


class World:
    """The documents as the methods see them; passages numbered in the order of finding."""

    def __init__(self, library: PassageRetriever, sentences: Callable[[str], Sequence[str]]) -> None:
        self.library = PassageRetriever(list(library.documents.values()))
        self.sentences = sentences
        self.numbers: dict[str, int] = {}
        self.open = ""
        self.keyword = ""
        self.position = 0

    def line(self, doc_id: str) -> str:
        document = self.library.documents[doc_id]
        n = self.numbers.setdefault(doc_id, len(self.numbers) + 1)
        return f"[{n}] {document.title}, page 1: {' '.join(document.text.split())}"

    def find(self, query: str) -> list[str]:
        return [h.chunk.doc_id for h in self.library.search(query, 4, EVERYTHING)]

    def search(self, query: str) -> str:
        if not query.strip():
            return "the query is empty: say what to look for"
        found = self.find(query)
        self.open, self.keyword, self.position = (found[0] if found else ""), "", 0
        return " ".join(map(self.line, found)) if found else f"Nothing was found for {query!r}: use other words."

    def lookup(self, word: str) -> str:
        if not word.strip():
            return "nothing to look up: say a word"
        if word != self.keyword:
            self.keyword, self.position = word, 0
        if not self.open:
            return "No document is open: search first."
        text = self.library.documents[self.open].text
        found = [s for s in self.sentences(text) if word.casefold() in s.casefold()]
        if self.position >= len(found):
            return "No more results."
        self.position += 1
        shown = " ".join(found[self.position - 1].split())
        return f"(Result {self.position} / {len(found)}) [{self.numbers[self.open]}] {shown}"


def react(question: str, world: World, reflections: Sequence[str] = ()) -> Generator[Request, str, Outcome]:
    """ReAct: thought and action in one, the action alone where it was left out, an observation for everything."""
    before_it = "".join(f"- {r}\n" for r in reflections) + ("\n" if reflections else "")
    said = ""
    before: tuple[str, str] | None = None
    same = 0
    observations: list[str] = []
    for i in range(1, 8):
        head = f"{before_it}Question: {question}\n{said}Thought {i}:"
        reply = (yield head, (f"\nObservation {i}:",)).strip()
        halves = reply.split(f"\nAction {i}: ")
        if len(halves) == 2:
            thought, action = halves[0].strip(), halves[1].strip()
        else:
            thought = reply.split("\n")[0].strip()
            action = (yield f"{head} {thought}\nAction {i}:", ("\n",)).strip()
        lowered = action[:1].lower() + action[1:]
        if re.fullmatch(r"finish\[.*\]", lowered, re.DOTALL):
            return Outcome(lowered[7:-1].strip(), i, [*observations, "Episode finished."])
        if re.fullmatch(r"search\[.*\]", lowered, re.DOTALL):
            observation = world.search(lowered[7:-1])
        elif re.fullmatch(r"lookup\[.*\]", lowered, re.DOTALL):
            observation = world.lookup(lowered[7:-1])
        else:
            observation = f"Invalid action: {' '.join(lowered.split())}"
        same = same + 1 if before == (lowered, observation) else 1
        before = (lowered, observation)
        observations.append(observation)
        said += f"Thought {i}: {thought}\nAction {i}: {action}\nObservation {i}: {observation}\n"
        if same == 3:
            return Outcome(None, i, observations)
    return Outcome("", 8, [*observations, "Episode finished."])  # finish[]


def reflexion(question: str, world: World, holds: Callable[[str], bool]) -> Generator[Request, str, Outcome]:
    """Reflexion: three ReAct attempts at most; an answer that holds ends it, every other attempt but the last is reflected on, and the
    next one is told of the last three reflections. The best attempt is given: holding, not holding, "I don't know", none."""
    reflections: list[str] = []
    best: tuple[int, str | None] = (-1, None)
    verdicts: list[str] = []
    for trial in range(1, 4):
        world.open, world.keyword = "", ""
        attempt = yield from react(question, world, reflections[-3:])
        answer = (attempt.answer or "").strip()
        if not answer:
            why = " The model did the same thing again and again." if attempt.answer is None else ""
            why = " The model had not finished." if attempt.turns == 8 else why
            worth, verdict = 0, f"No answer was given.{why}"
        elif answer == "I don't know.":
            worth, verdict = 1, "It ended with “I don't know”, though more could be searched."
        elif holds(answer):
            worth, verdict = 3, "Every sentence of the answer is supported."
        else:
            worth, verdict = 2, "The answer does not hold: "
        verdicts.append(f"Attempt {trial} of 3: {verdict}")
        if worth > best[0]:
            best = worth, answer or None
        if worth == 3 or trial == 3:
            break
        end = "\n\nReflection:" if worth == 2 else f"\n\nFeedback: {verdict}\n\nReflection:"
        reflections.append(" ".join((yield end, ("\n\n",)).split()))
    return Outcome(best[1], len(verdicts), verdicts)


def self_rag(question: str, world: World) -> Generator[Request, str, Outcome]:
    """Self-RAG by prompting: retrieve?, relevant? of each passage, an answer from the relevant, supported?, useful?; a miss asks for
    a new query, three rounds at most; the best answer by support, then use, then the earlier."""

    def judged(said: str, words: str, default: str) -> str:
        found = re.search(rf"\b({words})\b", said.lower())
        return found[1] if found else default

    yes_or_no = ("Reply with yes or no.", ())
    queries: list[str] = []
    best: tuple[int, int, str] | None = None
    if judged((yield yes_or_no), "yes|no", "yes") == "no":
        return Outcome((yield f"Question: {question}", ()).strip(), 0)
    query = question
    while len(queries) < 3:
        queries.append(query)
        relevant = 0
        for doc_id in world.find(query):
            world.line(doc_id)
            relevant += judged((yield yes_or_no), "yes|no", "yes") == "yes"
        if relevant:
            answer = (yield f"Question: {question}", ()).strip()
            support = judged((yield "Reply with fully, partially or no.", ()), "fully|partially|no", "no")
            use = int(judged((yield "Reply with the number.", ()), "[1-5]", "1"))
            this = ("no", "partially", "fully").index(support), use, answer
            if best is None or this[:2] > best[:2]:
                best = this
            if this[0] > 0 and use >= 3:
                break
        query = (yield "Write other words to search for, in one line.", ("\n",)).strip().strip('"') or question
        if query.lower() in [q.lower() for q in queries]:
            break
    return Outcome(best[2] if best else None, len(queries), queries)


def majority(answers: Sequence[str], same_as: Callable[[str], str]) -> str:
    """Self-consistency: the answer most chains gave, in the words of the first that gave it; ties go to the earlier. What says nothing
    ("" by ``same_as``) counts only where nobody says anything."""
    speaking = [a for a in answers if same_as(a)] or list(answers)
    return max(speaking, key=lambda a: (sum(same_as(b) == same_as(a) for b in speaking), -speaking.index(a)))


def ircot(question: str, world: World, first: Callable[[str], str]) -> Generator[Request, str, Outcome]:
    """IRCoT: question first, then the last sentence of the chain; at most 15 passages; until "answer is"."""
    queries = [question]
    passages = list(dict.fromkeys(world.find(question)))[:15]
    chain: list[str] = []
    while passages and len(chain) < 6:
        for doc_id in passages:
            world.line(doc_id)
        reply = yield f"Q: {question}\nA:" + "".join(f" {s}" for s in chain), ("\nQ:", "\n\n")
        sentence = " ".join(first(reply).split())
        if not sentence or sentence in chain:
            break
        chain.append(sentence)
        if "answer is" in sentence.casefold() or len(passages) >= 15:
            break
        queries.append(sentence)
        passages = list(dict.fromkeys([*passages, *world.find(sentence)]))[:15]
    if passages:
        yield f"Question: {question}", ()  # the reader
    return Outcome(None, len(chain), queries)


def cot(question: str) -> Generator[Request, str, Outcome]:
    """Zero-shot CoT: the reasoning, then the answer from it."""
    reasoning = (yield f"Q: {question}\nA: Let's think step by step.", ("\nQ:",)).strip()
    before = f"Q: {question}\nA: Let's think step by step. {reasoning}\nTherefore, the answer is"
    answer = yield before, ("\n",)
    return Outcome(answer.strip(), 2)


def tot_calls(
    depth: int,
    keep: int,
    propose: Callable[[str], Sequence[str]],
    value: Callable[[str], float],
    prompt_of: Callable[[str], str | None],
) -> tuple[list[str], int]:
    """ToT, breadth first: the states it ends with, and how often the model is asked with three votes a valuation."""
    frontier, calls, known = [""], 0, dict[str, float]()
    for _ in range(depth):
        scored: list[tuple[float, int, str]] = []
        seen: set[str] = set()
        for state in frontier:
            calls += 1
            for new in propose(state):
                worth = 0.0
                if new not in seen:
                    prompt = prompt_of(new)
                    if prompt is not None:
                        if prompt not in known:
                            calls += 3
                            known[prompt] = value(new)
                        worth = known[prompt]
                seen.add(new)
                scored.append((-worth, len(scored), new))
        frontier = [state for _, _, state in sorted(scored)[:keep]]
    return frontier, calls
