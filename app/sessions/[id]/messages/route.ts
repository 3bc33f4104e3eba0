import { handler } from "#lib/api/handler.ts";
import { routes } from "#lib/api/routes.ts";
import { listMessages } from "#lib/api/sessions.ts";

export const GET = handler(routes.listMessages, listMessages);
