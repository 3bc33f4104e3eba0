import { AppError } from "../errors.ts";
import type { Session } from "../llm/session.ts";
import { foldTurn, streamTurn } from "./chat-response.ts";
import type { Call } from "./handler.ts";
import type { routes } from "./routes.ts";
import type { ChatResponse } from "./schemas.ts";

type ChatCall = Call<typeof routes.chat>;

/** POST /chat: the whole answer, or its frames as they come when the client accepts an event stream. */
export async function chat(call: ChatCall): Promise<ChatResponse | Response> {
  const { request, services } = call;
  const session = await findSession(call);
  const channel = services.chat.channel(session);
  const leaveAfter = channel.join();
  // An HTTP client that goes away does not come back, so there is no grace.
  const leave = once(() => leaveAfter(0));
  try {
    const start = await begin(call, session);
    const { signal } = request;
    const turn = { channel, sessionId: session.id, start, signal, leave };
    return acceptsEventStream(request) ? streamTurn(turn) : await foldTurn(turn);
  } catch (error) {
    leave();
    // The client is gone, so nobody reads this answer; 499 is nginx's word for it.
    if (request.signal.aborted) return new Response(null, { status: 499 });
    throw error;
  }
}

/** Begins the turn; a session that was made for it does not outlive a refusal. */
async function begin(
  { body, principal: { userId }, receivedAtMs, services }: ChatCall,
  { id: sessionId }: Session,
) {
  try {
    return await services.chat.start({
      userId,
      sessionId,
      request: { kind: "message", text: body.message },
      parameters: body.model_params,
      receivedAtMs,
    });
  } catch (error) {
    if (body.session_id === undefined) await services.sessions.delete(userId, sessionId);
    throw error;
  }
}

async function findSession({ body, principal, services }: ChatCall): Promise<Session> {
  const { userId } = principal;
  const { model_params: parameters = {}, session_id: id } = body;
  if (id !== undefined) {
    const session = await services.sessions.get(userId, id);
    services.catalog.checkOverrides(session.config, parameters, "model_params");
    return session;
  }
  const config = services.catalog.defaultConfig;
  const missing = services.catalog.missing(config, false);
  if (missing !== undefined) throw new AppError("provider_not_configured", missing);
  services.catalog.checkOverrides(config, parameters, "model_params");
  return services.sessions.create({ userId, config });
}

function acceptsEventStream(request: Request): boolean {
  return /\btext\/event-stream\b/i.test(request.headers.get("accept") ?? "");
}

function once(action: () => void): () => void {
  let isDone = false;
  return () => {
    if (isDone) return;
    isDone = true;
    action();
  };
}
