import { handler } from "#lib/api/handler.ts";
import { routes } from "#lib/api/routes.ts";
import { forkSession } from "#lib/api/sessions.ts";

export const POST = handler(routes.forkSession, forkSession);
