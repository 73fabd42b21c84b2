"""The conversations of the stand-in of the API (``tests.support.stand_in``)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from fastapi import FastAPI
from fastapi.responses import StreamingResponse

from tests.support.stand_in_state import NOW, PASSAGE, START, State, hits, problem, sse


def answered(state: State, question: str, run_id: str) -> dict[str, Any]:
    found = hits(state, question)
    base = {"strategy": "extract", "run_id": run_id, "hits": found, "steps": 2, "seconds": 0.42,
            "usage": {"prompt_tokens": 300, "completion_tokens": 40, "duration_s": 0.4}}  # fmt: skip
    if "unknown" in question or not found:
        return base | {"answer": "I don't know.", "abstained": True, "sentences": [], "citations": [],
                       "reason": "no passage scores above the threshold"}  # fmt: skip
    if state.answer_words:
        text = "word " * state.answer_words
        return base | {"answer": text, "abstained": False, "reason": "", "sentences": [], "citations": []}
    first = f"{PASSAGE[:-1]} [1]."
    second = "Services net sales reached a new record [2]."
    text = f"{first} {second}"
    cites = [
        {"n": n, "chunk_id": "c0", "doc_id": found[0]["doc_id"], "title": found[0]["title"], "page": 4,
         "start": START, "end": START + len(PASSAGE), "quote": PASSAGE, "verdict": verdict, "score": 0.9}
        for n, verdict in ((1, "supported"), (2, "partial"))
    ]  # fmt: skip
    sentences = [
        {"text": first, "start": 0, "end": len(first), "verdict": "supported", "score": 0.97, "reason": "",
         "citations": [1]},
        {"text": second, "start": len(first) + 1, "end": len(text), "verdict": "partial", "score": 0.6,
         "reason": "the quarter is not named", "citations": [2]},
    ]  # fmt: skip
    return base | {"answer": text, "abstained": False, "reason": "", "sentences": sentences, "citations": cites}


def add_chats(app: FastAPI, state: State) -> None:
    @app.post("/v1/chats", status_code=201)
    def new_chat(body: dict[str, Any]) -> Any:
        chat = {"chat_id": state.new("h"), "title": body.get("title") or "", "collections": body["collections"],
                "strategy": body.get("strategy") or "extract", "created_at": NOW, "updated_at": NOW,
                "messages": []}  # fmt: skip
        state.chats[chat["chat_id"]] = chat
        return chat

    @app.get("/v1/chats")
    def chats(q: str = "") -> Any:
        listed = [{k: v for k, v in c.items() if k != "messages"} for c in reversed(state.chats.values())]
        return {"chats": [c for c in listed if q.lower() in c["title"].lower()], "next_cursor": None}

    @app.get("/v1/chats/{h}")
    def chat(h: str) -> Any:
        return state.chats.get(h) or problem(404, "unknown-chat", f"no chat {h!r}")

    @app.patch("/v1/chats/{h}")
    def patch(h: str, body: dict[str, Any]) -> Any:
        state.counter += 1
        state.chats[h] |= body | {"updated_at": f"{NOW} {state.counter}"}
        return state.chats[h]

    @app.delete("/v1/chats/{h}", status_code=204)
    def drop_chat(h: str) -> None:
        del state.chats[h]

    @app.post("/v1/chats/{h}/messages")
    async def message(h: str, body: dict[str, Any]) -> Any:
        found, question = state.chats[h], body["question"]
        found["title"] = found["title"] or question[:40]
        if body.get("only_keep"):
            message_id = state.new("m")
            found["messages"].append({"message_id": message_id, "role": "user", "content": question, "created_at": NOW,
                                      "answer": None, "partial": False})  # fmt: skip
            return {"message_id": message_id}
        state.asked.append(body)
        return said_of(h, question, new=True)

    @app.post("/v1/chats/{h}/messages/{m}/regenerate")
    async def again(h: str, m: str, body: dict[str, Any]) -> Any:
        kept = state.chats[h]["messages"]
        at = next(i for i, message in enumerate(kept) if message["message_id"] == m)
        at -= kept[at]["role"] == "assistant"
        del kept[at + 1 :]
        state.asked.append(body | {"question": kept[at]["content"]})
        return said_of(h, kept[at]["content"], new=False)

    def said_of(h: str, question: str, *, new: bool) -> StreamingResponse:
        run_id, kept = state.new("r"), state.chats[h]["messages"]

        def keep(role: str, content: str, answer: Any = None, partial: bool = False) -> None:
            kept.append({"message_id": state.new("m"), "role": role, "content": content, "created_at": NOW,
                         "answer": answer, "partial": partial, "run_id": run_id})  # fmt: skip

        async def events() -> AsyncIterator[str]:
            if new:
                keep("user", question)
            state.running[run_id] = question
            answer = answered(state, question, run_id)
            said = ""
            yield sse("run", {"run_id": run_id, "strategy": "extract", "question": question})
            try:
                if "break" in question:
                    yield sse("error", {"code": "error", "message": "the language model does not answer"})
                    return
                yield sse("step", {"index": 0, "kind": "act", "thought": "search", "duration_s": 0.1})
                for word in answer["answer"].split(" "):
                    if run_id in state.cancelled:
                        return
                    said += word + " "
                    yield sse("token", {"text": word + " "})
                    await asyncio.sleep(state.token_s)
                for i, s in enumerate(answer["sentences"]):
                    yield sse("sentence", {"index": i, **s})
                for c in answer["citations"]:
                    yield sse("citation", c)
                said = ""
                keep("assistant", answer["answer"], answer)
                yield sse("done", answer)
            finally:
                if said:
                    keep("assistant", said, None, True)
                state.running.pop(run_id, None)
                state.finished.append(run_id)

        return StreamingResponse(events(), media_type="text/event-stream")

    @app.post("/v1/chats/{h}/pairs")
    async def pair(h: str, body: dict[str, Any]) -> Any:
        kept, run_ids = state.chats[h]["messages"], [state.new("r"), state.new("r")]
        state.asked_twice.append(body)

        async def events() -> AsyncIterator[str]:
            kept.append({"message_id": state.new("m"), "role": "user", "content": body["question"], "created_at": NOW,
                         "answer": None, "partial": False})  # fmt: skip
            for run_id in run_ids:
                yield sse("run", {"run_id": run_id})
                await asyncio.sleep(state.token_s)
            if "break" in body["question"]:
                kept.append({"message_id": state.new("m"), "role": "assistant", "content": PASSAGE, "created_at": NOW,
                             "answer": answered(state, body["question"], run_ids[0]), "partial": False})  # fmt: skip
                yield sse("error", {"code": "error", "message": "the second one broke", "run_id": run_ids[1]})
                return
            compared = {"answers": ["It fell by <i>4</i> percent.", "By four."], "choice": None, "from_start": True}
            kept.append({"message_id": state.new("m"), "role": "assistant", "content": "", "created_at": NOW,
                         "answer": None, "partial": False, "compared": compared})  # fmt: skip
            yield sse("compared", {"compared": compared})

        return StreamingResponse(events(), media_type="text/event-stream")

    @app.post("/v1/chats/{h}/messages/{m}/vote", status_code=201)
    def vote(h: str, m: str, body: dict[str, Any]) -> Any:
        message = state.chats[h]["messages"][-1]
        answer = answered(state, state.chats[h]["messages"][-2]["content"], state.new("r"))
        message["compared"] |= {"choice": body["choice"], "ways": ["rag by large", "extract"], "message_ids": [m, m]}
        message |= {"answer": answer, "content": answer["answer"], "run_id": answer["run_id"]}
        return {"compared": message["compared"]}

    @app.get("/v1/runs")
    def runs() -> Any:
        return {"runs": [{"run_id": r, "strategy": "extract", "question": q, "state": "running", "pending": []}
                         for r, q in state.running.items()]}  # fmt: skip

    @app.post("/v1/runs/{r}/cancel", status_code=202)
    def cancel(r: str) -> Any:
        state.cancelled.append(r)
        return {}
