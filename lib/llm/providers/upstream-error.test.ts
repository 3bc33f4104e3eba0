import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { upstreamFailure } from "#e2e/rig/chat-rig.ts";
import { AppError } from "../../errors.ts";
import { describeCause, toUpstreamError } from "./upstream-error.ts";

const own = new AppError("invalid_base_url");
const wrapped = (depth: number): unknown =>
  depth === 0 ? own : new Error("wrapped", { cause: wrapped(depth - 1) });

describe("a provider's failure", () => {
  const rows: Record<string, [error: unknown, code: string, says?: RegExp]> = {
    "400": [upstreamFailure(400), "upstream_rejected", /parameters/],
    "401": [upstreamFailure(401), "upstream_rejected", /refused the key/],
    "402": [upstreamFailure(402), "upstream_rejected"],
    "403": [upstreamFailure(403), "upstream_rejected", /not allow/],
    "404": [upstreamFailure(404), "upstream_rejected", /model, or the base URL/],
    "408": [upstreamFailure(408), "upstream_error"],
    "409": [upstreamFailure(409), "upstream_error"],
    "413": [upstreamFailure(413), "upstream_rejected", /too large/],
    "422": [upstreamFailure(422), "upstream_rejected"],
    "429": [upstreamFailure(429), "upstream_error", /limits requests/],
    "500": [upstreamFailure(500), "upstream_error"],
    "503": [upstreamFailure(503), "upstream_error"],
    "a redirect": [upstreamFailure(302), "upstream_error"],
    "no status": [upstreamFailure(0), "upstream_error"],
    "a network error": [new TypeError("fetch failed"), "upstream_error"],
    "a text": ["overloaded", "upstream_error"],
    nothing: [undefined, "upstream_error"],
    "our own refusal": [own, "invalid_base_url"],
    "our own refusal inside the client's error": [upstreamFailure(500, own), "invalid_base_url"],
    "our own refusal four errors deep": [wrapped(4), "invalid_base_url"],
    "our own refusal too deep to be meant": [wrapped(5), "upstream_error"],
  };
  for (const [name, [error, code, says = /./]] of Object.entries(rows)) {
    test(`is ${code} for ${name}`, () => {
      const mapped = toUpstreamError(error);
      assert.equal(mapped.code, code);
      assert.match(mapped.message, says);
      assert.doesNotMatch(mapped.message, /secret upstream text|fetch failed|overloaded$/);
      if (mapped !== own) assert.equal(mapped.cause, error);
    });
  }
});

test("is told to the log by kind, status and system code, without the provider's text", () => {
  const system = Object.assign(new Error("secret upstream text"), { code: "ECONNRESET" });
  const failure = toUpstreamError(upstreamFailure(429, system));
  assert.equal(
    describeCause(failure),
    "AppError upstream_error < AI_APICallError 429 < Error ECONNRESET",
  );
});
