import { AppError } from "../errors.ts";
import { foldTurn, streamTurn } from "./chat-response.ts";
import type { Call } from "./handler.ts";
import type { routes } from "./routes.ts";
import type { ChatResponse } from "./schemas.ts";

type ChatCall = Call<typeof routes.chat>;

/** POST /chat: the whole answer, or its frames as they come when the client accepts an event stream. */
export async function chat(call: ChatCall): Promise<ChatResponse | Response> {
  const { body, principal, receivedAtMs, request, services } = call;
  const session = await findSession(call);
  const channel = services.chat.channel(session);
  const leaveAfter = channel.join();
  // An HTTP client that goes away does not come back, so there is no grace.
  const leave = once(() => leaveAfter(0));
  try {
    const start = await services.chat.start({
      userId: principal.userId,
      sessionId: session.id,
      request: { kind: "message", text: body.message },
      parameters: body.model_params,
      receivedAtMs,
    });
    const { signal } = request;
    const turn = { channel, sessionId: session.id, start, signal, leave };
    return acceptsEventStream(request) ? streamTurn(turn) : await foldTurn(turn);
  } catch (error) {
    leave();
    throw error;
  }
}

function findSession({ body, principal, services }: ChatCall) {
  const { userId } = principal;
  if (body.session_id !== undefined) return services.sessions.get(userId, body.session_id);
  const config = services.catalog.defaultConfig;
  const missing = services.catalog.missing(config, false);
  if (missing !== undefined) throw new AppError("provider_not_configured", missing);
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
