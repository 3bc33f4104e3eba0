import { createHash } from "node:crypto";
import { errorTable, toAppError } from "../errors.ts";
import { logError } from "../log.ts";
import { toProblemResponse } from "./problem.ts";

/** A document that anyone may read and that changes only with the service's own version. */
export type StaticFile = Readonly<{
  bytes: string | Uint8Array<ArrayBuffer>;
  mediaType: string;
  /** Beside those that every file gets. */
  headers?: Readonly<Record<string, string>>;
}>;

/**
 * Makes a Web handler that answers GET with what `read` returns: 304 where the client has it already
 * (RFC 9110, section 13.1.2), a problem document for what it throws. Never throws itself.
 */
export function serveStatic(
  read: (request: Request) => StaticFile | Promise<StaticFile>,
): (request: Request) => Promise<Response> {
  return async (request) => {
    try {
      return respond(request, await read(request));
    } catch (thrown) {
      const error = toAppError(thrown);
      if (errorTable[error.code].status >= 500) logError("static-file-failed", error);
      const response = toProblemResponse(error);
      response.headers.set("cache-control", "no-store");
      return response;
    }
  };
}

function respond(request: Request, { bytes, mediaType, headers }: StaticFile): Response {
  const entityTag = `"${createHash("sha256").update(bytes).digest("base64url")}"`;
  const fields = {
    "content-type": mediaType,
    "cache-control": "no-cache",
    etag: entityTag,
    "x-content-type-options": "nosniff",
    ...headers,
  };
  const known = request.headers.get("if-none-match")?.split(/\s*,\s*/) ?? [];
  const isKnown = known.some((tag) => tag === "*" || tag.replace(/^W\//, "") === entityTag);
  return isKnown
    ? new Response(null, { status: 304, headers: fields })
    : new Response(bytes, { headers: fields });
}
