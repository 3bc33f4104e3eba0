import type { IncomingMessage, RequestListener, ServerResponse } from "node:http";
import { getRequestListener } from "@hono/node-server";
import { ulid } from "ulid";
import { isForwardingField } from "../auth/origin.ts";
import { AppError, toAppError } from "../errors.ts";
import { logError } from "../log.ts";
import type { Services } from "../services.ts";
import { createDispatcher, type RouteEntry } from "./dispatch.ts";
import { finishResponse, serverTiming } from "./finish-response.ts";
import { toProblemResponse } from "./problem.ts";

export type HttpDoorOptions = Readonly<{
  services: Services;
  routes: readonly RouteEntry[];
  /** Renders pages and assets. */
  renderPage: (request: IncomingMessage, response: ServerResponse) => Promise<void>;
}>;

/**
 * The one listener of HTTP requests. The API's paths go straight to their route modules; everything
 * else is a page's. It never throws and always answers.
 */
export function createHttpDoor({ services, routes, renderPage }: HttpDoorOptions): RequestListener {
  const { env, origins } = services;
  const find = createDispatcher(routes);
  const answer = (request: Request) => {
    origins.checkLocalMode(request.headers);
    const handle = find(request.method, new URL(request.url).pathname);
    if (!handle) throw new AppError("not_found");
    return handle(request);
  };
  const answerApi = getRequestListener(
    async (request) => {
      const receivedAtMs = performance.now();
      const response = await Promise.try(answer, request).catch(refuse);
      return finishResponse(response, { receivedAtMs });
    },
    // It is only asked about requests of which no URL can be made.
    { overrideGlobalObjects: false, errorHandler: () => refuseMalformed() },
  );
  return (request, response) => {
    const pathname = request.url?.split("?", 1)[0] ?? "/";
    // Next would send a whole URL back as a redirect to wherever it leads.
    const isForApi = !pathname.startsWith("/") || find(request.method ?? "GET", pathname);
    if (isForApi || !isPageAllowed(services, request)) {
      void answerApi(request, response);
      return;
    }
    if (!env.TRUST_PROXY) dropForwardingFields(request);
    request.headers["x-page-path"] = request.url ?? "/";
    announcePage(response);
    response.setHeader("x-content-type-options", "nosniff");
    response.setHeader("referrer-policy", "same-origin");
    response.setHeader("x-frame-options", "DENY");
    renderPage(request, response).catch((error: unknown) => {
      logError("page-failed", error, { path: pathname });
      response.destroy();
    });
  };
}

function refuse(error: unknown): Response {
  return toProblemResponse(toAppError(error));
}

function refuseMalformed(): Response {
  const receivedAtMs = performance.now();
  return finishResponse(refuse(new AppError("bad_request")), { receivedAtMs });
}

/** Only a trusted proxy may set them: Next and next-auth would believe a client's own. */
function dropForwardingFields({ headers }: IncomingMessage): void {
  for (const name of Object.keys(headers).filter(isForwardingField)) delete headers[name];
}

/** Next writes the head of a page itself, so its time is taken when it does. */
function announcePage(response: ServerResponse): void {
  const receivedAtMs = performance.now();
  const writeHead = response.writeHead.bind(response) as (...head: unknown[]) => ServerResponse;
  response.setHeader("x-request-id", ulid());
  response.writeHead = (...head: unknown[]) => {
    response.setHeader("server-timing", serverTiming(receivedAtMs));
    return writeHead(...head);
  };
}

/** Pages follow the same rule as the API; the API's door writes the refusal. */
function isPageAllowed({ origins }: Services, request: IncomingMessage): boolean {
  try {
    origins.checkLocalMode(
      new Headers(
        Object.entries(request.headers).map(([name, value]): [string, string] => [
          name,
          String(value),
        ]),
      ),
    );
    return true;
  } catch {
    return false;
  }
}
