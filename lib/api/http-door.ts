import type { IncomingMessage, RequestListener, ServerResponse } from "node:http";
import { getRequestListener } from "@hono/node-server";
import { AppError, toAppError } from "../errors.ts";
import { logError } from "../log.ts";
import type { Services } from "../services.ts";
import { createDispatcher, refuseMethod, type RouteEntry } from "./dispatch.ts";
import { finishResponse } from "./finish-response.ts";
import { pathOf, toHeaders } from "./node-request.ts";
import { checkPageRequest, pageMethods, preparePage } from "./page-door.ts";
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
  const { origins } = services;
  const find = createDispatcher(routes);
  const answerApi = listen((request) => {
    origins.checkLocalMode(request.headers);
    const handle = find(request.method, new URL(request.url).pathname);
    if (!handle) throw new AppError("not_found");
    return handle(request);
  });
  const refusePage = listen((request) => {
    if (!pageMethods.includes(request.method)) return refuseMethod(pageMethods.join(", "));
    checkPageRequest(services, request.headers);
    throw new AppError("not_found");
  });
  return (request, response) => {
    const pathname = pathOf(request);
    // Next would send a whole URL back as a redirect to wherever it leads.
    const isForApi = !pathname.startsWith("/") || find(request.method ?? "GET", pathname);
    if (isForApi || !isPageAllowed(services, request)) {
      void (isForApi ? answerApi : refusePage)(request, response);
      return;
    }
    preparePage(services.env, request, response);
    renderPage(request, response).catch((error: unknown) => {
      logError("page-failed", error, { path: pathname });
      response.destroy();
    });
  };
}

/** Serves a Web handler that may throw; every answer of it is finished. */
function listen(answer: (request: Request) => Response | Promise<Response>) {
  return getRequestListener(
    async (request) => {
      const receivedAtMs = performance.now();
      const response = await Promise.try(answer, request).catch(refuse);
      return finishResponse(response, { receivedAtMs });
    },
    // It is only asked about requests of which no URL can be made.
    { overrideGlobalObjects: false, errorHandler: () => refuseMalformed() },
  );
}

function refuse(error: unknown): Response {
  return toProblemResponse(toAppError(error));
}

function refuseMalformed(): Response {
  const receivedAtMs = performance.now();
  return finishResponse(refuse(new AppError("bad_request")), { receivedAtMs });
}

/** Says no where `refusePage` then says why. */
function isPageAllowed(services: Services, request: IncomingMessage): boolean {
  try {
    checkPageRequest(services, toHeaders(request));
    return pageMethods.includes(request.method ?? "");
  } catch {
    return false;
  }
}
