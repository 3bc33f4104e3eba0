import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { describe, test } from "node:test";
import { CompactEncrypt, decodeJwt, decodeProtectedHeader, generateKeyPair, SignJWT } from "jose";
import type { ErrorCode } from "../errors.ts";
import { TokenService } from "./token.ts";

const secret = "kP3vX9tQ2mB7zR5wLcY8dF4gH6jN1sAe";
const key = new TextEncoder().encode(secret);
const lifetimeSeconds = 1800;
const nowMs = Date.UTC(2026, 10, 22, 12, 0, 0);
const nowSeconds = nowMs / 1000;
const subject = { userId: "01JUSER", username: "ada", tokenVersion: 3 };

const service = new TokenService({ secret, lifetimeSeconds });

const goodHeader = { alg: "HS256", typ: "at+jwt" };
const goodClaims = {
  iss: "llm-service",
  aud: "llm-service",
  sub: "01JUSER",
  username: "ada",
  sid: "01JSIGNIN",
  ver: 3,
  iat: nowSeconds,
  exp: nowSeconds + 60,
  jti: "01JTOKEN",
};

type Header = Readonly<{ alg: string; typ?: string; crit?: string[] }>;

const encode = (part: unknown) => Buffer.from(JSON.stringify(part)).toString("base64url");

/** Signs by hand, so that nothing keeps a test from making a token that no library would make. */
function forge(
  claims: Readonly<Record<string, unknown>>,
  header: Header = goodHeader,
  options: Readonly<{ key?: string | Uint8Array; hash?: string }> = {},
): string {
  const signed = `${encode(header)}.${encode(claims)}`;
  const { key: signingKey = secret, hash = "sha256" } = options;
  return `${signed}.${createHmac(hash, signingKey).update(signed).digest("base64url")}`;
}

function without(name: keyof typeof goodClaims): Record<string, unknown> {
  const { [name]: _left, ...rest } = goodClaims;
  return rest;
}

async function assertRefused(token: string, code: ErrorCode = "unauthorized"): Promise<void> {
  await assert.rejects(service.verify(token), { name: "AppError", code });
}

describe("TokenService.issue", () => {
  test("makes a typed token with every registered claim", async (t) => {
    t.mock.timers.enable({ apis: ["Date"], now: nowMs });
    const { accessToken, expiresInSeconds } = await service.issue(subject);
    assert.equal(expiresInSeconds, lifetimeSeconds);
    assert.equal(service.lifetimeSeconds, lifetimeSeconds);
    assert.deepEqual(decodeProtectedHeader(accessToken), goodHeader);
    const { jti, sid, ...claims } = decodeJwt(accessToken);
    assert.match(String(jti), /^[0-9A-Z]{26}$/);
    assert.match(String(sid), /^[0-9A-Z]{26}$/);
    assert.deepEqual(claims, {
      iss: "llm-service",
      aud: "llm-service",
      sub: "01JUSER",
      username: "ada",
      ver: 3,
      iat: nowSeconds,
      exp: nowSeconds + lifetimeSeconds,
    });
  });

  test("starts a new sign-in unless it is told to go on with one", async () => {
    const issue = async (signInId?: string) => {
      const { accessToken } = await service.issue({ ...subject, ...(signInId && { signInId }) });
      return decodeJwt(accessToken);
    };
    const [first, second, third] = [await issue(), await issue(), await issue("01JSIGNIN")];
    assert.notEqual(first.sid, second.sid);
    assert.equal(third.sid, "01JSIGNIN");
    assert.equal(new Set([first.jti, second.jti, third.jti]).size, 3);
  });
});

describe("TokenService.verify", () => {
  test("resolves to what it issued", async (t) => {
    t.mock.timers.enable({ apis: ["Date"], now: nowMs });
    const { accessToken } = await service.issue({ ...subject, signInId: "01JSIGNIN" });
    assert.deepEqual(await service.verify(accessToken), {
      ...subject,
      signInId: "01JSIGNIN",
      expiresAtMs: nowMs + lifetimeSeconds * 1000,
    });
  });

  test("accepts a token until its last second and not after", async (t) => {
    t.mock.timers.enable({ apis: ["Date"], now: nowMs });
    const { accessToken } = await service.issue(subject);
    t.mock.timers.setTime(nowMs + (lifetimeSeconds - 1) * 1000);
    assert.equal((await service.verify(accessToken)).userId, "01JUSER");
    t.mock.timers.setTime(nowMs + lifetimeSeconds * 1000);
    await assertRefused(accessToken, "token_expired");
  });

  test("holds old tokens to a lifetime that has become shorter", async (t) => {
    t.mock.timers.enable({ apis: ["Date"], now: nowMs });
    const { accessToken } = await service.issue(subject);
    const stricter = new TokenService({ secret, lifetimeSeconds: 60 });
    assert.equal((await stricter.verify(accessToken)).expiresAtMs, nowMs + 60_000);
    t.mock.timers.setTime(nowMs + 60_000);
    await assert.rejects(stricter.verify(accessToken), { code: "token_expired" });
    assert.equal((await service.verify(accessToken)).userId, "01JUSER");
  });

  test("accepts the forger's own good token, so that the refusals below mean something", async (t) => {
    t.mock.timers.enable({ apis: ["Date"], now: nowMs });
    assert.equal((await service.verify(forge(goodClaims))).signInId, "01JSIGNIN");
  });

  const refusals: Readonly<Record<string, () => string>> = {
    "of another issuer": () => forge({ ...goodClaims, iss: "other" }),
    "for another audience": () => forge({ ...goodClaims, aud: "other" }),
    "for several other audiences": () =>
      forge({ ...goodClaims, aud: ["other", "llm-service.evil"] }),
    "without a type": () => forge(goodClaims, { alg: "HS256" }),
    "of the general type": () => forge(goodClaims, { alg: "HS256", typ: "JWT" }),
    "of another type": () => forge(goodClaims, { alg: "HS256", typ: "rt+jwt" }),
    "that is not valid yet": () => forge({ ...goodClaims, nbf: nowSeconds + 60 }),
    "that never expires": () => forge(without("exp")),
    "that expires at no number": () => forge({ ...goodClaims, exp: "tomorrow" }),
    "issued at no number": () => forge({ ...goodClaims, iat: "yesterday" }),
    "without a subject": () => forge(without("sub")),
    "without a time of issue": () => forge(without("iat")),
    "without an id": () => forge(without("jti")),
    "without a sign-in": () => forge(without("sid")),
    "without a version": () => forge(without("ver")),
    "without an issuer": () => forge(without("iss")),
    "without an audience": () => forge(without("aud")),
    "that is not signed": () => `${encode({ ...goodHeader, alg: "none" })}.${encode(goodClaims)}.`,
    "that says none and is signed": () => forge(goodClaims, { ...goodHeader, alg: "none" }),
    "that says NONE": () => forge(goodClaims, { ...goodHeader, alg: "NONE" }),
    "signed by HS384": () => forge(goodClaims, { ...goodHeader, alg: "HS384" }, { hash: "sha384" }),
    "signed by HS512": () => forge(goodClaims, { ...goodHeader, alg: "HS512" }, { hash: "sha512" }),
    "that says RS256": () => forge(goodClaims, { ...goodHeader, alg: "RS256" }),
    "signed with another key": () => forge(goodClaims, goodHeader, { key: `${secret}x` }),
    "signed with an empty key": () => forge(goodClaims, goodHeader, { key: "" }),
    "with an unknown critical field": () => forge(goodClaims, { ...goodHeader, crit: ["x"] }),
    "without its signature": () => forge(goodClaims).replace(/[^.]+$/, ""),
    "of two parts": () => forge(goodClaims).replace(/\.[^.]+$/, ""),
    "of four parts": () => `${forge(goodClaims)}.x`,
    "with a space": () => ` ${forge(goodClaims)}`,
    "that holds a list": () => forge(goodClaims).replace(/\..*\./, `.${encode([1])}.`),
    "that is empty": () => "",
    "that is a word": () => "null",
    "that is only dots": () => "..",
    "of 100 KB": () => "a".repeat(100_000),
    "with a foreign character": () => forge(goodClaims).replace(/\.(.)/, ".é"),
  };
  for (const [kind, make] of Object.entries(refusals)) {
    test(`refuses a token ${kind}`, async (t) => {
      t.mock.timers.enable({ apis: ["Date"], now: nowMs });
      await assertRefused(make());
    });
  }

  test("refuses an expired token as expired only when its signature is good", async (t) => {
    t.mock.timers.enable({ apis: ["Date"], now: nowMs });
    const expired = { ...goodClaims, exp: nowSeconds - 1 };
    await assertRefused(forge(expired), "token_expired");
    await assertRefused(forge(expired, goodHeader, { key: "another" }));
  });

  test("refuses a token of which any character of header or claims was changed", async () => {
    const { accessToken } = await service.issue(subject);
    const end = accessToken.lastIndexOf(".");
    for (let index = 0; index < end; index++) {
      const character = accessToken[index] === "A" ? "B" : "A";
      if (accessToken[index] === ".") continue;
      await assertRefused(accessToken.slice(0, index) + character + accessToken.slice(index + 1));
    }
  });

  test("refuses a token of which any byte of the signature was changed", async () => {
    const { accessToken } = await service.issue(subject);
    const end = accessToken.lastIndexOf(".") + 1;
    const signature = Buffer.from(accessToken.slice(end), "base64url");
    for (const index of signature.keys()) {
      const changed = Buffer.from(signature);
      changed.writeUInt8(changed.readUInt8(index) ^ 1, index);
      await assertRefused(accessToken.slice(0, end) + changed.toString("base64url"));
    }
  });

  test("refuses a token signed with a key pair and one that is encrypted", async () => {
    const { privateKey } = await generateKeyPair("ES256");
    const signed = await new SignJWT(goodClaims)
      .setProtectedHeader({ alg: "ES256", typ: "at+jwt" })
      .sign(privateKey);
    await assertRefused(signed);
    const encrypted = await new CompactEncrypt(new TextEncoder().encode(JSON.stringify(goodClaims)))
      .setProtectedHeader({ alg: "dir", enc: "A256GCM", typ: "at+jwt" })
      .encrypt(key);
    await assertRefused(encrypted);
  });

  test("keeps the token out of what it says", async () => {
    const token = forge(goodClaims, goodHeader, { key: "another" });
    const error = await service.verify(token).then(
      () => assert.fail("it was accepted"),
      (reason: Error) => reason,
    );
    assert.ok(!`${error.message}${JSON.stringify(error)}`.includes(token.slice(0, 20)));
  });
});
