import { AppError } from "../errors.ts";
import { pathPattern } from "./path-pattern.ts";
import { toProblemResponse } from "./problem.ts";

export type WebHandler = (request: Request) => Promise<Response>;

/** A route module's handlers by method, as Next names them. */
export type RouteModule = Readonly<
  Partial<Record<"GET" | "POST" | "PATCH" | "DELETE", WebHandler>>
>;

export type RouteEntry = Readonly<{
  path: string;
  module: RouteModule;
  /** True where a page has the same path: reading it is the page's. */
  hasPage?: boolean;
}>;

/**
 * Finds the module that owns a path, or undefined when the path is not the API's. The returned
 * handler answers a wrong method with 405 and `Allow`, and HEAD as GET without its body.
 */
export function createDispatcher(
  entries: readonly RouteEntry[],
): (method: string, pathname: string) => WebHandler | undefined {
  const literal = new Map<string, Target>();
  const patterns: [RegExp, Target][] = [];
  for (const { path, module, hasPage = false } of entries) {
    const target = { handle: dispatchMethod(module), hasPage };
    if (path.includes("{")) patterns.push([pathPattern(path), target]);
    else literal.set(path, target);
  }
  return (method, pathname) => {
    const target =
      literal.get(pathname) ?? patterns.find(([pattern]) => pattern.test(pathname))?.[1];
    const isRead = method === "GET" || method === "HEAD";
    return target?.hasPage && isRead ? undefined : target?.handle;
  };
}

type Target = Readonly<{ handle: WebHandler; hasPage: boolean }>;

function dispatchMethod(module: RouteModule): WebHandler {
  const methods = new Map(Object.entries(module).filter(([name]) => /^[A-Z]+$/.test(name)));
  const get = methods.get("GET");
  if (get) methods.set("HEAD", async (request) => withoutBody(await get(request)));
  const allow = [...methods.keys()].toSorted().join(", ");
  return (request) => {
    const handle = methods.get(request.method);
    return handle ? handle(request) : Promise.resolve(refuseMethod(allow));
  };
}

/** Refuses a method and says which are allowed (RFC 9110, section 15.5.6). */
export function refuseMethod(allow: string): Response {
  const refusal = toProblemResponse(new AppError("method_not_allowed"));
  refusal.headers.set("allow", allow);
  return refusal;
}

async function withoutBody(response: Response): Promise<Response> {
  await response.body?.cancel();
  return new Response(null, response);
}
