import { ulid } from "ulid";
import type { z } from "zod";
import type { Principal } from "../auth/authenticate.ts";
import { AppError, errorTable, toAppError } from "../errors.ts";
import { logError } from "../log.ts";
import { services, type Services } from "../services.ts";
import { finishResponse } from "./finish-response.ts";
import { pathPattern } from "./path-pattern.ts";
import { toProblemResponse } from "./problem.ts";
import { readBody } from "./read-body.ts";
import type { Route } from "./routes.ts";
import { Ulid } from "./schemas.ts";
import { validate } from "./validate.ts";

type Parsed<S> = S extends z.ZodType ? z.output<S> : undefined;
type BodyOf<R extends Route> = R extends { body: { schema: infer S } } ? Parsed<S> : undefined;
type QueryOf<R extends Route> = R extends { query: infer S } ? Parsed<S> : undefined;
type AnswerOf<R extends Route> = R extends { success: { schema: infer S } } ? Parsed<S> : undefined;

/** What a handler gets: everything is checked by the time it runs. */
export type Call<R extends Route> = Readonly<{
  request: Request;
  body: BodyOf<R>;
  query: QueryOf<R>;
  /** The id in the path; empty where the path has none. */
  id: string;
  principal: R["auth"] extends true ? Principal : undefined;
  services: Services;
  receivedAtMs: number;
}>;

export type HandlerOptions = Readonly<{
  /** How this route writes its errors; left out: as problem documents. */
  encodeError?: (error: AppError) => Response;
}>;

/**
 * Makes a Web handler from a row of the contract: it authenticates, reads and validates, calls
 * `respond` and encodes what that returns or throws. Never throws itself.
 *
 * It depends on nothing of its server, so the same function serves our dispatcher and Next.
 */
export function handler<const R extends Route>(
  route: R,
  respond: (call: Call<R>) => Promise<AnswerOf<R> | Response>,
  { encodeError = toProblemResponse }: HandlerOptions = {},
): (request: Request) => Promise<Response> {
  const pattern = pathPattern(route.path);
  return async (request) => {
    const receivedAtMs = performance.now();
    const requestId = ulid();
    try {
      const call = await prepare(route, pattern, request, receivedAtMs);
      const answer = await respond(call as Call<R>);
      const response = answer instanceof Response ? answer : encode(route, answer);
      return finishResponse(response, { requestId, receivedAtMs });
    } catch (thrown) {
      const error = toAppError(thrown);
      if (errorTable[error.code].status >= 500) {
        logError("request-failed", error, { requestId, route: route.path, code: error.code });
      }
      return finishResponse(encodeError(error), { requestId, receivedAtMs });
    }
  };
}

async function prepare(route: Route, pattern: RegExp, request: Request, receivedAtMs: number) {
  const current = services();
  const url = new URL(request.url);
  const principal = route.auth ? await authenticate(current, request) : undefined;
  const id = pattern.exec(url.pathname)?.groups?.id ?? "";
  if (route.path.includes("{id}") && !Ulid.safeParse(id).success) throw new AppError("not_found");
  const query = route.query && validate(route.query, Object.fromEntries(url.searchParams));
  const body =
    route.body &&
    validate(route.body.schema, await readBody(request, route.body, current.env.MAX_BODY_BYTES));
  return { request, body, query, id, principal, services: current, receivedAtMs };
}

function authenticate({ authenticator }: Services, request: Request): Promise<Principal> {
  const mustBeSameOrigin = request.method !== "GET" && request.method !== "HEAD";
  return authenticator.authenticate({ headers: request.headers, mustBeSameOrigin });
}

function encode(route: Route, answer: unknown): Response {
  const { status } = route.success;
  if (route.success.schema === undefined) return new Response(null, { status });
  return Response.json(answer, { status });
}
