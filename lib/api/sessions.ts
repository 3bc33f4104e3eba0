import { AppError } from "../errors.ts";
import { toPublicConfig, type Session } from "../llm/session.ts";
import type { Services } from "../services.ts";
import type { Call } from "./handler.ts";
import type { routes } from "./routes.ts";
import type * as wire from "./schemas.ts";

/** What a session is called until its first message or its owner names it. */
const untitled = "New chat";

/** A session as its owner sees it. */
export function toWireSession(session: Session, { chat }: Services): wire.Session {
  return {
    id: session.id,
    title: session.title ?? untitled,
    config: toPublicConfig(session),
    created_at: new Date(session.createdAtMs).toISOString(),
    updated_at: new Date(session.updatedAtMs).toISOString(),
    last_seq: chat.lastSeq(session),
    running: chat.isRunning(session.id),
  };
}

/** GET /sessions */
export async function listSessions({
  query: { q, ...page },
  principal,
  services,
}: Call<typeof routes.listSessions>): Promise<wire.SessionList> {
  const { userId } = principal;
  const found = await services.sessions.list({ userId, search: q, ...page });
  return {
    data: found.sessions.map(({ session, match }) => {
      const { config, ...summary } = toWireSession(session, services);
      return {
        ...summary,
        provider: config.provider,
        model_name: config.model_name,
        ...(match !== undefined && { match }),
      };
    }),
    next_cursor: found.nextCursor,
  };
}

/** GET /sessions/{id} */
export async function getSession(call: Call<typeof routes.getSession>): Promise<wire.Session> {
  return toWireSession(await own(call), call.services);
}

/** PATCH /sessions/{id} */
export async function updateSession({
  body,
  id,
  principal,
  services,
}: Call<typeof routes.updateSession>): Promise<wire.Session> {
  return toWireSession(await services.sessions.rename(principal.userId, id, body.title), services);
}

/** DELETE /sessions/{id} */
export async function deleteSession(call: Call<typeof routes.deleteSession>): Promise<undefined> {
  const { principal, services } = call;
  const session = await own(call);
  await services.chat.end(session.id);
  await services.sessions.delete(principal.userId, session.id);
  services.chat.forget(session.id);
}

/** GET /sessions/{id}/messages */
export async function listMessages(
  call: Call<typeof routes.listMessages>,
): Promise<wire.MessageList> {
  const page = await call.services.messages.page(await own(call), call.query);
  return { data: [...page.messages], next_cursor: page.nextCursor };
}

/** POST /sessions/{id}/stop */
export async function stopSession(
  call: Call<typeof routes.stopSession>,
): Promise<wire.StopResponse> {
  const session = await own(call);
  return { stopped: call.services.chat.stop(session.id) };
}

/** POST /sessions/{id}/fork: the copy has the configuration, and the messages up to the one named. */
export async function forkSession(call: Call<typeof routes.forkSession>): Promise<wire.Session> {
  const { body, principal, services } = call;
  const original = await own(call);
  if (services.chat.isRunning(original.id)) throw new AppError("turn_in_progress");
  const rows = await services.messages.all(original);
  const last = body.message_id ? rows.findIndex(({ id }) => id === body.message_id) : rows.length;
  if (last === -1) throw new AppError("not_found", "That message is not in this conversation.");
  const { sealedApiKey } = original;
  const copy = await services.sessions.create({
    userId: principal.userId,
    config: original.config,
    title: body.title ?? original.title ?? undefined,
    ...(sealedApiKey !== null && {
      sealApiKey: async (id: string) =>
        services.sealer.seal(await services.sealer.open(sealedApiKey, original.id), id),
    }),
  });
  await services.messages.copyInto(copy, rows.slice(0, last + 1));
  return toWireSession(copy, services);
}

function own(call: Readonly<{ id: string; principal: { userId: string }; services: Services }>) {
  return call.services.sessions.get(call.principal.userId, call.id);
}
