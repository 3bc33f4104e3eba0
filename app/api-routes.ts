import type { RouteEntry } from "#lib/api/dispatch.ts";
import * as register from "./api/register/route.ts";
import * as chat from "./chat/route.ts";
import * as docsFile from "./docs/[file]/route.ts";
import * as docs from "./docs/route.ts";
import * as frames from "./frames.json/route.ts";
import * as health from "./health/route.ts";
import * as openapi from "./openapi.json/route.ts";
import * as ready from "./ready/route.ts";
import * as sessionExport from "./sessions/[id]/export/route.ts";
import * as sessionFork from "./sessions/[id]/fork/route.ts";
import * as sessionMessages from "./sessions/[id]/messages/route.ts";
import * as session from "./sessions/[id]/route.ts";
import * as sessionStop from "./sessions/[id]/stop/route.ts";
import * as sessions from "./sessions/route.ts";
import * as setLlm from "./set-llm/route.ts";
import * as token from "./token/route.ts";

/** The route modules that server.ts dispatches itself, before Next is asked. */
export const apiRoutes: readonly RouteEntry[] = [
  { path: "/token", module: token },
  { path: "/register", module: register, hasPage: true },
  { path: "/set-llm", module: setLlm },
  { path: "/chat", module: chat },
  { path: "/sessions", module: sessions },
  { path: "/sessions/{id}", module: session },
  { path: "/sessions/{id}/messages", module: sessionMessages },
  { path: "/sessions/{id}/stop", module: sessionStop },
  { path: "/sessions/{id}/fork", module: sessionFork },
  { path: "/sessions/{id}/export", module: sessionExport },
  { path: "/health", module: health },
  { path: "/ready", module: ready },
  { path: "/openapi.json", module: openapi },
  { path: "/frames.json", module: frames },
  { path: "/docs", module: docs },
  { path: "/docs/{file}", module: docsFile },
];
