import { SignJWT, errors, jwtVerify, type JWTPayload } from "jose";
import { ulid } from "ulid";
import { AppError } from "../errors.ts";

const issuer = "llm-service";
const audience = "llm-service";
/** RFC 9068, section 2.1: keeps an access token from being taken for any other kind of JWT. */
const type = "at+jwt";
const algorithm = "HS256";

/** What a token says about its bearer, once its signature and lifetime are checked. */
export type TokenClaims = Readonly<{
  userId: string;
  username: string;
  /** All tokens of one sign-in share it, so that signing out ends them together. */
  signInId: string;
  tokenVersion: number;
  expiresAtMs: number;
}>;

export type TokenSubject = Readonly<{
  userId: string;
  username: string;
  tokenVersion: number;
  /** Left out: a new sign-in. */
  signInId?: string;
}>;

export type IssuedToken = Readonly<{ accessToken: string; expiresInSeconds: number }>;

/** Signs and checks access tokens: HS256, typed, with iss, aud, sub, iat, exp and jti (RFC 7519, 8725). */
export class TokenService {
  readonly #key: Uint8Array;
  readonly #lifetimeSeconds: number;

  constructor(options: Readonly<{ secret: string; lifetimeSeconds: number }>) {
    this.#key = new TextEncoder().encode(options.secret);
    this.#lifetimeSeconds = options.lifetimeSeconds;
  }

  get lifetimeSeconds(): number {
    return this.#lifetimeSeconds;
  }

  async issue(subject: TokenSubject): Promise<IssuedToken> {
    const claims = {
      username: subject.username,
      sid: subject.signInId ?? ulid(),
      ver: subject.tokenVersion,
    };
    const accessToken = await new SignJWT(claims)
      .setProtectedHeader({ alg: algorithm, typ: type })
      .setIssuer(issuer)
      .setAudience(audience)
      .setSubject(subject.userId)
      .setIssuedAt()
      .setExpirationTime(`${this.#lifetimeSeconds}s`)
      .setJti(ulid())
      .sign(this.#key);
    return { accessToken, expiresInSeconds: this.#lifetimeSeconds };
  }

  /**
   * Checks signature, type, issuer, audience and lifetime. A lifetime that the operator has made
   * shorter holds for older tokens too.
   *
   * @throws {AppError} `token_expired` after its time, `unauthorized` for everything else.
   */
  async verify(token: string): Promise<TokenClaims> {
    const payload = await this.#readSigned(token);
    const expiresAt = Math.min(Number(payload.exp), Number(payload.iat) + this.#lifetimeSeconds);
    if (expiresAt * 1000 <= Date.now()) throw new AppError("token_expired");
    return {
      userId: String(payload.sub),
      username: String(payload.username),
      signInId: String(payload.sid),
      tokenVersion: Number(payload.ver),
      expiresAtMs: expiresAt * 1000,
    };
  }

  async #readSigned(token: string): Promise<JWTPayload> {
    try {
      const { payload } = await jwtVerify(token, this.#key, {
        algorithms: [algorithm],
        issuer,
        audience,
        typ: type,
        requiredClaims: ["sub", "iat", "exp", "jti", "sid", "ver"],
      });
      return payload;
    } catch (cause) {
      throw new AppError(
        cause instanceof errors.JWTExpired ? "token_expired" : "unauthorized",
        undefined,
        { cause },
      );
    }
  }
}
