import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { AppError } from "../errors.ts";
import { Problem } from "./schemas.ts";
import { serveStatic } from "./static-file.ts";

const address = "http://127.0.0.1/file";
const serve = serveStatic(() => ({ bytes: "body {}", mediaType: "text/css; charset=utf-8" }));

function asking(ifNoneMatch: string): Request {
  return new Request(address, { headers: { "if-none-match": ifNoneMatch } });
}

describe("serveStatic", () => {
  it("answers the bytes with their media type, to be asked for again, not sniffed", async () => {
    const response = await serve(new Request(address));
    assert.equal(response.status, 200);
    assert.equal(await response.text(), "body {}");
    assert.equal(response.headers.get("content-type"), "text/css; charset=utf-8");
    assert.equal(response.headers.get("cache-control"), "no-cache");
    assert.equal(response.headers.get("x-content-type-options"), "nosniff");
    assert.match(response.headers.get("etag") ?? "", /^"[\w-]{43}"$/);
  });

  it("answers 304 without a body to whoever has it, in every form of the field", async () => {
    const entityTag = (await serve(new Request(address))).headers.get("etag") ?? "";
    for (const field of [entityTag, `W/${entityTag}`, `"other", ${entityTag}`, "*"]) {
      const response = await serve(asking(field));
      assert.equal(response.status, 304, field);
      assert.equal(await response.text(), "");
      assert.equal(response.headers.get("etag"), entityTag);
    }
    assert.equal((await serve(asking('"other"'))).status, 200);
  });

  it("adds the file's own header fields", async () => {
    const headers = { "content-security-policy": "default-src 'none'" };
    const response = await serveStatic(() => ({ bytes: "", mediaType: "text/html", headers }))(
      new Request(address),
    );
    assert.equal(response.headers.get("content-security-policy"), "default-src 'none'");
  });

  it("answers what is thrown as a problem that nobody keeps", async () => {
    const response = await serveStatic(() => {
      throw new AppError("not_found");
    })(new Request(address));
    assert.equal(response.status, 404);
    assert.equal(response.headers.get("content-type"), "application/problem+json");
    assert.equal(response.headers.get("cache-control"), "no-store");
    assert.equal(Problem.parse(await response.json()).code, "not_found");
  });

  it("logs a failure of ours and does not show it", async (t) => {
    const written = t.mock.method(process.stderr, "write", () => true);
    const response = await serveStatic(() => Promise.reject(new Error("/secret/path")))(
      new Request(address),
    );
    assert.equal(response.status, 500);
    assert.doesNotMatch(await response.text(), /secret/);
    assert.match(String(written.mock.calls[0]?.arguments[0]), /static-file-failed.*secret/);
  });
});
