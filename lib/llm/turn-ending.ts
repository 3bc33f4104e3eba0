import { errorTable, toAppError } from "../errors.ts";
import type { Answer } from "./answer.ts";
import { isTurnAbort, type TurnAbort, type TurnEnd, type TurnFailure } from "./turn-event.ts";

/** How a turn ended: what is stored of it, and the failure that is told where it failed. */
export type Ending = Readonly<{
  status: "complete" | "stopped" | "incomplete" | "error";
  finishReason: TurnEnd["finishReason"];
  failure?: TurnFailure;
}>;

const abortEndings: Readonly<Record<TurnAbort["cause"], Ending>> = {
  stopped: { status: "stopped", finishReason: "stopped" },
  interrupted: { status: "incomplete", finishReason: "interrupted" },
  shutting_down: {
    status: "incomplete",
    finishReason: "interrupted",
    failure: describeFailure({ code: "shutting_down" }),
  },
};

/** Judges by what the turn threw, if anything. Tells abort from failure by what was thrown, never by its text. */
export function judge(failure: unknown, answer: Answer): Ending {
  if (failure === undefined) return { status: "complete", finishReason: answer.finishReason };
  if (isTurnAbort(failure)) return abortEndings[failure.cause];
  return {
    status: answer.isEmpty ? "error" : "incomplete",
    finishReason: "error",
    failure: describeFailure(toAppError(failure)),
  };
}

/** The event of a failure; without a message of its own it has the table's text. */
export function describeFailure(
  error: Readonly<{ code: TurnFailure["code"]; message?: string }>,
): TurnFailure {
  const { retryable, text } = errorTable[error.code];
  return { type: "turn-error", code: error.code, message: error.message ?? text, retryable };
}
