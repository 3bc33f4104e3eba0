import { AppError } from "../errors.ts";
import type { SessionChannel } from "../llm/session-channel.ts";
import { isTerminal, type TurnEvent } from "../llm/turn-event.ts";
import { toFrame } from "../ws/to-frame.ts";
import type { ChatResponse, ToolCall } from "./schemas.ts";

/** A turn that was just begun, and the request that waits for its answer. */
export type RunningTurn = Readonly<{
  channel: SessionChannel;
  sessionId: string;
  start: TurnEvent;
  /** Aborts when the client goes away. */
  signal: AbortSignal;
  /** Called once, when the answer is through or its reader is gone. */
  leave: () => void;
}>;

/**
 * Waits for the whole answer.
 *
 * @throws {AppError} with the code of the turn's `turn-error`; what was written stays in the history.
 */
export async function foldTurn(turn: RunningTurn): Promise<ChatResponse> {
  let response = "";
  let reasoning = "";
  const toolCalls: ToolCall[] = [];
  for await (const event of followTurn(turn)) {
    switch (event.type) {
      case "text-delta":
        response += event.text;
        break;
      case "reasoning-delta":
        reasoning += event.text;
        break;
      case "tool-call":
        toolCalls.push({ id: event.id, name: event.name, input: event.input });
        break;
      case "tool-result": {
        const call = toolCalls.find(({ id }) => id === event.id);
        if (call) call.output = event.output;
        break;
      }
      case "turn-start":
        break;
      case "turn-error":
        throw new AppError(event.code, event.message);
      case "turn-end":
        return {
          response,
          session_id: turn.sessionId,
          message_id: event.turnId,
          finish_reason: event.finishReason,
          usage: event.usage,
          cost: event.cost,
          timings: event.timings,
          ...(reasoning !== "" && { reasoning }),
          ...(toolCalls.length > 0 && { tool_calls: toolCalls }),
        };
    }
  }
  throw new AppError("internal_error");
}

/** Streams the turn's frames as server-sent events (WHATWG HTML, section 9.2), each with its seq as id. */
export function streamTurn(turn: RunningTurn): Response {
  const encoder = new TextEncoder();
  const gone = new AbortController();
  const signal = AbortSignal.any([turn.signal, gone.signal]);
  const events = followTurn({ ...turn, signal });
  const body = new ReadableStream<Uint8Array>({
    pull: async (controller) => {
      const { done, value } = await events.next();
      if (done) controller.close();
      else {
        const frame = JSON.stringify(toFrame(value));
        controller.enqueue(encoder.encode(`id: ${value.seq}\ndata: ${frame}\n\n`));
      }
    },
    cancel: async () => {
      gone.abort();
      await events.return(undefined);
    },
  });
  return new Response(body, {
    headers: {
      "content-type": "text/event-stream; charset=utf-8",
      "cache-control": "no-store, no-transform",
      "x-session-id": turn.sessionId,
      "x-accel-buffering": "no",
    },
  });
}

/** The events of one turn, to its last. */
async function* followTurn(turn: RunningTurn): AsyncGenerator<TurnEvent, undefined> {
  const { channel, start, signal, leave } = turn;
  signal.addEventListener("abort", leave);
  try {
    for await (const followed of channel.follow({ after: start.seq - 1, signal })) {
      if (followed.kind === "gap") return;
      for (const event of followed.events) {
        yield event;
        if (isTerminal(event)) return;
      }
    }
  } finally {
    signal.removeEventListener("abort", leave);
    leave();
  }
}
