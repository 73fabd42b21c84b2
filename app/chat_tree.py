"""A conversation is a tree: an edited question and an answer given anew stand beside the older one, and one thread
from the first question to a leaf is what is shown. This is its shape alone; it knows nothing of what is said."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    message_id: str
    parent_id: str | None
    role: str


class Tree:
    def __init__(self, nodes: Iterable[Node]) -> None:
        """Args:
        nodes: in the order in which they were said, so that a parent comes before its children.
        """
        self._nodes = {node.message_id: node for node in nodes}
        self._children: dict[str | None, list[str]] = {}
        for node in self._nodes.values():
            self._children.setdefault(node.parent_id, []).append(node.message_id)

    def __contains__(self, message_id: str) -> bool:
        return message_id in self._nodes

    def thread(self, leaf_id: str | None) -> list[str]:
        """From the first message to ``leaf_id``, that one included; empty without one."""
        found: list[str] = []
        at = leaf_id
        while at is not None:
            found.append(at)
            at = self._nodes[at].parent_id
        return found[::-1]

    def versions(self, message_id: str) -> tuple[str, ...]:
        """Those that stand in the same place, the oldest first."""
        node = self._nodes[message_id]
        return tuple(m for m in self._children[node.parent_id] if self._nodes[m].role == node.role)

    def leaf_below(self, message_id: str) -> str:
        """The end of the thread through ``message_id`` that was taken last."""
        while below := self._children.get(message_id):
            message_id = below[-1]
        return message_id

    def parent(self, message_id: str) -> str | None:
        return self._nodes[message_id].parent_id

    def children(self, message_id: str | None, role: str) -> list[str]:
        return [m for m in self._children.get(message_id, ()) if self._nodes[m].role == role]
