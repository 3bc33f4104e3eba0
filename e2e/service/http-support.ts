import assert from "node:assert/strict";
import { readFile, readdir } from "node:fs/promises";
import http from "node:http";
import type { IncomingHttpHeaders } from "node:http";
import { join } from "node:path";
import { buffer as readBuffer } from "node:stream/consumers";
import { Ajv2020, type ValidateFunction } from "ajv/dist/2020.js";

import { pathPattern } from "#lib/api/path-pattern.ts";
import { routes, type Route } from "#lib/api/routes.ts";
import { Problem } from "#lib/api/schemas.ts";
import type { LooseJson } from "../rig/client.ts";
import { startService, type ServiceOptions, type ServiceProcess } from "../rig/service-process.ts";

export type Sent = Readonly<{
  /** Left out: POST where there is a body, else GET. */
  method?: string;
  token?: string;
  /** Sent as JSON. */
  json?: unknown;
  /** Sent as application/x-www-form-urlencoded. */
  form?: Readonly<Record<string, string>> | string;
  /** Sent as it stands; in pieces, chunked. */
  raw?: string | Uint8Array | readonly Uint8Array[];
  headers?: Readonly<Record<string, string>>;
}>;

/** `body` is the parsed JSON, or the text where the answer is not JSON. */
export type Answer = Readonly<{
  status: number;
  headers: IncomingHttpHeaders;
  text: string;
  body: LooseJson;
}>;

/** Sends what fetch would refuse to send (any method, path, Host and body) and checks nothing. */
export async function send(origin: string, path: string, sent: Sent = {}): Promise<Answer> {
  const { type, body } = encode(sent);
  const { hostname, port } = new URL(origin);
  const request = http.request({
    hostname,
    port,
    path,
    method: sent.method ?? (body === undefined ? "GET" : "POST"),
    headers: {
      ...(sent.token !== undefined && { authorization: `Bearer ${sent.token}` }),
      ...(type !== undefined && { "content-type": type }),
      ...(!isPieces(body) && body !== undefined && { "content-length": Buffer.byteLength(body) }),
      ...sent.headers,
    },
  });
  const answered = new Promise<http.IncomingMessage>((resolve, reject) => {
    request.once("response", (response) => {
      // An answer that comes before the whole body was read may close the connection under it.
      request.on("error", () => {});
      resolve(response);
    });
    request.once("error", reject);
  });
  if (isPieces(body)) for (const piece of body) request.write(piece);
  request.end(isPieces(body) ? undefined : body);
  const response = await answered;
  const text = (await readBuffer(response)).toString();
  const isJson = /[/+]json/.test(response.headers["content-type"] ?? "") && text !== "";
  return {
    status: response.statusCode ?? 0,
    headers: response.headers,
    text,
    body: isJson ? JSON.parse(text) : text,
  };
}

function isPieces(body: Sent["raw"]): body is readonly Uint8Array[] {
  return Array.isArray(body);
}

function encode({ json, form, raw }: Sent): { type?: string; body?: Sent["raw"] } {
  if (json !== undefined) return { type: "application/json", body: JSON.stringify(json) };
  if (form !== undefined) {
    const body = typeof form === "string" ? form : new URLSearchParams(form).toString();
    return { type: "application/x-www-form-urlencoded", body };
  }
  return raw === undefined ? {} : { body: raw };
}

/** A running service whose every answer is held against the routes table and /openapi.json. */
export type Checked = AsyncDisposable &
  Readonly<{
    service: ServiceProcess;
    /** Sends and checks the answer's headers, media type and body by both schemas. */
    call: (path: string, sent?: Sent) => Promise<Answer>;
    /** Registers a user of this name, signs in, and returns the token. */
    newUser: (username: string) => Promise<string>;
    /** Makes a session (of the mock, unless the request says otherwise) and returns its id. */
    newSession: (token: string, request?: object) => Promise<string>;
    /** Asserts that the service answers and that nothing in its log says that it failed. */
    assertUnharmed: () => Promise<void>;
  }>;

/** Starts a service; disposing of what it returns ends it. */
export async function startChecked(options: ServiceOptions = {}): Promise<Checked> {
  const service = await startService(options);
  const checkAnswer = await loadContract(service.origin);
  const call: Checked["call"] = async (path, sent = {}) => {
    const answer = await send(service.origin, path, sent);
    checkAnswer(sent, path, answer);
    return answer;
  };
  const signIn = async (form: Readonly<Record<string, string>>) => {
    const { body } = await call("/token", { form });
    return body.access_token as string;
  };
  return {
    service,
    call,
    newUser: async (username) => {
      const account = { username, password: `the password of ${username}` };
      assert.equal((await call("/register", { json: account })).status, 201);
      return signIn(account);
    },
    newSession: async (token, request = { model_name: "echo", provider: "mock" }) => {
      const { body, status } = await call("/set-llm", { token, json: request });
      assert.equal(status, 200, JSON.stringify(body));
      return body.session_id as string;
    },
    assertUnharmed: async () => {
      assert.equal((await call("/health")).status, 200);
      assert.equal(
        service.output.split("\n").find((line) => failureInLog.test(line)),
        undefined,
      );
    },
    [Symbol.asyncDispose]: () => service[Symbol.asyncDispose](),
  };
}

/** The log of a failed turn names what the provider's client threw, which is no failure of ours. */
const failureInLog =
  /internal_error|"page-failed"|unhandled|uncaught|(?<!"turn-failed".*)(TypeError|RangeError)/i;

/** Signs in as local mode's own user. */
export async function demonstrationToken({ call }: Checked): Promise<string> {
  const form = { username: "testuser", password: "password" };
  return (await call("/token", { form })).body.access_token as string;
}

/** Everything that the service has written into its data folder, byte for byte as latin1. */
export async function storedBytes(dataDir: string): Promise<string> {
  const names = await readdir(dataDir);
  const files = await Promise.all(names.map((name) => readFile(join(dataDir, name), "latin1")));
  return files.join("\n");
}

type CheckAnswer = (sent: Sent, path: string, answer: Answer) => void;

/** Reads the published document once and compiles its schemas as they are needed. */
async function loadContract(origin: string): Promise<CheckAnswer> {
  const { body: document } = await send(origin, "/openapi.json");
  const keywords = ["components", "paths", "example"];
  const ajv = new Ajv2020({ keywords, formats: { "date-time": true } });
  ajv.addSchema({ components: document.components, paths: document.paths }, "api");
  const compiled = new Map<string, ValidateFunction>();
  const validatorOf = (pointer: readonly string[]) => {
    const reference = `api#/${pointer.map(escapePointer).join("/")}`;
    const validate = compiled.get(reference) ?? ajv.compile({ $ref: reference });
    compiled.set(reference, validate);
    return validate;
  };
  return (sent, path, answer) => {
    const method = sent.method ?? (encode(sent).body === undefined ? "GET" : "POST");
    const label = `${method} ${path.slice(0, 200)}: ${answer.status} ${answer.text.slice(0, 500)}`;
    assertCommonHeaders(answer, label);
    const route = findRoute(method, path.split("?", 1)[0] ?? "");
    if (!route) return assertProblem(answer, label);
    const responses = document.paths[route.path][route.method.toLowerCase()].responses;
    const response = responses[answer.status];
    assert.ok(response, `undocumented status: ${label}`);
    assertBody(route, answer, { response, label, validatorOf });
  };
}

type Documented = Readonly<{
  response: LooseJson;
  label: string;
  validatorOf: (pointer: readonly string[]) => ValidateFunction;
}>;

function assertBody(route: Route, answer: Answer, { response, label, validatorOf }: Documented) {
  const isSuccess = answer.status === route.success.status;
  const type = answer.headers["content-type"]?.split(";", 1)[0];
  if (type === undefined) {
    assert.equal(answer.text, "", label);
    assert.equal(response.content, undefined, label);
    return;
  }
  assert.ok(response.content?.[type], `undocumented media type ${type}: ${label}`);
  if (!type.endsWith("json")) return;
  const place = ["paths", route.path, route.method.toLowerCase(), "responses"];
  const validate = validatorOf([...place, String(answer.status), "content", type, "schema"]);
  assert.ok(validate(answer.body), `${label}\n${JSON.stringify(validate.errors)}`);
  if (isSuccess) route.success.schema?.parse(answer.body);
  else if (type === "application/problem+json") assertProblem(answer, label);
}

/** A refusal as RFC 9457 writes it, or nothing to check where the answer is a success. */
function assertProblem(answer: Answer, label: string): void {
  if (answer.status < 400) return;
  assert.equal(answer.headers["content-type"], "application/problem+json", label);
  assert.equal(Problem.parse(answer.body).status, answer.status, label);
  assert.doesNotMatch(answer.text, /node_modules|\.ts:\d|\bat \w+ \(|sqlite/i, label);
}

function assertCommonHeaders({ headers, status }: Answer, label: string): void {
  assert.match(headers["cache-control"] ?? "", /\bno-store\b/, label);
  assert.match(String(headers["x-request-id"]), /^[0-9A-Z]{26}$/, label);
  assert.match(String(headers["server-timing"]), /^total;dur=\d+(\.\d+)?$/, label);
  assert.equal(headers["x-content-type-options"], "nosniff", label);
  assert.ok(headers["referrer-policy"], label);
  assert.equal(headers["x-powered-by"], undefined, label);
  if (status === 401) assert.match(headers["www-authenticate"] ?? "", /^Bearer\b/, label);
  if (status === 503) assert.match(headers["retry-after"] ?? "", /^\d+$/, label);
}

function findRoute(method: string, path: string): Route | undefined {
  return Object.values<Route>(routes).find(
    (route) => route.method === method && pathPattern(route.path).test(path),
  );
}

function escapePointer(part: string): string {
  return encodeURIComponent(part.replaceAll("~", "~0").replaceAll("/", "~1"));
}
