import { frameSchemasPath } from "./frame-schemas.ts";
import { subprotocol } from "./frames.ts";

const schemaOf = (name: string): string => `${frameSchemasPath}#/$defs/${name}`;

/**
 * What OpenAPI has no words for: the WebSocket's addresses, protocols and close codes, as plain data.
 * The OpenAPI document carries it as `x-websocket`.
 */
export const webSocketContract = {
  paths: {
    "/ws/{session_id}": "Joins one's session; all its readers see the same frames.",
    "/ws/new": "Makes a session with the default configuration and names it in the first frame.",
  },
  authentication: {
    "Authorization: Bearer <token>": "for programs",
    "Sec-WebSocket-Protocol: bearer.<token>":
      "for pages of other origins, offered beside the wanted subprotocol",
    Cookie: "for the service's own pages, with an Origin that the server allows",
  },
  refusalStatuses: [401, 403, 404, 429, 503],
  protocols: [
    {
      subprotocol: null,
      send: "Any text: each is a user's message, whatever it looks like. Up to 8 wait for their turn.",
      receive: schemaOf("PlainFrame"),
    },
    { subprotocol, send: schemaOf("ClientFrame"), receive: schemaOf("ServerFrame") },
  ],
  closeCodes: {
    1000: "Closed as asked.",
    1001: "The service is restarting: connect again and resume.",
    1003: "A binary frame came; frames are text.",
    1008: "What came is not allowed.",
    1009: "What came is too large.",
    1011: "The service or the model provider failed.",
    1013: "The reader is too slow, or the service is overloaded: connect again and resume.",
    4401: "The token has expired or was revoked: sign in again.",
    4404: "There is no such session.",
  },
} as const;
