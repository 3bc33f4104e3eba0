import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { remember } from "../global.ts";
import { frameSchemas } from "../ws/frame-schemas.ts";
import { frameSchemasFile, openApiFile } from "./documents.ts";
import { openApiDocument } from "./openapi.ts";

describe("the published documents", () => {
  it("are the OpenAPI document of this process's version", () => {
    remember("services", () => ({ version: "1.2.3" }));
    const { bytes, mediaType } = openApiFile();
    assert.equal(mediaType, "application/json");
    assert.equal(bytes, JSON.stringify(openApiDocument({ version: "1.2.3" })));
  });

  it("are the frames' schemas", () => {
    const { bytes, mediaType } = frameSchemasFile();
    assert.equal(mediaType, "application/schema+json");
    assert.equal(bytes, JSON.stringify(frameSchemas()));
  });
});
