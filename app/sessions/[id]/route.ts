import { handler } from "#lib/api/handler.ts";
import { routes } from "#lib/api/routes.ts";
import { deleteSession, getSession, updateSession } from "#lib/api/sessions.ts";

export const GET = handler(routes.getSession, getSession);
export const PATCH = handler(routes.updateSession, updateSession);
export const DELETE = handler(routes.deleteSession, deleteSession);
