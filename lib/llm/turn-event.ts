import type { FinishReason, Timings, Usage } from "../api/schemas.ts";
import type { ErrorCode } from "../errors.ts";
import type { ProviderId } from "../provider-ids.ts";

/**
 * Everything that can happen in a turn, as every door sees it. A turn is `turn-start`, any number
 * of deltas and tool events, and exactly one `turn-end` or `turn-error`.
 */
export type TurnEvent = Readonly<{
  /** Counts the events of a session without a hole, over all its turns. */
  seq: number;
  turnId: string;
}> &
  TurnEventBody;

export type TurnEventBody =
  | TurnStart
  | Readonly<{ type: "text-delta"; text: string }>
  | Readonly<{ type: "reasoning-delta"; text: string }>
  | Readonly<{ type: "tool-call"; id: string; name: string; input: unknown }>
  | Readonly<{ type: "tool-result"; id: string; output: unknown }>
  | TurnEnd
  | TurnFailure;

export type TurnStart = Readonly<{
  type: "turn-start";
  userMessage: Readonly<{ id: string; parentId: string | null; text: string; clientId?: string }>;
  /** The assistant's message that the turn writes. */
  messageId: string;
  provider: ProviderId;
  model: string;
  createdAt: string;
}>;

export type TurnEnd = Readonly<{
  type: "turn-end";
  finishReason: FinishReason;
  usage: Usage;
  /** US dollars; null where no price is known. */
  cost: number | null;
  timings: Timings;
}>;

export type TurnFailure = Readonly<{
  type: "turn-error";
  code: ErrorCode;
  /** Safe to show. */
  message: string;
  retryable: boolean;
  retryAfterSeconds?: number;
}>;

/** Whether the event is the last of its turn. */
export function isTerminal(event: TurnEventBody): event is TurnEnd | TurnFailure {
  return event.type === "turn-end" || event.type === "turn-error";
}

/** Why a turn was ended from outside, as the `reason` of its abort signal. */
export type TurnAbort = Readonly<{
  kind: "turn-abort";
  cause: "stopped" | "interrupted" | "shutting_down";
}>;

export function turnAbort(cause: TurnAbort["cause"]): TurnAbort {
  return { kind: "turn-abort", cause };
}

export function isTurnAbort(reason: unknown): reason is TurnAbort {
  return (
    typeof reason === "object" &&
    reason !== null &&
    "kind" in reason &&
    reason.kind === "turn-abort"
  );
}
