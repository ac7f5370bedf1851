"""LangChain messages as the plain chat messages any chat template accepts: text, in three roles."""

import json
from collections.abc import Sequence
from typing import Any

from langchain_core.messages import (
    AIMessage,
    BaseMessage,
    ChatMessage,
    HumanMessage,
    SystemMessage,
    ToolMessage,
)

from swarmlab.errors import ModelError

# Blocks that repeat what a message carries elsewhere (tool calls) or that are not part of the conversation.
_SKIPPED_BLOCKS = frozenset({"tool_use", "tool_call", "tool_call_chunk", "thinking", "reasoning"})


def chat_messages(messages: Sequence[BaseMessage], preamble: str = "") -> list[dict[str, Any]]:
    """Return `{"role", "content"}` messages; neighbours of one role are joined, since many templates insist.

    Parameters
    ----------
    messages
        The conversation. Tool calls become the JSON the model is asked to write, tool results user messages:
        templates differ in what they know of tools, and small models' know nothing.
    preamble
        Put at the end of the system message, which is made if there is none.

    Raises
    ------
    ModelError
        A content block that is not text, or a message of an unknown kind.
    """
    turns: list[tuple[str, str]] = [_turn(message) for message in messages]
    if preamble:
        position = 1 if turns and turns[0][0] == "system" else 0
        turns.insert(position, ("system", preamble))
    joined: list[dict[str, Any]] = []
    for role, text in turns:
        if joined and joined[-1]["role"] == role:
            joined[-1]["content"] += f"\n\n{text}"
        else:
            joined.append({"role": role, "content": text})
    return joined


def written_calls(calls: Sequence[tuple[str, dict[str, Any]]]) -> str:
    """Return (name, arguments) pairs as the JSON that the model itself writes to call tools."""
    listed = [{"name": name, "arguments": arguments} for name, arguments in calls]
    return json.dumps({"tool_calls": listed}, ensure_ascii=False, separators=(",", ":"))


def _turn(message: BaseMessage) -> tuple[str, str]:
    text = _text(message)
    match message:
        case SystemMessage():
            return "system", text
        case HumanMessage():
            return "user", text
        case AIMessage():
            calls = [(call["name"], call["args"]) for call in message.tool_calls]
            return "assistant", "\n".join(
                part for part in (text, written_calls(calls) if calls else "") if part
            )
        case ToolMessage():
            outcome = "Error of tool" if message.status == "error" else "Result of tool"
            return "user", f"{outcome} {message.name or message.tool_call_id}: {text}"
        case ChatMessage(role="system" | "user" | "assistant"):
            return message.role, text
        case _:
            raise ModelError(f"the model does not take a {type(message).__name__}")


def _text(message: BaseMessage) -> str:
    if isinstance(message.content, str):
        return message.content
    parts: list[str] = []
    for block in message.content:
        if isinstance(block, str):
            parts.append(block)
        elif block.get("type") == "text":
            parts.append(block["text"])
        elif block.get("type") not in _SKIPPED_BLOCKS:
            raise ModelError(f"the model takes text only; a message holds a {block.get('type')!r} block")
    return "\n".join(parts)
