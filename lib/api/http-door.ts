import type { IncomingMessage, RequestListener, ServerResponse } from "node:http";
import { getRequestListener } from "@hono/node-server";
import { toAppError } from "../errors.ts";
import { logError } from "../log.ts";
import type { Services } from "../services.ts";
import { createDispatcher, type RouteEntry } from "./dispatch.ts";
import { toProblemResponse } from "./problem.ts";

/** Header fields that only a trusted proxy may set; a client's own must not reach Next. */
const forwardedFields = ["forwarded", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto"];

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
  const answerApi = getRequestListener(
    async (request) => {
      try {
        origins.checkLocalMode(request.headers);
        const handle = find(request.method, new URL(request.url).pathname);
        return handle ? await handle(request) : new Response(null, { status: 404 });
      } catch (error) {
        return toProblemResponse(toAppError(error));
      }
    },
    { overrideGlobalObjects: false, errorHandler: (error) => toProblemResponse(toAppError(error)) },
  );
  return (request, response) => {
    const pathname = request.url?.split("?", 1)[0] ?? "/";
    if (find(request.method ?? "GET", pathname) || !isPageAllowed(services, request)) {
      void answerApi(request, response);
      return;
    }
    if (!env.TRUST_PROXY) for (const name of forwardedFields) delete request.headers[name];
    request.headers["x-page-path"] = request.url ?? "/";
    response.setHeader("x-content-type-options", "nosniff");
    response.setHeader("referrer-policy", "same-origin");
    response.setHeader("x-frame-options", "DENY");
    renderPage(request, response).catch((error: unknown) => {
      logError("page-failed", error, { path: pathname });
      response.destroy();
    });
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
