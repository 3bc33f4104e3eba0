import { fileURLToPath } from "node:url";

/** The repository's root. */
export const projectRoot = fileURLToPath(new URL("../..", import.meta.url));
