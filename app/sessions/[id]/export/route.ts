import { handler } from "#lib/api/handler.ts";
import { routes } from "#lib/api/routes.ts";
import { exportSession } from "#lib/api/export-session.ts";

export const GET = handler(routes.exportSession, exportSession);
