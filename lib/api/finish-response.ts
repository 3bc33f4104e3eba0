import { ulid } from "ulid";

export type Finishing = Readonly<{
  /** When the request came, on the clock of `performance.now()`. */
  receivedAtMs: number;
  /** Left out: a new one. */
  requestId?: string;
}>;

/**
 * Sets the header fields that every answer of the API carries; what the answer has already stays,
 * so that a document may be cached and a handler's request id is the one in the log.
 */
export function finishResponse(
  response: Response,
  { receivedAtMs, requestId = ulid() }: Finishing,
): Response {
  const fields = {
    "x-request-id": requestId,
    "server-timing": serverTiming(receivedAtMs),
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-store",
  };
  for (const [name, value] of Object.entries(fields)) {
    if (!response.headers.has(name)) response.headers.set(name, value);
  }
  return response;
}

/** The field Server-Timing (W3C) of an answer whose request came at `receivedAtMs`. */
export function serverTiming(receivedAtMs: number): string {
  return `total;dur=${(performance.now() - receivedAtMs).toFixed(1)}`;
}
