import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { Accounts } from "#lib/auth/accounts.ts";
import { Authenticator } from "#lib/auth/authenticate.ts";
import { OriginPolicy } from "#lib/auth/origin.ts";
import { TokenService } from "#lib/auth/token.ts";
import { openSqlite } from "#lib/db/sqlite.ts";
import { parseEnv } from "#lib/env.ts";

export const signingSecret = "kP3vX9tQ2mB7zR5wLcY8dF4gH6jN1sAe";
export const lifetimeSeconds = 1800;

/** Everything that decides who may enter, on a real database in a folder that is gone after the test. */
export function openAuth(t: Pick<TestContext, "after">, variables: Record<string, string> = {}) {
  const folder = mkdtempSync(join(tmpdir(), "llm-service-auth-"));
  const path = join(folder, "test.db");
  const database = openSqlite(path);
  t.after(async () => {
    await database.close();
    rmSync(folder, { recursive: true });
  });
  const accounts = new Accounts(database);
  const tokens = new TokenService({ secret: signingSecret, lifetimeSeconds });
  const origins = new OriginPolicy(parseEnv(variables));
  const authenticator = new Authenticator({ database, accounts, tokens, origins });
  return { path, database, accounts, tokens, authenticator };
}
