import { isLoopbackHost, type Env } from "../env.ts";
import { AppError } from "../errors.ts";

/** Whether a header field is one that proxies write about a request (RFC 7239 and what came before it). */
export function isForwardingField(name: string): boolean {
  return /^(x-)?forwarded(-|$)/i.test(name);
}

/**
 * Which page a request may come from. A browser tells in `Origin`; a foreign page cannot forge it,
 * so it stands between the cookie and cross-site requests (OWASP, CSRF and WebSocket cheat sheets).
 */
export class OriginPolicy {
  readonly #env: Env;
  readonly #allowed: ReadonlySet<string>;

  constructor(env: Env) {
    this.#env = env;
    this.#allowed = new Set(env.ALLOWED_ORIGINS);
  }

  /** Behind https the cookie's name carries the prefix that makes browsers insist on Secure (RFC 6265bis). */
  get sessionCookieName(): string {
    return this.isSecure ? "__Secure-next-auth.session-token" : "next-auth.session-token";
  }

  get isSecure(): boolean {
    return this.#env.PUBLIC_URL?.startsWith("https:") ?? false;
  }

  /** Whether `Origin` is there and is our own or one that the operator allowed. */
  isAllowed(headers: Headers): boolean {
    const origin = headers.get("origin");
    if (origin === null) return false;
    return this.#allowed.has(origin) || origin === this.#ownOrigin(headers);
  }

  /**
   * Local mode trusts everybody on this machine and nobody beyond, so it refuses what a proxy
   * passed on, and host names that a foreign page may have pointed here (DNS rebinding).
   *
   * @throws {AppError} `proxy_in_local_mode` or `forbidden`.
   */
  checkLocalMode(headers: Headers): void {
    if (!this.#env.localMode) return;
    if ([...headers.keys()].some(isForwardingField)) {
      throw new AppError("proxy_in_local_mode");
    }
    const host = headers.get("host")?.replace(/:\d+$/, "") ?? "";
    if (!isLoopbackHost(host)) {
      throw new AppError(
        "forbidden",
        "In local mode the service answers only to localhost. Set SECRET_KEY and PUBLIC_URL to use another name.",
      );
    }
  }

  #ownOrigin(headers: Headers): string {
    if (this.#env.PUBLIC_URL) return new URL(this.#env.PUBLIC_URL).origin;
    const forwarded = (name: string) => (this.#env.TRUST_PROXY ? headers.get(name) : null);
    const scheme = forwarded("x-forwarded-proto") === "https" ? "https" : "http";
    return `${scheme}://${forwarded("x-forwarded-host") ?? headers.get("host") ?? ""}`;
  }
}
