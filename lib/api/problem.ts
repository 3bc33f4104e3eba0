import { STATUS_CODES } from "node:http";
import { errorTable, type AppError } from "../errors.ts";
import type { Problem } from "./schemas.ts";

const defaultRetryAfterSeconds = 2;

/** Encodes an error for an HTTP client (RFC 9457), with the header fields that its status asks for. */
export function toProblemResponse(error: AppError): Response {
  const { status } = errorTable[error.code];
  return new Response(JSON.stringify(toProblem(error)), {
    status,
    headers: { "content-type": "application/problem+json", ...errorHeaders(error) },
  });
}

export function toProblem(error: AppError): Problem {
  const { status } = errorTable[error.code];
  return {
    type: `urn:llm-service:error:${error.code}`,
    title: STATUS_CODES[status] ?? "Error",
    status,
    detail: error.message,
    code: error.code,
    ...(error.errors && { errors: [...error.errors] }),
  };
}

/** WWW-Authenticate (RFC 6750, section 3) and Retry-After (RFC 9110, section 10.2.3). */
export function errorHeaders(error: AppError): Record<string, string> {
  const { status } = errorTable[error.code];
  if (status === 401) {
    const reason = error.code === "token_expired" ? ' error="invalid_token"' : "";
    return { "www-authenticate": `Bearer${reason}` };
  }
  if (status === 429 || status === 503) {
    return { "retry-after": String(error.retryAfterSeconds ?? defaultRetryAfterSeconds) };
  }
  return {};
}
