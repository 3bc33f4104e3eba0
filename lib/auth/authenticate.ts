import type { Database } from "../db/sqlite.ts";
import { AppError } from "../errors.ts";
import type { Accounts } from "./accounts.ts";
import type { OriginPolicy } from "./origin.ts";
import type { TokenClaims, TokenService } from "./token.ts";

/** Who a request acts for. */
export type Principal = TokenClaims;

/** What a door hands over to find out who knocks. */
export type Credentials = Readonly<{
  headers: Headers;
  /** False for requests that change nothing (GET, HEAD), which a foreign page may cause but not read. */
  mustBeSameOrigin: boolean;
  /** A token from elsewhere than the headers, such as an offered subprotocol. */
  token?: string;
}>;

type Listener = (principal: Readonly<{ signInId: string }>) => void;

const bearerPattern = /^Bearer +([\w.~+/-]+=*)$/i;

/**
 * Turns credentials into a principal; HTTP and the WebSocket upgrade both use it.
 *
 * A bearer token (RFC 6750) is taken from anywhere. The browser's cookie holds the same token and
 * is taken only from an allowed origin where the request could change something.
 */
export class Authenticator {
  readonly #database: Database;
  readonly #accounts: Accounts;
  readonly #tokens: TokenService;
  readonly #origins: OriginPolicy;
  readonly #listeners = new Set<Listener>();

  constructor(
    options: Readonly<{
      database: Database;
      accounts: Accounts;
      tokens: TokenService;
      origins: OriginPolicy;
    }>,
  ) {
    this.#database = options.database;
    this.#accounts = options.accounts;
    this.#tokens = options.tokens;
    this.#origins = options.origins;
  }

  /** @throws {AppError} `unauthorized`, `token_expired` or `origin_not_allowed`. */
  async authenticate({ headers, mustBeSameOrigin, token }: Credentials): Promise<Principal> {
    const bearer = token ?? readBearer(headers);
    if (bearer !== undefined) return this.verify(bearer);
    const cookie = readCookie(headers, this.#origins.sessionCookieName);
    if (cookie === undefined) throw new AppError("unauthorized");
    if (mustBeSameOrigin && !this.#origins.isAllowed(headers)) {
      throw new AppError("origin_not_allowed");
    }
    return this.verify(cookie);
  }

  /** Checks signature, lifetime and that neither the sign-in nor the user was revoked since. */
  async verify(token: string): Promise<Principal> {
    const claims = await this.#tokens.verify(token);
    const [user, revoked] = await Promise.all([
      this.#accounts.find(claims.userId),
      this.#database.query
        .selectFrom("revoked_sign_ins")
        .select("sign_in_id")
        .where("sign_in_id", "=", claims.signInId)
        .executeTakeFirst(),
    ]);
    const isValid =
      user && user.disabled_at === null && user.token_version === claims.tokenVersion && !revoked;
    if (!isValid) throw new AppError("token_expired");
    return claims;
  }

  /** Ends a sign-in: every token of it is refused from now on, and its live sockets are told. */
  async revokeSignIn(signInId: string): Promise<void> {
    const now = Date.now();
    const expiresAt = now + this.#tokens.lifetimeSeconds * 1000;
    const { query } = this.#database;
    await this.#database.write([
      query.deleteFrom("revoked_sign_ins").where("expires_at", "<", now),
      query
        .insertInto("revoked_sign_ins")
        .values({ sign_in_id: signInId, expires_at: expiresAt })
        .onConflict((conflict) => conflict.doNothing()),
    ]);
    for (const listener of this.#listeners) listener({ signInId });
  }

  /** Calls the listener at each revocation, until the returned function is called. */
  onRevoked(listener: Listener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
}

function readBearer(headers: Headers): string | undefined {
  const authorization = headers.get("authorization");
  if (authorization === null) return undefined;
  const token = bearerPattern.exec(authorization)?.[1];
  if (token === undefined) throw new AppError("unauthorized");
  return token;
}

function readCookie(headers: Headers, name: string): string | undefined {
  for (const pair of headers.get("cookie")?.split(";") ?? []) {
    const [key, ...value] = pair.split("=");
    if (key?.trim() === name && value.length > 0) return value.join("=").trim();
  }
  return undefined;
}
