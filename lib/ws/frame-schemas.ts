import { z } from "zod";
import * as shared from "../api/schemas.ts";
import * as frames from "./frames.ts";

/** Where the document is served; its parts are `/frames.json#/$defs/<name>`. */
export const frameSchemasPath = "/frames.json";

/** A JSON Schema document (draft 2020-12); `$defs` holds one schema a frame and the shapes they share. */
export type FrameSchemas = Readonly<{
  $schema: string;
  title: string;
  description: string;
  $defs: Readonly<Record<string, object>>;
}>;

const { ClientFrame, ...serverFrames } = frames;

/**
 * Returns the schemas of every WebSocket frame, made from the zod schemas in use: `ClientFrame` and
 * `ServerFrame` of the subprotocol, `PlainFrame` of the protocol without one. The server's are closed:
 * a frame never has a field that is not described.
 */
export function frameSchemas(): FrameSchemas {
  return {
    $schema: "https://json-schema.org/draft/2020-12/schema",
    title: "LLM Service: WebSocket frames",
    description:
      `With the subprotocol ${frames.subprotocol} a client sends ClientFrame and gets ServerFrame. ` +
      "Without a subprotocol every text it sends is a user's message, and it gets PlainFrame.",
    $defs: { ...definitions({ ClientFrame }, "input"), ...definitions(serverFrames, "output") },
  };
}

type Exports = Readonly<Record<string, unknown>>;

/** Only what is reached from `roots` is kept of the shared shapes. */
function definitions(roots: Exports, io: "input" | "output"): Record<string, object> {
  const registry = z.registry<{ id: string }>();
  for (const [id, schema] of Object.entries({ ...shared, ...roots })) {
    if (schema instanceof z.ZodType) registry.add(schema, { id });
  }
  const { schemas } = z.toJSONSchema(registry, { io, uri: (id) => `#/$defs/${id}` });
  const kept: Record<string, object> = {};
  const reach = (id: string): void => {
    const schema = schemas[id];
    if (schema === undefined || id in kept) return;
    const { $schema, $id, ...definition } = schema;
    kept[id] = definition;
    for (const [, reference] of JSON.stringify(definition).matchAll(/"#\/\$defs\/(\w+)"/g)) {
      if (reference !== undefined) reach(reference);
    }
  };
  Object.keys(roots).forEach(reach);
  return kept;
}
