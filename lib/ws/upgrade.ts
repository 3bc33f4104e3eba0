import { STATUS_CODES, type IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import { WebSocketServer, type ServerOptions, type WebSocket } from "ws";
import { pathOf, toHeaders } from "../api/node-request.ts";
import { errorHeaders, toProblem } from "../api/problem.ts";
import { Ulid } from "../api/schemas.ts";
import type { Principal } from "../auth/authenticate.ts";
import { AppError, errorTable, toAppError } from "../errors.ts";
import { logError } from "../log.ts";
import type { Session } from "../llm/session.ts";
import type { Services } from "../services.ts";
import { closeWith } from "./close-with.ts";
import { Connection } from "./connection.ts";
import { subprotocol, type PlainFrame } from "./frames.ts";
import { startHeartbeat } from "./heartbeat.ts";
import { PlainConnection } from "./plain-connection.ts";
import { SocketWriter } from "./socket-writer.ts";

const pathPattern = /^\/ws\/([^/]+)$/;
const tokenProtocolPrefix = "bearer.";
const maxTimerMs = 2 ** 31 - 1;
/** How long a peer may take to answer a close before its connection is cut. */
const closeTimeoutMs = 1000;

export type WebSocketDoor = Readonly<{
  /** Takes an upgrade request of any path; what is not ours or not allowed gets an HTTP answer. */
  upgrade: (request: IncomingMessage, socket: Duplex, head: Buffer) => void;
  /** Closes every socket with 1001 and stops the heartbeat. */
  close: () => void;
}>;

/** Opens `/ws/{session_id}` and `/ws/new`: everything is checked before the 101 (RFC 6455, section 4.2). */
export function createWebSocketDoor(services: Services): WebSocketDoor {
  const { env } = services;
  // The types of ws do not know closeTimeout yet.
  const options: ServerOptions & { closeTimeout: number } = {
    noServer: true,
    maxPayload: env.MAX_MESSAGE_BYTES,
    perMessageDeflate: false,
    closeTimeout: closeTimeoutMs,
    handleProtocols: chooseProtocol,
  };
  const server = new WebSocketServer(options);
  const stopHeartbeat = startHeartbeat(server, env.HEARTBEAT_INTERVAL_MS);
  return {
    upgrade: (request, socket, head) => {
      const onError = () => socket.destroy();
      socket.on("error", onError);
      admit(services, request).then(
        (admitted) => {
          socket.off("error", onError);
          if (socket.destroyed) return;
          server.handleUpgrade(request, socket, head, (webSocket) => {
            server.emit("connection", webSocket, request);
            serve(services, webSocket, socket, admitted);
          });
        },
        (error: unknown) => refuse(socket, toAppError(error)),
      );
    },
    close: () => {
      stopHeartbeat();
      for (const webSocket of server.clients) closeWith(webSocket, "shutting_down");
    },
  };
}

type Admitted = Readonly<{ principal: Principal; session: Session; isNew: boolean }>;

async function admit(services: Services, request: IncomingMessage): Promise<Admitted> {
  const { authenticator, catalog, lifecycle, origins, sessions } = services;
  if (lifecycle.draining) throw new AppError("shutting_down");
  const id = pathPattern.exec(pathOf(request))?.[1];
  if (id === undefined) throw new AppError("not_found");
  const headers = toHeaders(request);
  origins.checkLocalMode(headers);
  const token = offeredProtocols(request).find((name) => name.startsWith(tokenProtocolPrefix));
  const principal = await authenticator.authenticate({
    headers,
    mustBeSameOrigin: true,
    ...(token !== undefined && { token: token.slice(tokenProtocolPrefix.length) }),
  });
  if (id === "new") {
    const session = await sessions.create({
      userId: principal.userId,
      config: catalog.defaultConfig,
    });
    return { principal, session, isNew: true };
  }
  if (!Ulid.safeParse(id).success) throw new AppError("not_found");
  return { principal, session: await sessions.get(principal.userId, id), isNew: false };
}

function serve(
  services: Services,
  webSocket: WebSocket,
  socket: Duplex,
  { principal, session, isNew }: Admitted,
): void {
  const { authenticator, chat, env, messages } = services;
  const closed = new AbortController();
  const channel = chat.channel(session);
  const leave = channel.join();
  let graceMs = env.RESUME_GRACE_MS;
  const expiry = setTimeout(
    () => closeWith(webSocket, "token_expired"),
    Math.min(principal.expiresAtMs - Date.now(), maxTimerMs),
  );
  const forget = authenticator.onRevoked(({ signInId }) => {
    if (signInId !== principal.signInId) return;
    graceMs = 0;
    closeWith(webSocket, "token_expired");
  });
  const close = () => closeWith(webSocket, "not_found");
  channel.deleted.addEventListener("abort", close);
  // An oversized or malformed frame: ws has sent the right close code, the process must not fall.
  webSocket.on("error", () => {});
  webSocket.on("close", () => {
    clearTimeout(expiry);
    forget();
    channel.deleted.removeEventListener("abort", close);
    closed.abort();
    leave(graceMs);
  });
  const writer = new SocketWriter(webSocket, socket, env.MAX_BUFFERED_BYTES);
  const options = {
    webSocket,
    writer,
    channel,
    chat,
    messages,
    signal: closed.signal,
    userId: principal.userId,
    sessionId: session.id,
  };
  if (isNew) writer.send({ session_id: session.id } satisfies PlainFrame);
  if (webSocket.protocol === subprotocol) new Connection(options).open();
  else new PlainConnection(options).open();
}

/** Our protocol when it is offered; else the one that carries the token, because a browser insists on an answer. */
function chooseProtocol(offered: Set<string>): string | false {
  if (offered.has(subprotocol)) return subprotocol;
  return [...offered].find((name) => name.startsWith(tokenProtocolPrefix)) ?? false;
}

function offeredProtocols(request: IncomingMessage): string[] {
  return (request.headers["sec-websocket-protocol"] ?? "").split(",").map((name) => name.trim());
}

function refuse(socket: Duplex, error: AppError): void {
  if (error.code === "internal_error") logError("upgrade-failed", error);
  if (!socket.writable) return void socket.destroy();
  const { status } = errorTable[error.code];
  const body = JSON.stringify(toProblem(error));
  const headers = {
    connection: "close",
    "content-type": "application/problem+json",
    "content-length": Buffer.byteLength(body),
    "cache-control": "no-store",
    ...errorHeaders(error),
  };
  // The server's sockets stay half open by themselves, for as long as the peer likes.
  socket.once("finish", () => socket.destroy());
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  socket.end(`HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\n${lines.join("")}\r\n${body}`);
}
