import { randomBytes } from "node:crypto";
import { chmodSync, mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Env } from "../env.ts";
import { StartupError } from "../errors.ts";

const secretBytes = 48;
const minimumLength = 32;
const ownerMode = 0o600;
const othersMode = 0o077;

/**
 * The signing secret: SECRET_KEY, or in local mode one that is made once and kept in the data
 * folder (mode 0600), so that tokens survive a restart.
 *
 * @throws {StartupError} when the kept secret is damaged or cannot be read or written.
 */
export function signingSecret(env: Env): string {
  if (env.SECRET_KEY !== undefined) return env.SECRET_KEY;
  const path = join(env.dataDir, "secret-key");
  try {
    mkdirSync(env.dataDir, { recursive: true, mode: 0o700 });
    writeFileSync(path, randomBytes(secretBytes).toString("base64url"), {
      flag: "wx",
      mode: ownerMode,
    });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw unusable(path, error);
  }
  return readKept(path);
}

function readKept(path: string): string {
  let secret: string;
  try {
    if (statSync(path).mode & othersMode) chmodSync(path, ownerMode);
    secret = readFileSync(path, "utf8").trim();
  } catch (error) {
    throw unusable(path, error);
  }
  if (secret.length < minimumLength) throw unusable(path, new Error("it is too short"));
  return secret;
}

function unusable(path: string, error: unknown): StartupError {
  const reason = error instanceof Error ? error.message : String(error);
  return new StartupError(
    `The local secret ${path} cannot be used (${reason}). Delete it to make a new one (everybody signs in again), or check DATA_DIR.`,
    { cause: error },
  );
}
