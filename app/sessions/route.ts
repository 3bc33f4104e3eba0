import { handler } from "#lib/api/handler.ts";
import { routes } from "#lib/api/routes.ts";
import { listSessions } from "#lib/api/sessions.ts";

export const GET = handler(routes.listSessions, listSessions);
