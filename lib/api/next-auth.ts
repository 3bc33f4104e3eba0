import type { AuthOptions } from "next-auth";
import credentials from "next-auth/providers/credentials";
import { isAppError } from "../errors.ts";
import { services } from "../services.ts";

/** What our `jwt.encode` puts into the cookie's token, and `decode` gets back. */
type CookieClaims = {
  sub?: string;
  name?: string | null;
  signInId?: string;
  tokenVersion?: number;
};

/**
 * next-auth's options: its cookie carries the very token that POST /token gives out, so that page,
 * API and WebSocket authenticate one way, and signing out revokes it everywhere. The token is
 * renewed while the page is used.
 */
export function nextAuthOptions(): AuthOptions {
  const { authenticator, nextAuthSecret, origins, tokens } = services();
  return {
    secret: nextAuthSecret,
    pages: { signIn: "/login", error: "/login" },
    session: { strategy: "jwt", maxAge: tokens.lifetimeSeconds },
    useSecureCookies: origins.isSecure,
    providers: [
      credentials({
        credentials: { username: { type: "text" }, password: { type: "password" } },
        authorize: (fields) => signIn(fields?.username ?? "", fields?.password ?? ""),
      }),
    ],
    callbacks: {
      jwt: ({ token, user }) => (user ? { ...token, ...claimsOf(user) } : token),
      // next-auth's own fails at what is no URL.
      redirect: ({ url, baseUrl }) => {
        const target = URL.parse(url, baseUrl);
        return target?.origin === new URL(baseUrl).origin ? target.href : baseUrl;
      },
    },
    jwt: {
      encode: async ({ token }) => {
        const { sub, name, signInId, tokenVersion } = (token ?? {}) as CookieClaims;
        if (sub === undefined || tokenVersion === undefined) return "";
        const issued = await tokens.issue({
          userId: sub,
          username: name ?? "",
          tokenVersion,
          ...(signInId !== undefined && { signInId }),
        });
        return issued.accessToken;
      },
      decode: async ({ token }) => {
        try {
          const { userId, username, ...claims } = await authenticator.verify(token ?? "");
          return { sub: userId, name: username, ...claims };
        } catch (error) {
          if (isAppError(error)) return null;
          throw error;
        }
      },
    },
    events: {
      signOut: async ({ token }) => {
        const { signInId } = token as CookieClaims;
        if (signInId !== undefined) await authenticator.revokeSignIn(signInId);
      },
    },
  };
}

async function signIn(username: string, password: string) {
  try {
    const user = await services().accounts.authenticate(username, password);
    return { id: user.id, name: user.username, tokenVersion: user.token_version };
  } catch (error) {
    if (isAppError(error)) return null;
    throw error;
  }
}

function claimsOf(user: { id: string; tokenVersion?: number }) {
  return { sub: user.id, tokenVersion: user.tokenVersion };
}
