import { argumentsText, joinedText } from "./wire-format.ts";
import type { Ending, Piece, StreamWriter, WireFormat } from "./wire-format.ts";

const id = "chatcmpl-scripted";
const created = 1_700_000_000;

/** `POST /v1/chat/completions` as OpenAI documents it, with `reasoning_content` as its imitators send it. */
export const chatCompletionsFormat: WireFormat = { startStream, wholeBody };

function startStream(model: string): StreamWriter {
  let toolCalls = 0;
  let role: string | undefined = "assistant";
  const chunk = (choices: object[], usage?: object) =>
    `data: ${JSON.stringify({ id, object: "chat.completion.chunk", created, model, choices, ...(usage && { usage }) })}\n\n`;
  return {
    piece(piece) {
      const content =
        piece.kind === "toolCall"
          ? { tool_calls: [{ index: toolCalls, ...toolCallObject(piece, toolCalls++) }] }
          : { [piece.kind === "text" ? "content" : "reasoning_content"]: piece.text };
      const delta = { ...(role && { role }), ...content };
      role = undefined;
      return chunk([{ index: 0, delta, finish_reason: null }]);
    },
    ending({ finish, usage, sendUsage }) {
      const last = chunk([{ index: 0, delta: {}, finish_reason: finish }]);
      return `${last}${sendUsage ? chunk([], usage) : ""}data: [DONE]\n\n`;
    },
  };
}

function wholeBody(model: string, pieces: readonly Piece[], ending: Ending): object {
  const reasoning = joinedText(pieces, "reasoning");
  const calls = pieces.filter((piece) => piece.kind === "toolCall");
  const message = {
    role: "assistant",
    content: joinedText(pieces, "text"),
    ...(reasoning && { reasoning_content: reasoning }),
    ...(calls.length > 0 && { tool_calls: calls.map(toolCallObject) }),
  };
  const choices = [{ index: 0, message, finish_reason: ending.finish }];
  return { id, object: "chat.completion", created, model, choices, usage: ending.usage };
}

function toolCallObject(piece: Extract<Piece, { kind: "toolCall" }>, index: number): object {
  const { toolCall } = piece;
  return {
    id: toolCall.id ?? `call_${index}`,
    type: "function",
    function: { name: toolCall.name, arguments: argumentsText(toolCall) },
  };
}
