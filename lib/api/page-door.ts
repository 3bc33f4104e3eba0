import type { IncomingMessage, ServerResponse } from "node:http";
import { ulid } from "ulid";
import { isForwardingField } from "../auth/origin.ts";
import type { Env } from "../env.ts";
import { AppError } from "../errors.ts";
import type { Services } from "../services.ts";
import { serverTiming } from "./finish-response.ts";

/** Next would render a page for any other, TRACE included. */
export const pageMethods: readonly string[] = ["GET", "HEAD", "POST"];

/**
 * Checks what holds for pages as for the API, before Next sees a request: it would read a body of
 * any size.
 *
 * @throws {AppError} `proxy_in_local_mode`, `forbidden`, or `payload_too_large` for a body that is
 *   too large or does not tell its size.
 */
export function checkPageRequest({ env, origins }: Services, headers: Headers): void {
  origins.checkLocalMode(headers);
  const bytes = Number(headers.get("content-length") ?? 0);
  if (bytes > env.MAX_BODY_BYTES || headers.has("transfer-encoding")) {
    throw new AppError(
      "payload_too_large",
      `A form may have ${env.MAX_BODY_BYTES} bytes at most, told by its Content-Length.`,
    );
  }
}

/** Makes request and answer ready for Next, which writes the rest. */
export function preparePage(env: Env, request: IncomingMessage, response: ServerResponse): void {
  setForwardingFields(env, request);
  request.headers["x-page-path"] = request.url ?? "/";
  announceTiming(response);
  response.setHeader("x-request-id", ulid());
  response.setHeader("x-content-type-options", "nosniff");
  response.setHeader("referrer-policy", "same-origin");
  response.setHeader("x-frame-options", "DENY");
}

/**
 * Next and next-auth believe these fields, so only a trusted proxy may set them, and PUBLIC_URL, which
 * is the operator's own word, outranks both.
 */
function setForwardingFields({ PUBLIC_URL, TRUST_PROXY }: Env, { headers }: IncomingMessage): void {
  if (!TRUST_PROXY) {
    for (const name of Object.keys(headers).filter(isForwardingField)) delete headers[name];
  }
  if (PUBLIC_URL === undefined) return;
  const { host, protocol } = new URL(PUBLIC_URL);
  headers["x-forwarded-host"] = host;
  headers["x-forwarded-proto"] = protocol.slice(0, -1);
}

/** Next writes the head of a page itself, so its time is taken when it does. */
function announceTiming(response: ServerResponse): void {
  const receivedAtMs = performance.now();
  const writeHead = response.writeHead.bind(response) as (...head: unknown[]) => ServerResponse;
  response.writeHead = (...head: unknown[]) => {
    response.setHeader("server-timing", serverTiming(receivedAtMs));
    if (!response.hasHeader("cache-control")) response.setHeader("cache-control", "no-store");
    return writeHead(...head);
  };
}
