import { openApiFile } from "#lib/api/documents.ts";
import { serveStatic } from "#lib/api/static-file.ts";

export const GET = serveStatic(openApiFile);
