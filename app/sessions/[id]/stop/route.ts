import { handler } from "#lib/api/handler.ts";
import { routes } from "#lib/api/routes.ts";
import { stopSession } from "#lib/api/sessions.ts";

export const POST = handler(routes.stopSession, stopSession);
