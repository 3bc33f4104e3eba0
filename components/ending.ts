import type { Message } from "#lib/api/schemas.ts";
import { errorTable } from "#lib/errors.ts";
import type { ShownMessage } from "./answer-reducer.ts";

export type Ending = Readonly<{ text: string; isFailure: boolean; isRetryable: boolean }>;

const wordsByFinishReason: Partial<Record<NonNullable<Message["finish_reason"]>, string>> = {
  length: "The answer reached the most tokens it may have.",
  content_filter: "The provider’s filter ended the answer.",
};

/** How an answer ended where it did not simply finish; null where it did. */
export function endingOf({
  status,
  error_code,
  failure,
  finish_reason,
}: ShownMessage): Ending | null {
  if (failure || error_code || status === "error") {
    // The server's own words were only sent while it happened; the table has the usual ones.
    const { text, retryable } = failure ?? errorTable[error_code ?? "internal_error"];
    return { text, isFailure: true, isRetryable: retryable };
  }
  if (status === "stopped") return { text: "Stopped.", isFailure: false, isRetryable: false };
  if (status === "incomplete") {
    return { text: "The answer was cut short.", isFailure: false, isRetryable: true };
  }
  const text = finish_reason && wordsByFinishReason[finish_reason];
  return text ? { text, isFailure: false, isRetryable: false } : null;
}
