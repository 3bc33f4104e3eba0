import { remember } from "../global.ts";
import { services } from "../services.ts";
import { frameSchemas } from "../ws/frame-schemas.ts";
import { openApiDocument } from "./openapi.ts";
import type { StaticFile } from "./static-file.ts";

/** The OpenAPI document, made once a process. */
export function openApiFile(): StaticFile {
  const { version } = services();
  const bytes = remember("openapi.json", () => JSON.stringify(openApiDocument({ version })));
  return { bytes, mediaType: "application/json" };
}

/** The JSON Schemas of the WebSocket's frames, made once a process. */
export function frameSchemasFile(): StaticFile {
  const bytes = remember("frames.json", () => JSON.stringify(frameSchemas()));
  return { bytes, mediaType: "application/schema+json" };
}
