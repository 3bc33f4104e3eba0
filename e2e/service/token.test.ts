import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { decodeJwt, decodeProtectedHeader, SignJWT } from "jose";

import { storedBytes, startChecked, type Checked, type Sent } from "./http-support.ts";

const secret = "f3vQz8Lr2mXw9KdPq7TnYb4HjUc6RsEaGi1OoVkM";
const account = { username: "Ada.Lovelace", password: "analytical engine №1" };

describe("POST /token", () => {
  let checked: Checked;
  before(async () => {
    checked = await startChecked({ env: { SECRET_KEY: secret } });
    assert.equal((await checked.call("/register", { json: account })).status, 201);
  });
  after(() => checked[Symbol.asyncDispose]());

  it("gives a typed token with every claim that a verifier needs", async () => {
    const { status, body } = await checked.call("/token", { form: account });
    assert.equal(status, 200);
    assert.deepEqual([body.token_type, body.expires_in], ["bearer", 1800]);
    assert.deepEqual(decodeProtectedHeader(body.access_token), { alg: "HS256", typ: "at+jwt" });
    const claims = decodeJwt(body.access_token);
    assert.deepEqual([claims.iss, claims.aud], ["llm-service", "llm-service"]);
    assert.match(`${claims.sub} ${claims.jti}`, /^\w{26} \w{26}$/);
    assert.equal((claims.exp ?? 0) - (claims.iat ?? 0), 1800);
    const used = await checked.call("/sessions", { token: body.access_token });
    assert.equal(used.status, 200);
  });

  it("takes the name in any case and width, and grant_type=password or an empty one", async () => {
    const password = account.password;
    const forms = [
      { username: "ADA.lovelace", password },
      { username: "Ａda.Lovelace", password },
      { ...account, grant_type: "password" },
      { ...account, grant_type: "" },
      { ...account, scope: "", client_id: "anything" },
    ];
    for (const form of forms) {
      const { status, text } = await checked.call("/token", { form });
      assert.equal(status, 200, `${JSON.stringify(form)} ${text}`);
    }
  });

  it("refuses a wrong password, an unknown name and the stored hash with one answer", async () => {
    const [hash = ""] = /\$argon2id\$[\w$=,+/]+/.exec(
      await storedBytes(checked.service.dataDir),
    ) as RegExpExecArray;
    const answers = await Promise.all(
      [
        { username: account.username, password: "wrong" },
        { username: "nobody", password: account.password },
        { username: "no\0body", password: "'; drop table users; --" },
        { username: account.username, password: hash },
        { username: "testuser", password: "password" },
      ].map((form) => checked.call("/token", { form })),
    );
    assert.deepEqual([...new Set(answers.map(({ status }) => status))], [401]);
    assert.deepEqual(
      [...new Set(answers.map(({ text }) => text))],
      [
        JSON.stringify({
          error: "invalid_grant",
          error_description: "The username or the password is wrong.",
          detail: "The username or the password is wrong.",
        }),
      ],
    );
    for (const { headers } of answers) assert.equal(headers["www-authenticate"], "Bearer");
  });

  const malformed: [string, Sent, number, string][] = [
    ["no password", { form: { username: "a" } }, 400, "invalid_request"],
    ["no username", { form: { password: "a" } }, 400, "invalid_request"],
    ["an empty username", { form: { username: "", password: "a" } }, 400, "invalid_request"],
    ["an empty body", { form: "" }, 400, "invalid_request"],
    ["a repeated field", { form: "username=a&password=b&username=c" }, 400, "invalid_request"],
    [
      "another grant type",
      { form: { ...account, grant_type: "client_credentials" } },
      400,
      "unsupported_grant_type",
    ],
    [
      "a name that is too long",
      { form: { ...account, username: "a".repeat(129) } },
      400,
      "invalid_request",
    ],
    ["JSON", { json: account }, 415, "unsupported_media_type"],
    ["no media type", { raw: "username=a&password=b" }, 415, "unsupported_media_type"],
    [
      "bytes that are not UTF-8",
      {
        raw: Buffer.from([0x75, 0xff]),
        headers: { "content-type": "application/x-www-form-urlencoded" },
      },
      400,
      "invalid_request",
    ],
    ["GET", { method: "GET" }, 405, "method_not_allowed"],
  ];
  for (const [what, sent, status, code] of malformed) {
    it(`refuses ${what} with ${status} ${code}`, async () => {
      const answer = await checked.call("/token", sent);
      assert.deepEqual([answer.status, answer.body.error ?? answer.body.code], [status, code]);
      assert.equal(typeof answer.body.detail, "string");
      if (status === 405) assert.equal(answer.headers.allow, "POST");
      await checked.assertUnharmed();
    });
  }

  it("takes the same time for a name that exists and for one that does not", async () => {
    const time = async (username: string) => {
      const since = performance.now();
      await checked.call("/token", { form: { username, password: "wrong" } });
      return performance.now() - since;
    };
    const medianRatio = async () => {
      const ratios: number[] = [];
      for (let round = 0; round < 30; round += 1) {
        // Neighbours in time meet the same load, and neither is always the first.
        const unknownFirst = round % 2 === 0 ? await time("nobody") : undefined;
        const known = await time(account.username);
        ratios.push(known / (unknownFirst ?? (await time("nobody"))));
      }
      return ratios.toSorted((a, b) => a - b)[ratios.length >> 1] ?? 0;
    };
    // A busy machine may spoil one measurement; a real difference spoils all three.
    const measured: number[] = [];
    const isEven = (ratio = 0) => ratio > 0.8 && ratio < 1.25;
    while (measured.length < 3 && !isEven(measured.at(-1))) measured.push(await medianRatio());
    assert.ok(isEven(measured.at(-1)), `ratios ${measured.join(", ")}`);
  });

  it("stores a salted argon2id hash and the password nowhere, its log included", async () => {
    const twin = { username: "twin", password: account.password };
    assert.equal((await checked.call("/register", { json: twin })).status, 201);
    const stored = await storedBytes(checked.service.dataDir);
    const hashes = [
      ...stored.matchAll(/\$argon2id\$v=19\$m=(\d+),t=(\d+),p=\d+\$([\w+/]+)\$[\w+/]+/g),
    ];
    assert.ok(hashes.length >= 2);
    for (const [, memory, time] of hashes) {
      assert.ok(Number(memory) >= 19_456 && Number(time) >= 2, `${memory} ${time}`);
    }
    const salts = new Set(hashes.map(([, , , salt]) => salt));
    assert.ok(salts.size >= 2, "two users with one password share a salt");
    const secrets = [account.password, Buffer.from(account.password).toString("latin1"), secret];
    for (const each of secrets) {
      assert.ok(!stored.includes(each), "a secret is in the data folder");
      assert.ok(!checked.service.output.includes(each), "a secret is in the log");
    }
  });
});

describe("a token", () => {
  let checked: Checked;
  let token: string;
  before(async () => {
    checked = await startChecked({ env: { SECRET_KEY: secret } });
    token = await checked.newUser("holder");
  });
  after(() => checked[Symbol.asyncDispose]());

  type Forgery = Readonly<{ claims?: object; header?: object; key?: string }>;
  const sign = ({ claims, header, key = secret }: Forgery) =>
    new SignJWT({ ...decodeJwt(token), ...claims })
      .setProtectedHeader({ alg: "HS256", typ: "at+jwt", ...header })
      .sign(new TextEncoder().encode(key));

  const forgeries: [string, Forgery, string][] = [
    ["signed with another key", { key: secret.toLowerCase() }, "Bearer"],
    ["of another type", { header: { typ: "JWT" } }, "Bearer"],
    ["of another algorithm", { header: { alg: "HS512" } }, "Bearer"],
    ["of another issuer", { claims: { iss: "other" } }, "Bearer"],
    ["for another audience", { claims: { aud: "other" } }, "Bearer"],
    ["without a user", { claims: { sub: undefined } }, "Bearer"],
    ["without an end", { claims: { exp: undefined } }, "Bearer"],
    ["past its end", { claims: { exp: 1_700_000_000 } }, 'Bearer error="invalid_token"'],
    ["not valid yet", { claims: { nbf: 4_000_000_000 } }, "Bearer"],
    [
      "of a user that is gone",
      { claims: { sub: "01KC0ZJ3V8T9Q2M4N6P8R0S2T4" } },
      'Bearer error="invalid_token"',
    ],
    ["of an older version", { claims: { ver: -1 } }, 'Bearer error="invalid_token"'],
  ];

  it("is taken as the service signed it", async () => {
    assert.equal((await checked.call("/sessions", { token: await sign({}) })).status, 200);
  });

  for (const [what, forgery, challenge] of forgeries) {
    it(`is refused when it is ${what}`, async () => {
      const { status, headers } = await checked.call("/sessions", { token: await sign(forgery) });
      assert.deepEqual([status, headers["www-authenticate"]], [401, challenge]);
    });
  }

  it("is refused unsigned and with a signature that was changed", async () => {
    const [head = "", claims = "", signature = ""] = token.split(".");
    const none = Buffer.from('{"alg":"none","typ":"at+jwt"}').toString("base64url");
    const flipped = `${signature.startsWith("A") ? "B" : "A"}${signature.slice(1)}`;
    for (const forged of [
      `${none}.${claims}.`,
      `${head}.${claims}.`,
      `${head}.${claims}.${flipped}`,
    ]) {
      assert.equal((await checked.call("/sessions", { token: forged })).status, 401);
    }
  });
});
