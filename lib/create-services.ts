import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { Accounts } from "./auth/accounts.ts";
import { Authenticator } from "./auth/authenticate.ts";
import { OriginPolicy } from "./auth/origin.ts";
import { signingSecret } from "./auth/secret.ts";
import { TokenService } from "./auth/token.ts";
import { Sealer } from "./db/sealer.ts";
import { openSqlite, type Database } from "./db/sqlite.ts";
import type { Env } from "./env.ts";
import { Chat } from "./llm/chat.ts";
import { LocalModelHost } from "./llm/local-model-host.ts";
import { MessageStore } from "./llm/message-store.ts";
import { ModelCatalog } from "./llm/model-catalog.ts";
import { SessionStore } from "./llm/session-store.ts";
import { log } from "./log.ts";
import type { Services } from "./services.ts";

/** The account of local mode, so that the first call of the README works as printed. */
const demonstrationAccount = { username: "testuser", password: "password" } as const;

/** Services with what ends them. */
export type RunningServices = Services & Readonly<{ close: () => Promise<void> }>;

/**
 * Makes everything that lives as long as the process: opens and migrates the database, marks what a
 * crash cut off, and gets the embedded model ready when it is the one that answers.
 *
 * @throws {StartupError} when the configuration, the database or the model file cannot be used.
 */
export async function createServices(env: Env): Promise<RunningServices> {
  const secret = signingSecret(env);
  const database = openSqlite(join(env.dataDir, "llm-service.db"));
  const local = new LocalModelHost(env);
  const catalog = new ModelCatalog({
    env,
    local,
    guardedFetch: lazyGuardedFetch(env.LLM_ALLOWED_HOSTS),
  });
  catalog.checkDefault();
  const auth = createAuth(env, database, secret);
  const chat = createChat(env, database, { catalog, sealer: new Sealer(secret) });
  const recovered = await chat.messages.recover();
  if (recovered > 0) log("warn", "interrupted-turns-recovered", { messages: recovered });
  if (env.localMode) {
    await auth.accounts.ensure(demonstrationAccount.username, demonstrationAccount.password);
  }
  if (catalog.wantsLocalModel) await local.prepare();
  return {
    env,
    version: readVersion(),
    database,
    catalog,
    ...auth,
    ...chat,
    nextAuthSecret: createHash("sha256").update(`next-auth ${secret}`).digest("hex"),
    startedAtMs: Date.now(),
    lifecycle: { draining: false },
    close: async () => {
      await local.dispose();
      await database.close();
    },
  };
}

function createAuth(env: Env, database: Database, secret: string) {
  const accounts = new Accounts(database);
  const tokens = new TokenService({
    secret,
    lifetimeSeconds: env.ACCESS_TOKEN_EXPIRE_MINUTES * 60,
  });
  const origins = new OriginPolicy(env);
  const authenticator = new Authenticator({ database, accounts, tokens, origins });
  return { accounts, tokens, origins, authenticator };
}

function createChat(
  env: Env,
  database: Database,
  { catalog, sealer }: Readonly<{ catalog: ModelCatalog; sealer: Sealer }>,
) {
  const sessions = new SessionStore(database);
  const messages = new MessageStore(database);
  const chat = new Chat({
    sessions,
    messages,
    catalog,
    sealer,
    limits: {
      firstTokenTimeoutMs: env.FIRST_TOKEN_TIMEOUT_MS,
      chunkTimeoutMs: env.CHUNK_TIMEOUT_MS,
      turnTimeoutMs: env.TURN_TIMEOUT_MS,
      maxHistoryTokens: env.MAX_HISTORY_TOKENS,
      maxAnswerBytes: env.MAX_ANSWER_BYTES,
      maxMessageBytes: env.MAX_MESSAGE_BYTES,
    },
    retentionMs: Math.max(env.RESUME_GRACE_MS, 60_000),
  });
  return { sessions, messages, chat, sealer };
}

/** Loads undici, which costs 30 MiB and 200 ms, with the first base URL that a user gives. */
function lazyGuardedFetch(allowedHosts: readonly string[]): typeof fetch {
  let loaded: Promise<typeof fetch> | undefined;
  return async (input, init) => {
    loaded ??= import("./llm/providers/guarded-fetch.ts").then(({ createGuardedFetch }) =>
      createGuardedFetch({ allowedHosts }),
    );
    return (await loaded)(input, init);
  };
}

function readVersion(): string {
  const manifest = readFileSync(new URL("../package.json", import.meta.url), "utf8");
  return (JSON.parse(manifest) as { version: string }).version;
}
