import assert from "node:assert/strict";
import { describe, test } from "node:test";
import {
  AppError,
  errorCodes,
  errorTable,
  isAppError,
  StartupError,
  toAppError,
} from "./errors.ts";

/** RFC 6455, section 7.4.1, without those that no endpoint may send; and our own of 4000 to 4999. */
const closeCodes = new Set([1000, 1001, 1002, 1003, 1007, 1008, 1009, 1011, 1012, 1013]);

describe("errorTable", () => {
  for (const [code, { status, closeCode, retryable, text }] of Object.entries(errorTable)) {
    test(`gives ${code} a meaning for every kind of client`, () => {
      assert.match(code, /^[a-z]+(_[a-z]+)*$/);
      assert.ok(status >= 400 && status <= 599, `status ${status}`);
      assert.ok(closeCodes.has(closeCode) || (closeCode >= 4000 && closeCode <= 4999));
      assert.match(text, /^[A-Z].*\.$/s, "is a sentence");
      const isOurFault = status >= 500;
      const isTheirFault = closeCode === 1008 || closeCode === 1003 || closeCode >= 4000;
      assert.ok(!(isOurFault && isTheirFault), "blames one side");
      if ([429, 503].includes(status)) assert.ok(retryable, "may be tried again");
    });
  }

  test("lists its codes", () => {
    assert.deepEqual(errorCodes, Object.keys(errorTable));
  });
});

describe("AppError", () => {
  test("shows the table's text unless it is given one", () => {
    assert.equal(new AppError("not_found").message, errorTable.not_found.text);
    assert.equal(new AppError("not_found", "No such session.").message, "No such session.");
  });

  test("carries code, fields, wait and cause", () => {
    const cause = new Error("disk I/O error");
    const errors = [{ path: "stop.0", message: "must not be empty" }];
    const error = new AppError("rate_limited", undefined, { cause, errors, retryAfterSeconds: 3 });
    assert.equal(error.code, "rate_limited");
    assert.equal(error.cause, cause);
    assert.deepEqual(error.errors, errors);
    assert.equal(error.retryAfterSeconds, 3);
    assert.ok(error instanceof Error);
    assert.equal(error.name, "AppError");
  });

  test("keeps its cause out of what is shown", () => {
    const cause = new Error("SELECT secret FROM /srv/data");
    const error = new AppError("storage_unavailable", undefined, { cause });
    for (const shown of [error.message, String(error), JSON.stringify(error)]) {
      assert.doesNotMatch(shown, /SELECT|srv/);
    }
  });
});

describe("isAppError", () => {
  test("recognises an error of another copy of the module, which instanceof does not", async () => {
    const copyUrl = new URL("./errors.ts?copy", import.meta.url).href;
    const copy = (await import(copyUrl)) as { AppError: typeof AppError };
    const error = new copy.AppError("forbidden");
    assert.ok(!(error instanceof AppError));
    assert.ok(isAppError(error));
    assert.equal(toAppError(error), error);
  });

  test("recognises nothing else", () => {
    const lookAlike = { name: "AppError", code: "forbidden", message: "x" };
    for (const value of [new Error("x"), new StartupError("x"), lookAlike, "x", null, undefined]) {
      assert.equal(isAppError(value), false);
    }
  });
});

describe("toAppError", () => {
  test("returns an AppError itself", () => {
    const error = new AppError("not_found");
    assert.equal(toAppError(error), error);
  });

  test("turns anything else into internal_error, which shows nothing of it", () => {
    for (const thrown of [new TypeError("secret path"), "secret path", undefined, null]) {
      const error = toAppError(thrown);
      assert.equal(error.code, "internal_error");
      assert.equal(error.message, errorTable.internal_error.text);
      assert.equal(error.cause, thrown);
    }
  });
});
