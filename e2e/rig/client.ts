import type { ClientRequest, IncomingHttpHeaders, IncomingMessage } from "node:http";
import { text as readText } from "node:stream/consumers";

import { WebSocket } from "ws";

import { TestSocket } from "./test-socket.ts";

export { readServerSentEvents } from "./server-sent-events.ts";
export type { ServerSentEvent } from "./server-sent-events.ts";
export type { Frame, SocketClosed, TestSocket } from "./test-socket.ts";

/** Signs in by POST /token, by default as local mode's own user; throws where that is refused. */
export async function login(
  origin: string,
  username = "testuser",
  password = "password",
): Promise<string> {
  const response = await fetch(`${origin}/token`, {
    method: "POST",
    body: new URLSearchParams({ username, password }),
  });
  const text = await response.text();
  if (!response.ok) throw new Error(`POST /token answered ${response.status}: ${text}`);
  return (JSON.parse(text) as { access_token: string }).access_token;
}

/** `body` is parsed JSON where the answer says it is JSON, else its text. */
export type ApiAnswer = Readonly<{ status: number; headers: Headers; body: LooseJson }>;

// Tests read whatever fields the contract names, and a wrong one fails the assertion.
// oxlint-disable-next-line typescript/no-explicit-any
export type LooseJson = any;

export type ApiRequestOptions = Readonly<{
  headers?: Readonly<Record<string, string>>;
  signal?: AbortSignal;
}>;

/** Calls the service as one user, or as nobody without a token. */
export type Api = Readonly<{
  /** Sends JSON (no body where it is undefined; a string as it stands) and reads the whole answer. */
  json: (
    method: string,
    path: string,
    ...rest: [body?: unknown, options?: ApiRequestOptions]
  ) => Promise<ApiAnswer>;
  /** Sends JSON with `Accept: text/event-stream` and returns at the headers. */
  stream: (
    method: string,
    path: string,
    ...rest: [body?: unknown, options?: ApiRequestOptions]
  ) => Promise<Response>;
}>;

export function api(origin: string, token?: string): Api {
  const send: Api["stream"] = (method, path, body, options = {}) =>
    fetch(`${origin}${path}`, {
      method,
      redirect: "manual",
      signal: options.signal,
      headers: {
        ...(token !== undefined && { authorization: `Bearer ${token}` }),
        ...(body !== undefined && { "content-type": "application/json" }),
        ...options.headers,
      },
      body: typeof body === "string" || body === undefined ? body : JSON.stringify(body),
    });
  return {
    async json(method, path, body, options) {
      const response = await send(method, path, body, options);
      const { status, headers } = response;
      return {
        status,
        headers,
        body: parseBody(await response.text(), headers.get("content-type")),
      };
    },
    stream: (method, path, body, options) =>
      send(method, path, body, {
        ...options,
        headers: { accept: "text/event-stream", ...options?.headers },
      }),
  };
}

function parseBody(text: string, type: string | null | undefined): LooseJson {
  return /[/+]json/.test(type ?? "") && text !== "" ? JSON.parse(text) : text;
}

export type SocketOptions = Readonly<{
  /** Sent as `Authorization: Bearer`. */
  token?: string;
  /** Subprotocols to offer. */
  protocol?: string | readonly string[];
  /** The `Origin` header; Node sends none of its own. */
  origin?: string;
  headers?: Readonly<Record<string, string>>;
}>;

/** Opens a WebSocket (`origin` may be the http or the ws one); throws with the answer where it is refused. */
export async function openSocket(
  origin: string,
  path: string,
  options: SocketOptions = {},
): Promise<TestSocket> {
  const socket = dial(origin, path, options);
  const tested = new TestSocket(socket);
  const refusal = await new Promise<RefusedUpgrade | undefined>((resolve, reject) => {
    socket.once("open", () => resolve(undefined));
    socket.on("error", reject);
    onRefusal(socket, resolve, reject);
  });
  if (refusal) {
    throw new Error(`${path} was refused: ${refusal.status} ${JSON.stringify(refusal.body)}`);
  }
  return tested;
}

/** The HTTP answer to an upgrade that was refused; `body` as {@link ApiAnswer} has it. */
export type RefusedUpgrade = Readonly<{
  status: number;
  headers: IncomingHttpHeaders;
  body: LooseJson;
}>;

/** Tries to open a WebSocket and returns how it was refused; throws where it was let in. */
export async function openRefused(
  origin: string,
  path: string,
  options: SocketOptions = {},
): Promise<RefusedUpgrade> {
  const socket = dial(origin, path, options);
  return new Promise((resolve, reject) => {
    onRefusal(socket, resolve, reject);
    socket.on("error", reject);
    socket.once("open", () => {
      socket.terminate();
      reject(new Error(`${path} was not refused`));
    });
  });
}

function dial(origin: string, path: string, options: SocketOptions): WebSocket {
  const { token, protocol = [], headers, origin: originHeader } = options;
  const protocols = typeof protocol === "string" ? [protocol] : [...protocol];
  return new WebSocket(`${origin.replace(/^http/, "ws")}${path}`, protocols, {
    perMessageDeflate: false,
    headers: {
      ...(token !== undefined && { authorization: `Bearer ${token}` }),
      ...(originHeader !== undefined && { origin: originHeader }),
      ...headers,
    },
  });
}

function onRefusal(
  socket: WebSocket,
  resolve: (refusal: RefusedUpgrade) => void,
  reject: (error: Error) => void,
): void {
  socket.once("unexpected-response", (request: ClientRequest, response: IncomingMessage) => {
    readText(response)
      .then((text) => {
        const body = parseBody(text, response.headers["content-type"]);
        resolve({ status: response.statusCode ?? 0, headers: response.headers, body });
      })
      .catch(reject)
      .finally(() => request.destroy());
  });
}
