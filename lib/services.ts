import type { Accounts } from "./auth/accounts.ts";
import type { Authenticator } from "./auth/authenticate.ts";
import type { OriginPolicy } from "./auth/origin.ts";
import type { TokenService } from "./auth/token.ts";
import type { Database } from "./db/sqlite.ts";
import type { Sealer } from "./db/sealer.ts";
import type { Env } from "./env.ts";
import { remember } from "./global.ts";
import type { Chat } from "./llm/chat.ts";
import type { MessageStore } from "./llm/message-store.ts";
import type { ModelCatalog } from "./llm/model-catalog.ts";
import type { SessionStore } from "./llm/session-store.ts";

/** Everything that lives as long as the process, made once by server.ts before it listens. */
export type Services = Readonly<{
  env: Env;
  version: string;
  database: Database;
  sealer: Sealer;
  accounts: Accounts;
  tokens: TokenService;
  origins: OriginPolicy;
  authenticator: Authenticator;
  sessions: SessionStore;
  messages: MessageStore;
  catalog: ModelCatalog;
  chat: Chat;
  /** Signs next-auth's own short-lived cookies. */
  nextAuthSecret: string;
  startedAtMs: number;
  lifecycle: { draining: boolean };
}>;

/** The services of this process, the same in both module graphs. Import their types, never their classes, in pages. */
export function services(): Services {
  return remember<Services>("services", () => {
    throw new Error("The services are made by server.ts before anything asks for them.");
  });
}
