import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { referenceFile, referencePage } from "./reference.ts";

const fileAt = (path: string) => referenceFile(new Request(`http://127.0.0.1${path}`));

describe("referencePage", () => {
  it("loads only files of its own that are there, and nothing inline", async () => {
    const html = String(referencePage().bytes);
    const loaded = [...html.matchAll(/<(?:script|link)[^>]* (?:src|href)="([^"]+)"/g)];
    assert.equal(loaded.length, 5);
    for (const [, path = ""] of loaded) assert.ok((await fileAt(path)).bytes.length > 0, path);
    assert.doesNotMatch(html, /<script(?![^>]* src=)|<style|style=|\son\w+=|https?:/);
  });

  it("forbids inline scripts, other hosts and being framed", () => {
    const policy = referencePage().headers?.["content-security-policy"]?.split("; ");
    for (const part of ["default-src 'none'", "script-src 'self'", "frame-ancestors 'none'"]) {
      assert.ok(policy?.includes(part), part);
    }
  });
});

describe("referenceFile", () => {
  it("answers each file under its media type", async () => {
    const types = {
      "reference.css": "text/css; charset=utf-8",
      "reference.js": "text/javascript; charset=utf-8",
      "swagger-ui.css": "text/css; charset=utf-8",
      "swagger-ui-bundle.js": "text/javascript; charset=utf-8",
      "favicon-32x32.png": "image/png",
    };
    for (const [name, mediaType] of Object.entries(types)) {
      const file = await fileAt(`/docs/${name}`);
      assert.equal(file.mediaType, mediaType);
      assert.ok(file.bytes.length > 50, name);
    }
  });

  it("reads the service's own document and asks no validator elsewhere", async () => {
    const script = String((await fileAt("/docs/reference.js")).bytes);
    assert.match(script, /url: "\/openapi\.json"/);
    assert.match(script, /validatorUrl: null/);
  });

  it("knows no other name, however it is written", async () => {
    const names = ["", "package.json", "index.js", "swagger-ui.css.map", "constructor"];
    const paths = ["..%2fpackage.json", "%2e%2e/package.json", "swagger-ui.css/", "Swagger-UI.css"];
    for (const name of [...names, ...paths]) {
      await assert.rejects(fileAt(`/docs/${name}`), { code: "not_found" }, name);
    }
  });
});
