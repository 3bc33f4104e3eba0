import { toMessage } from "../llm/session.ts";
import type { Call } from "./handler.ts";
import type { routes } from "./routes.ts";
import type { Message, SessionExport } from "./schemas.ts";
import { toWireSession } from "./sessions.ts";

const speakers: Readonly<Record<Message["role"], string>> = { user: "You", assistant: "Assistant" };

/** GET /sessions/{id}/export: the shown conversation as a download, JSON or Markdown. */
export async function exportSession({
  id,
  principal,
  query,
  services,
}: Call<typeof routes.exportSession>): Promise<Response> {
  const session = await services.sessions.get(principal.userId, id);
  const rows = await services.messages.all(session);
  const { last_seq: _lastSeq, running: _running, ...wire } = toWireSession(session, services);
  const exported: SessionExport = {
    version: 1,
    exported_at: new Date().toISOString(),
    session: wire,
    messages: rows.map(toMessage),
  };
  const isMarkdown = query.format === "md";
  const body = isMarkdown ? toMarkdown(exported) : JSON.stringify(exported, null, 2);
  return new Response(body, {
    headers: {
      "content-type": isMarkdown ? "text/markdown; charset=utf-8" : "application/json",
      "content-disposition": `attachment; filename="${id}.${query.format}"`,
    },
  });
}

function toMarkdown({ session, messages, exported_at }: SessionExport): string {
  const head = `# ${session.title}\n\n*${session.config.model_name}, exported ${exported_at}*\n`;
  return [head, ...messages.map(toSection)].join("\n");
}

function toSection({ role, content, status, model }: Message): string {
  const speaker = model === undefined ? speakers[role] : `${speakers[role]} (${model})`;
  const mark = status === "complete" ? "" : `\n*(${status})*\n`;
  return `## ${speaker}\n\n${content}\n${mark}`;
}
