import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { after, beforeEach } from "node:test";
import { z } from "zod";
import { MessageList, type Message } from "#lib/api/schemas.ts";
import { TokenService } from "#lib/auth/token.ts";
import { PlainFrame, ServerFrame, SessionFrame, subprotocol } from "#lib/ws/frames.ts";
import { api, openSocket, type Api, type Frame, type TestSocket } from "../rig/client.ts";
import { startScriptedProvider, type ScriptedProvider } from "../rig/scripted-provider.ts";
import { startService, type ServiceProcess } from "../rig/service-process.ts";

/** The settings of the acceptance list: short, so that tests need not wait. */
export const limits = {
  heartbeatMs: 1000,
  firstTokenMs: 2000,
  chunkMs: 2000,
  graceMs: 2000,
  shutdownMs: 5000,
} as const;

/** What every service of these tests signs its tokens with. */
export const secretKey = randomBytes(48).toString("base64url");

export const defaultModel = "scripted";

/** A service and the scripted provider that answers for it. */
export type Stack = Readonly<{ service: ServiceProcess; provider: ScriptedProvider }>;

/** The environment of a service whose default model is the provider's. */
export function stackEnv(provider: ScriptedProvider): Record<string, string> {
  return {
    SECRET_KEY: secretKey,
    LLM_PROVIDER: "openai-compatible",
    LLM_BASE_URL: provider.baseUrl,
    LLM_MODEL: defaultModel,
    LLM_ALLOWED_HOSTS: provider.host,
    HEARTBEAT_INTERVAL_MS: String(limits.heartbeatMs),
    FIRST_TOKEN_TIMEOUT_MS: String(limits.firstTokenMs),
    CHUNK_TIMEOUT_MS: String(limits.chunkMs),
    RESUME_GRACE_MS: String(limits.graceMs),
    SHUTDOWN_TIMEOUT_MS: String(limits.shutdownMs),
  };
}

/**
 * Starts a stack for all tests of a file; the provider is empty at the start of each. When they are
 * over, the service must still be well and must not have logged a failure of its own.
 */
export async function startStack(env: Readonly<Record<string, string>> = {}): Promise<Stack> {
  const provider = await startScriptedProvider();
  const service = await startService({ env: { ...stackEnv(provider), ...env } });
  beforeEach(() => provider.reset());
  after(async () => {
    try {
      await assertWell(service);
    } finally {
      await service[Symbol.asyncDispose]();
      await provider[Symbol.asyncDispose]();
    }
  });
  return { service, provider };
}

/** The process lives, answers, and its log has neither a failure nor a refused connection. */
export async function assertWell(service: ServiceProcess): Promise<void> {
  const health = await fetch(`${service.origin}/health`, { signal: AbortSignal.timeout(1000) });
  assert.equal(health.status, 200);
  assert.doesNotMatch(service.output, /unhandled|uncaught|warning:|loopback-guard/i);
  const failures = service.output.split("\n").filter((line) => line.includes('"level":"error"'));
  const own = failures.filter((line) => !/"code":"(upstream_\w+|shutting_down)"/.test(line));
  assert.deepEqual(own, []);
}

/** One account, signed in. */
export type User = Readonly<{
  id: string;
  username: string;
  password: string;
  token: string;
  api: Api;
}>;

/** Registers an account of its own for a test. */
export async function newUser({ origin }: ServiceProcess): Promise<User> {
  const username = `user-${randomBytes(6).toString("hex")}`;
  const password = randomBytes(12).toString("hex");
  const registered = await api(origin).json("POST", "/register", { username, password });
  assert.equal(registered.status, 201);
  const id = String(registered.body.id);
  const token = await tokenFor({ id, username });
  return { id, username, password, token, api: api(origin, token) };
}

/** Signs a token as the service does, with a lifetime and a sign-in of one's choice. */
export async function tokenFor(
  { id, username }: Pick<User, "id" | "username">,
  { lifetimeSeconds = 600, secret = secretKey, signInId }: TokenOptions = {},
): Promise<string> {
  const tokens = new TokenService({ secret, lifetimeSeconds });
  const subject = { userId: id, username, tokenVersion: 0 };
  const issued = await tokens.issue({ ...subject, ...(signInId !== undefined && { signInId }) });
  return issued.accessToken;
}

type TokenOptions = Readonly<{ lifetimeSeconds?: number; secret?: string; signInId?: string }>;

/** Makes a session by POST /set-llm and returns its id. */
export async function newSession(user: User, model: string = defaultModel): Promise<string> {
  const { status, body } = await user.api.json("POST", "/set-llm", { model_name: model });
  assert.equal(status, 200, JSON.stringify(body));
  return String(body.session_id);
}

/** The conversation as GET /sessions/{id}/messages tells it. */
export async function history(user: User, sessionId: string): Promise<Message[]> {
  const { status, body } = await user.api.json("GET", `/sessions/${sessionId}/messages?limit=200`);
  assert.equal(status, 200, JSON.stringify(body));
  return MessageList.parse(body).data;
}

/** Asks again until the conversation is as wanted; for what a crash-safe service writes by itself. */
export async function historyOnce(
  user: User,
  sessionId: string,
  isWanted: (messages: Message[]) => boolean,
): Promise<Message[]> {
  const deadlineMs = performance.now() + 10_000;
  for (;;) {
    const messages = await history(user, sessionId);
    if (isWanted(messages)) return messages;
    assert.ok(performance.now() < deadlineMs, `The history stays ${JSON.stringify(messages)}`);
  }
}

/** Opens `/ws/{sessionId}` without a subprotocol; each frame is checked against the schema. */
export async function openPlain(
  { wsOrigin }: ServiceProcess,
  user: User,
  sessionId = "new",
): Promise<TestSocket> {
  const socket = await openSocket(wsOrigin, `/ws/${sessionId}`, { token: user.token });
  return checked(socket, PlainFrame);
}

/** Opens `/ws/{sessionId}` with llm-service.v1; each frame is checked against the schema. */
export async function openV1(
  { wsOrigin }: ServiceProcess,
  user: Pick<User, "token">,
  sessionId = "new",
): Promise<TestSocket> {
  const path = `/ws/${sessionId}`;
  const socket = await openSocket(wsOrigin, path, { token: user.token, protocol: subprotocol });
  return checked(socket, sessionId === "new" ? z.union([ServerFrame, SessionFrame]) : ServerFrame);
}

/** Like {@link openV1}, and says at once what this reader has. */
export async function resumeV1(
  service: ServiceProcess,
  user: Pick<User, "token">,
  sessionId: string,
  lastSeq: number,
): Promise<TestSocket> {
  const socket = await openV1(service, user, sessionId);
  socket.send({ type: "resume", after: lastSeq });
  return socket;
}

/** A frame that the schema does not describe to its last field fails the test that is running. */
function checked(socket: TestSocket, schema: z.ZodType): TestSocket {
  const check = (frame: Frame) => assert.deepEqual(schema.parse(frame), frame);
  socket.frames.forEach(check);
  let next = socket.frames.length;
  socket.raw.on("message", () => {
    for (const frame of socket.frames.slice(next)) check(frame);
    next = socket.frames.length;
  });
  return socket;
}

/** Whether the frame ends a turn, or says that none began. */
export function isTerminal({ type }: Frame): boolean {
  return type === "turn-end" || type === "turn-error";
}

/** Matches frames by their fields. */
export function like(wanted: Partial<Frame>): (frame: Frame) => boolean {
  const fields = Object.entries(wanted);
  return (frame) => fields.every(([name, value]) => frame[name] === value);
}

/** The numbered frames, those of turns. */
export function numbered(frames: readonly Frame[]): Frame[] {
  return frames.filter(({ seq }) => seq !== undefined);
}

/** The answer's text that the frames of either protocol carry. */
export function textOf(frames: readonly Frame[]): string {
  const isText = ({ type, chunk }: Frame) => type === "text-delta" || chunk !== undefined;
  return frames
    .filter(isText)
    .map(({ text, chunk }) => text ?? chunk)
    .join("");
}

/** Asserts that the numbered frames are one unbroken sequence, each once. */
export function assertContiguous(frames: readonly Frame[], firstSeq?: number): void {
  const seqs = numbered(frames).map(({ seq }) => seq);
  const first = firstSeq ?? seqs[0] ?? 0;
  assert.deepEqual(
    seqs,
    seqs.map((_, index) => first + index),
  );
}

/** Sends a message and returns the turn's frames to its last. */
export async function takeTurn(socket: TestSocket, text: string): Promise<Frame[]> {
  const before = socket.frames.length;
  socket.send({ type: "message", text });
  await socket.next(isTerminal);
  return socket.frames.slice(before).filter(({ seq }) => seq !== undefined);
}

/** Resolves when the service has read what was sent on the socket so far. */
export async function arrived({ raw }: TestSocket): Promise<void> {
  const pong = once(raw, "pong");
  raw.ping();
  await pong;
}

/** Resolves to how many milliseconds the promise took. */
export async function timed(promise: Promise<unknown>): Promise<number> {
  const since = performance.now();
  await promise;
  return performance.now() - since;
}
