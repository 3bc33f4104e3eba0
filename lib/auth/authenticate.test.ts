import assert from "node:assert/strict";
import { describe, test, type TestContext } from "node:test";
import { lifetimeSeconds, openAuth } from "#e2e/rig/auth-rig.ts";
import type { ErrorCode } from "../errors.ts";
import { Authenticator } from "./authenticate.ts";
import { OriginPolicy } from "./origin.ts";
import { parseEnv } from "../env.ts";

const host = "localhost:8000";
const cookieName = "next-auth.session-token";
const nowMs = Date.UTC(2026, 10, 22, 12, 0, 0);

/** A service with one user, ada, who is signed in. */
async function signIn(t: TestContext, variables: Record<string, string> = {}) {
  const auth = openAuth(t, variables);
  const { database, tokens } = auth;
  const user = { id: "01JADA", username: "ada", username_key: "ada", password_hash: "hash" };
  const row = { ...user, token_version: 0, disabled_at: null, created_at: 1 };
  await database.write([database.query.insertInto("users").values(row)]);
  const issue = async (signInId: string) => {
    const subject = { userId: user.id, username: user.username, tokenVersion: 0, signInId };
    return (await tokens.issue(subject)).accessToken;
  };
  return { ...auth, issue, token: await issue("01JSIGNIN") };
}

type SignedIn = Awaited<ReturnType<typeof signIn>>;

/** What comes of a request: the user's name, or the code of the refusal. */
async function outcome(
  { authenticator }: Pick<SignedIn, "authenticator">,
  headers: Readonly<Record<string, string>>,
  options: Readonly<{ mustBeSameOrigin?: boolean; token?: string }> = {},
): Promise<string> {
  const credentials = { headers: new Headers({ host, ...headers }), mustBeSameOrigin: true };
  return authenticator.authenticate({ ...credentials, ...options }).then(
    ({ username }) => username,
    (error: { code: ErrorCode }) => error.code,
  );
}

describe("Authenticator.authenticate", () => {
  test("takes a bearer token from anywhere and says who it is", async (t) => {
    const auth = await signIn(t);
    for (const scheme of ["Bearer", "bearer", "BEARER", "Bearer  "]) {
      const authorization = `${scheme} ${auth.token}`;
      assert.equal(await outcome(auth, { authorization }), "ada");
      assert.equal(await outcome(auth, { authorization, origin: "https://evil.test" }), "ada");
    }
    const headers = new Headers({ authorization: `Bearer ${auth.token}` });
    const principal = await auth.authenticator.authenticate({ headers, mustBeSameOrigin: true });
    assert.deepEqual(
      { ...principal, expiresAtMs: 0 },
      { userId: "01JADA", username: "ada", signInId: "01JSIGNIN", tokenVersion: 0, expiresAtMs: 0 },
    );
    assert.ok(principal.expiresAtMs > Date.now());
  });

  test("takes an offered token before the headers", async (t) => {
    const { token, ...auth } = await signIn(t);
    assert.equal(await outcome(auth, {}, { token }), "ada");
    assert.equal(await outcome(auth, { authorization: "Basic x" }, { token }), "ada");
    const headers = { authorization: `Bearer ${token}` };
    assert.equal(await outcome(auth, headers, { token: "forged" }), "unauthorized");
    assert.equal(await outcome(auth, headers, { token: "" }), "unauthorized");
  });

  test("refuses everything else that is in the headers", async (t) => {
    const auth = await signIn(t);
    const { token } = auth;
    const refused: readonly Readonly<Record<string, string>>[] = [
      {},
      { authorization: "" },
      { authorization: "Bearer" },
      { authorization: "Bearer " },
      { authorization: "Bearer null" },
      { authorization: "Bearer undefined" },
      { authorization: token },
      { authorization: `Basic ${token}` },
      { authorization: `Token ${token}` },
      { authorization: `Bearer${token}` },
      { authorization: `Bearer ${token} ${token}` },
      { authorization: `Bearer ${token}, Bearer ${token}` },
      { authorization: `Bearer "${token}"` },
      { authorization: `Bearer ${token}x` },
      { "x-api-key": token },
      { "x-access-token": token },
      { cookie: `token=${token}` },
      { cookie: `__Secure-${cookieName}=${token}` },
      { cookie: cookieName },
      { cookie: `x${cookieName}=${token}` },
    ];
    for (const headers of refused) {
      assert.equal(await outcome(auth, headers), "unauthorized", JSON.stringify(headers));
    }
  });

  test("does not fall back to the cookie when a bearer token is refused", async (t) => {
    const auth = await signIn(t);
    const cookie = `${cookieName}=${auth.token}`;
    const origin = `http://${host}`;
    assert.equal(await outcome(auth, { cookie, origin }), "ada");
    for (const authorization of ["Bearer forged", "Basic x"]) {
      assert.equal(await outcome(auth, { cookie, origin, authorization }), "unauthorized");
    }
  });

  test("finds its cookie among others", async (t) => {
    const auth = await signIn(t);
    const { token } = auth;
    for (const cookie of [
      `${cookieName}=${token}`,
      `theme=dark; ${cookieName}=${token}; lang=en`,
      `theme=dark;${cookieName}=${token}`,
      `;; =; ${cookieName} = ${token} ;`,
      `${cookieName}x; ${cookieName}=${token}`,
      `x${cookieName}=forged; ${cookieName}=${token}`,
    ]) {
      assert.equal(await outcome(auth, { cookie, origin: `http://${host}` }), "ada", cookie);
    }
  });

  test("takes the cookie of https only where people use https", async (t) => {
    const auth = await signIn(t, {
      PUBLIC_URL: "https://chat.example.com",
      SECRET_KEY: "q7Vb0mJ4yYx1tKcE9uWl2sRzPn6HfGdA8iXoTkBv",
    });
    const origin = "https://chat.example.com";
    const cookieOf = (name: string) => ({ cookie: `${name}=${auth.token}`, origin });
    assert.equal(await outcome(auth, cookieOf(`__Secure-${cookieName}`)), "ada");
    assert.equal(await outcome(auth, cookieOf(cookieName)), "unauthorized");
  });

  const origins: readonly (readonly [origin: string | undefined, expected: string])[] = [
    [`http://${host}`, "ada"],
    ["https://app.example.com", "ada"],
    [`https://${host}`, "origin_not_allowed"],
    ["https://evil.test", "origin_not_allowed"],
    [`http://${host}.evil.test`, "origin_not_allowed"],
    ["null", "origin_not_allowed"],
    ["", "origin_not_allowed"],
    [undefined, "origin_not_allowed"],
  ];
  test("takes the cookie only from its own pages and those that are allowed", async (t) => {
    const auth = await signIn(t, { ALLOWED_ORIGINS: "https://app.example.com" });
    for (const [origin, expected] of origins) {
      const from: Record<string, string> = origin === undefined ? {} : { origin };
      const good = { cookie: `${cookieName}=${auth.token}`, ...from };
      assert.equal(await outcome(auth, good), expected, origin);
      assert.equal(await outcome(auth, good, { mustBeSameOrigin: false }), "ada", origin);
      const forged = { cookie: `${cookieName}=forged`, ...from };
      const refused = expected === "ada" ? "unauthorized" : expected;
      assert.equal(await outcome(auth, forged), refused, "says nothing of the cookie");
    }
  });

  test("tells an expired token from a forged one, in header and cookie", async (t) => {
    t.mock.timers.enable({ apis: ["Date"], now: nowMs });
    const auth = await signIn(t);
    t.mock.timers.tick(lifetimeSeconds * 1000);
    const cookie = `${cookieName}=${auth.token}`;
    const expired = "token_expired";
    assert.equal(await outcome(auth, { authorization: `Bearer ${auth.token}` }), expired);
    assert.equal(await outcome(auth, { cookie, origin: `http://${host}` }), expired);
  });
});

describe("Authenticator.verify", () => {
  test("refuses a user who is disabled, gone, or whose tokens were all revoked", async (t) => {
    const { database, authenticator, token } = await signIn(t);
    const { query } = database;
    const changes = [
      query.updateTable("users").set({ disabled_at: 1 }),
      query.updateTable("users").set({ disabled_at: null, token_version: 1 }),
      query.deleteFrom("users"),
    ];
    assert.equal((await authenticator.verify(token)).username, "ada");
    for (const change of changes) {
      await database.write([change]);
      await assert.rejects(authenticator.verify(token), {
        name: "AppError",
        code: "token_expired",
      });
    }
  });
});

describe("Authenticator.revokeSignIn", () => {
  test("ends every token of the sign-in, before and after, and no other", async (t) => {
    const { authenticator, token, issue } = await signIn(t);
    const [renewed, other] = [await issue("01JSIGNIN"), await issue("01JOTHER")];
    await authenticator.revokeSignIn("01JSIGNIN");
    for (const ended of [token, renewed, await issue("01JSIGNIN")]) {
      await assert.rejects(authenticator.verify(ended), {
        name: "AppError",
        code: "token_expired",
      });
    }
    assert.equal((await authenticator.verify(other)).signInId, "01JOTHER");
  });

  test("holds after a restart", async (t) => {
    const { authenticator, token, database, accounts, tokens } = await signIn(t);
    await authenticator.revokeSignIn("01JSIGNIN");
    const origins = new OriginPolicy(parseEnv({}));
    const restarted = new Authenticator({ database, accounts, tokens, origins });
    await assert.rejects(restarted.verify(token), { code: "token_expired" });
  });

  test("tells who listens, until they stop", async (t) => {
    const { authenticator } = await signIn(t);
    const heard: string[] = [];
    const stops = ["a", "b"].map((name) =>
      authenticator.onRevoked(({ signInId }) => heard.push(`${name} ${signInId}`)),
    );
    await authenticator.revokeSignIn("first");
    stops[0]?.();
    await authenticator.revokeSignIn("second");
    assert.deepEqual(heard, ["a first", "b first", "b second"]);
  });

  test("may be repeated", async (t) => {
    const { authenticator, token } = await signIn(t);
    await Promise.all([1, 2, 3].map(() => authenticator.revokeSignIn("01JSIGNIN")));
    await assert.rejects(authenticator.verify(token), { code: "token_expired" });
  });

  test("forgets a sign-in only when its last token has expired", async (t) => {
    t.mock.timers.enable({ apis: ["Date"], now: nowMs });
    const { authenticator, database, issue } = await signIn(t);
    const last = await issue("01JSIGNIN");
    await authenticator.revokeSignIn("01JSIGNIN");
    const kept = async () => {
      const revoked = database.query.selectFrom("revoked_sign_ins").select("sign_in_id as id");
      return (await revoked.orderBy("id").execute()).map(({ id }) => id);
    };
    t.mock.timers.tick(lifetimeSeconds * 1000 - 1);
    await authenticator.revokeSignIn("01JSECOND");
    await assert.rejects(authenticator.verify(last), { code: "token_expired" });
    assert.deepEqual(await kept(), ["01JSECOND", "01JSIGNIN"]);
    t.mock.timers.tick(2);
    await authenticator.revokeSignIn("01JTHIRD");
    await assert.rejects(authenticator.verify(last), { code: "token_expired" });
    assert.deepEqual(await kept(), ["01JSECOND", "01JTHIRD"]);
  });
});
