import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { z } from "zod";

import { AppError, errorCodes, errorTable } from "../errors.ts";
import { toOAuthErrorResponse } from "./oauth-error.ts";
import { toProblemResponse } from "./problem.ts";
import { Problem, TokenError } from "./schemas.ts";
import { validate } from "./validate.ts";

describe("a problem document", () => {
  for (const code of errorCodes) {
    test(`tells ${code} and nothing of its cause`, async () => {
      const response = toProblemResponse(
        new AppError(code, undefined, { cause: new Error("hid") }),
      );
      const { status } = errorTable[code];
      const body = Problem.parse(await response.json());
      assert.deepEqual([response.status, body.status, body.code], [status, status, code]);
      assert.equal(response.headers.get("content-type"), "application/problem+json");
      assert.equal(response.headers.has("www-authenticate"), status === 401);
      assert.equal(response.headers.has("retry-after"), status === 429 || status === 503);
      assert.doesNotMatch(JSON.stringify(body), /hid/);
    });
  }

  test("says how long to wait when that is known", () => {
    const error = new AppError("rate_limited", undefined, { retryAfterSeconds: 17 });
    assert.equal(toProblemResponse(error).headers.get("retry-after"), "17");
  });
});

describe("an error of the token endpoint", () => {
  for (const [code, status, name] of [
    ["invalid_grant", 401, "invalid_grant"],
    ["unsupported_grant_type", 400, "unsupported_grant_type"],
    ["invalid_request", 400, "invalid_request"],
    ["invalid_input", 400, "invalid_request"],
    ["bad_request", 400, "invalid_request"],
  ] as const) {
    test(`is ${status} ${name} for ${code}`, async () => {
      const response = toOAuthErrorResponse(new AppError(code));
      const body = TokenError.parse(await response.json());
      assert.deepEqual([response.status, body.error], [status, name]);
      assert.equal(body.detail, body.error_description);
      assert.equal(response.headers.get("www-authenticate"), status === 401 ? "Bearer" : null);
    });
  }

  test("is a problem document where OAuth has no word for it", async () => {
    const response = toOAuthErrorResponse(new AppError("rate_limited"));
    assert.equal(Problem.parse(await response.json()).code, "rate_limited");
  });
});

test("validation names every field that is wrong, and not more than twenty", () => {
  const schema = z.strictObject({
    a: z.strictObject({ b: z.number() }),
    list: z.array(z.number()),
  });
  const errorsOf = (value: unknown) => {
    try {
      validate(schema, value);
      return [];
    } catch (error) {
      return (error as AppError).errors?.map(({ path }) => path) ?? [];
    }
  };
  assert.deepEqual(errorsOf({ a: { b: 1 }, list: [] }), []);
  assert.deepEqual(errorsOf({ a: { b: "", c: 1 }, list: [1, "x"], d: 1 }).toSorted(), [
    "a.b",
    "a.c",
    "d",
    "list.1",
  ]);
  assert.deepEqual(errorsOf(1), ["(body)"]);
  assert.equal(errorsOf({ a: { b: 1 }, list: Array(50).fill("x") }).length, 20);
});
