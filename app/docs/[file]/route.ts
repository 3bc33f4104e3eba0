import { referenceFile } from "#lib/api/reference.ts";
import { serveStatic } from "#lib/api/static-file.ts";

export const GET = serveStatic(referenceFile);
