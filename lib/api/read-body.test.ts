import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { z } from "zod";

import { readBody } from "./read-body.ts";

const json = { schema: z.unknown(), type: "json" } as const;
const form = { schema: z.unknown(), type: "form" } as const;
const isJson = { "content-type": "application/json; charset=utf-8" };
const isForm = { "content-type": "application/x-www-form-urlencoded" };

function read(kind: Parameters<typeof readBody>[1], body: BodyInit | null, headers: HeadersInit) {
  const request = new Request("http://a.test", { method: "POST", body, headers });
  return readBody(request, kind, 16);
}

const bytes = (...values: number[]) => new Uint8Array(values);

describe("the body of a request", () => {
  const taken: Record<string, [Promise<unknown>, unknown]> = {
    "is JSON": [read(json, '{"a":1}', isJson), { a: 1 }],
    "is JSON of exactly the allowed bytes": [
      read(json, `"${"é".repeat(7)}"`, isJson),
      "é".repeat(7),
    ],
    "is a form": [read(form, "a=1&b=%20", isForm), { a: "1", b: " " }],
    "is a form whose empty fields are left out": [read(form, "a=&b=1", isForm), { b: "1" }],
    "may be left out": [read({ ...json, optional: true }, null, {}), {}],
    "may be empty": [read({ ...json, optional: true }, "", {}), {}],
  };
  for (const [name, [body, expected]] of Object.entries(taken)) {
    test(name, async () => assert.deepEqual(await body, expected));
  }

  const refused: Record<string, [() => Promise<unknown>, code: string]> = {
    "is too large": [() => read(json, `"${"é".repeat(8)}"`, isJson), "payload_too_large"],
    "says that it is too large": [
      () => read(json, "1", { ...isJson, "content-length": "17" }),
      "payload_too_large",
    ],
    "is not JSON": [() => read(json, "{", isJson), "bad_request"],
    "is empty": [() => read(json, "", isJson), "bad_request"],
    "is not UTF-8": [() => read(json, bytes(34, 255, 34), isJson), "bad_request"],
    "ends inside a character": [() => read(json, bytes(34, 195), isJson), "bad_request"],
    "has no type": [() => read(json, bytes(49), {}), "unsupported_media_type"],
    "has another type": [() => read(json, "1", isForm), "unsupported_media_type"],
    "is compressed": [
      () => read(json, "1", { ...isJson, "content-encoding": "gzip" }),
      "unsupported_media_type",
    ],
    "is optional and of another type": [
      () => read({ ...json, optional: true }, "1", isForm),
      "unsupported_media_type",
    ],
    "repeats a field": [() => read(form, "a=1&a=2", isForm), "invalid_request"],
  };
  for (const [name, [attempt, code]] of Object.entries(refused)) {
    test(`is refused with ${code} when it ${name}`, async () => {
      await assert.rejects(attempt, { code });
    });
  }

  test("is not read beyond the limit", async () => {
    let pulls = 0;
    const endless = new ReadableStream({
      pull: (controller) => {
        pulls += 1;
        controller.enqueue(bytes(49, 49, 49, 49, 49, 49, 49, 49));
      },
    });
    const init = { method: "POST", body: endless, headers: isJson, duplex: "half" };
    const request = new Request("http://a.test", init);
    await assert.rejects(readBody(request, json, 16), { code: "payload_too_large" });
    assert.ok(pulls < 8, `${pulls} pulls`);
  });
});
