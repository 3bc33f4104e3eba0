import { webSocketContract } from "../ws/contract.ts";
import { frameSchemasPath } from "../ws/frame-schemas.ts";
import { subprotocol } from "../ws/frames.ts";

/** The opening text of the interactive reference, in Markdown: first steps, errors, the WebSocket. */
export const apiDescription = `
Sessions with language models over HTTP, with answers whole or as server-sent events, and over a
WebSocket. Get a token from \`POST /token\` (or press **Authorize**), make a session with
\`POST /set-llm\`, then talk to it with \`POST /chat\` or on \`/ws/{session_id}\`.

Errors are \`application/problem+json\` (RFC 9457): go by \`code\`, show \`detail\`; \`errors\` names each
refused field. Lists come in pages: pass \`next_cursor\` as \`cursor\` until it is null. Every answer
has \`X-Request-Id\`, which the server's log knows, and \`Server-Timing\`.

## WebSocket

${table("address", "what it does", webSocketContract.paths)}

A connection is authenticated before the upgrade, by one of the headers below; a refusal is an HTTP
answer (${webSocketContract.refusalStatuses.join(", ")}).

${table("header", "for whom", webSocketContract.authentication)}

**Plain, without a subprotocol.** Send text: each is a user's message. Get \`{"chunk": "..."}\` for
each piece of the answer, then \`{"done": true, "finish_reason": "stop", "message_id": "...",
"usage": {...}}\`; on failure \`{"error": "...", "code": "..."}\`.

**Subprotocol \`${subprotocol}\`.** JSON frames both ways. In: \`message\`, \`stop\`, \`resume\`,
\`regenerate\`, \`edit\`, \`ping\`. Out: the numbered frames of turns, so that a reader that lost its
connection resumes after the last \`seq\` it has and gets every frame once.

The JSON Schemas of all frames are at [${frameSchemasPath}](${frameSchemasPath}).

${table("close code", "meaning", webSocketContract.closeCodes)}
`.trim();

function table(left: string, right: string, rows: Readonly<Record<string, string>>): string {
  const lines = Object.entries(rows).map(([name, meaning]) => `| \`${name}\` | ${meaning} |`);
  return [`| ${left} | ${right} |`, "| --- | --- |", ...lines].join("\n");
}
