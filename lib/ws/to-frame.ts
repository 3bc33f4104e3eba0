import type { TurnEvent } from "../llm/turn-event.ts";
import type { PlainFrame, TurnFrame } from "./frames.ts";

/** The frame of an event, for the WebSocket protocol and for server-sent events alike. */
export function toFrame(event: TurnEvent): TurnFrame {
  const numbered = { seq: event.seq, turn_id: event.turnId };
  switch (event.type) {
    case "turn-start": {
      const { id, parentId, text, clientId } = event.userMessage;
      return {
        type: event.type,
        ...numbered,
        user_message: {
          id,
          parent_id: parentId,
          text,
          ...(clientId !== undefined && { client_id: clientId }),
        },
        message_id: event.messageId,
        provider: event.provider,
        model: event.model,
        created_at: event.createdAt,
      };
    }
    case "text-delta":
    case "reasoning-delta":
      return { type: event.type, ...numbered, text: event.text };
    case "tool-call":
      return { type: event.type, ...numbered, id: event.id, name: event.name, input: event.input };
    case "tool-result":
      return { type: event.type, ...numbered, id: event.id, output: event.output };
    case "turn-end":
      return {
        type: event.type,
        ...numbered,
        finish_reason: event.finishReason,
        usage: event.usage,
        cost: event.cost,
        timings: event.timings,
      };
    case "turn-error":
      return {
        type: event.type,
        ...numbered,
        code: event.code,
        message: event.message,
        retryable: event.retryable,
      };
  }
}

/** The frame of an event in the plain protocol, which knows nothing of reasoning, tools or numbers. */
export function toPlainFrame(event: TurnEvent): PlainFrame | undefined {
  switch (event.type) {
    case "text-delta":
      return { chunk: event.text };
    case "turn-end":
      return {
        done: true,
        finish_reason: event.finishReason,
        message_id: event.turnId,
        usage: event.usage,
      };
    case "turn-error":
      return { error: event.message, code: event.code };
    default:
      return undefined;
  }
}
