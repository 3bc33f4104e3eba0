import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import type { LookupAddress } from "node:dns";
import { once } from "node:events";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { isIPv6, type AddressInfo, type LookupFunction, type Server as NetServer } from "node:net";
import { describe, test, type TestContext } from "node:test";
import { createServer as createTlsServer } from "node:tls";
import { promisify } from "node:util";
import { type AppError, isAppError } from "#lib/errors.ts";
import { createGuardedFetch, createPublicLookup } from "./guarded-fetch.ts";

type Listener = Readonly<{ port: number; server: Server; connectionCount: () => number }>;

type Answer = (request: IncomingMessage, response: ServerResponse) => unknown;

/** A listener that counts who connects; nobody should, where it stands for a private service. */
async function listen(
  t: TestContext,
  address: string,
  answer: Answer = (_request, response) => response.end("ok"),
): Promise<Listener> {
  const server = createServer((request, response) => void answer(request, response));
  let connections = 0;
  server.on("connection", () => connections++);
  const port = await open(t, server, address);
  t.after(() => server.closeAllConnections());
  return { port, server, connectionCount: () => connections };
}

async function open(t: TestContext, server: NetServer, address: string): Promise<number> {
  server.listen(0, address);
  await once(server, "listening");
  t.after(() => server.close());
  return (server.address() as AddressInfo).port;
}

type FakeLookup = LookupFunction & { asked: string[] };

/** Resolves the names of the table and no others, without asking the network. */
function lookupFrom(table: Readonly<Record<string, readonly string[]>>): FakeLookup {
  const asked: string[] = [];
  const lookup: LookupFunction = (hostname, _options, callback) => {
    asked.push(hostname);
    const addresses = table[hostname]?.map(toLookupAddress);
    const missing = Object.assign(new Error("not found"), { code: "ENOTFOUND" });
    setImmediate(() => callback(addresses ? null : missing, addresses ?? []));
  };
  return Object.assign(lookup, { asked });
}

function toLookupAddress(address: string): LookupAddress {
  return { address, family: isIPv6(address) ? 6 : 4 };
}

async function refusalOf(promise: Promise<unknown>): Promise<AppError> {
  const error = await promise.then(
    () => assert.fail("it was not refused"),
    (reason: unknown) => reason,
  );
  assert.ok(isAppError(error), String(error));
  assert.equal(error.code, "invalid_base_url");
  return error;
}

/** Runs a lookup as `net.connect` would. */
function resolve(lookup: LookupFunction, hostname: string): Promise<LookupAddress[]> {
  return new Promise((settle, fail) => {
    lookup(hostname, { all: true }, (error, addresses) =>
      error ? fail(error) : settle(addresses as LookupAddress[]),
    );
  });
}

describe("createPublicLookup", () => {
  test("hands on the very addresses that it checked, after asking once", async () => {
    const addresses = ["1.1.1.1", "2606:4700:4700::1111"];
    const lookup = lookupFrom({ "models.example": addresses });
    const found = await resolve(createPublicLookup(lookup), "models.example");
    assert.deepEqual(found, addresses.map(toLookupAddress));
    assert.deepEqual(lookup.asked, ["models.example"]);
  });

  test("asks for all addresses, also where the socket wants one", () => {
    const asked: unknown[] = [];
    const lookup = createPublicLookup((_hostname, options) => asked.push(options));
    lookup("models.example", { family: 4 }, () => undefined);
    assert.deepEqual(asked, [{ family: 4, all: true }]);
  });

  const refused: readonly (readonly string[])[] = [
    ["127.0.0.1"],
    ["::1"],
    ["::ffff:127.0.0.1"],
    ["64:ff9b::7f00:1"],
    ["169.254.169.254"],
    ["10.0.0.1"],
    ["100.64.0.1"],
    ["fd00::1"],
    ["fe80::1%eth0"],
    ["0.0.0.0"],
    ["1.1.1.1", "127.0.0.1"],
    ["127.0.0.1", "1.1.1.1"],
    ["2606:4700:4700::1111", "::1"],
    [],
  ];
  for (const addresses of refused) {
    test(`refuses a name that resolves to ${addresses.join(" and ") || "nothing"}`, async () => {
      const lookup = createPublicLookup(lookupFrom({ "models.example": addresses }));
      await refusalOf(resolve(lookup, "models.example"));
    });
  }

  test("does not tell a name that does not exist from a private one", async () => {
    const lookup = createPublicLookup(lookupFrom({ "private.example": ["10.0.0.1"] }));
    const [missing, existing] = await Promise.all([
      refusalOf(resolve(lookup, "missing.example")),
      refusalOf(resolve(lookup, "private.example")),
    ]);
    assert.equal(missing.message, existing.message);
    assert.deepEqual(missing.errors, existing.errors);
  });

  test("hands on a resolver's own failure, which may pass", async () => {
    const failure = Object.assign(new Error("try again"), { code: "EAI_AGAIN" });
    const lookup = createPublicLookup((_hostname, _options, callback) => callback(failure, []));
    await assert.rejects(resolve(lookup, "models.example"), failure);
  });
});

describe("createGuardedFetch", () => {
  test("refuses a private address without a connection or a lookup", async (t) => {
    const canary = await listen(t, "127.0.0.2");
    const lookup = lookupFrom({});
    const guardedFetch = createGuardedFetch({ allowedHosts: ["127.0.0.3:80"], lookup });
    for (const host of ["127.0.0.2", "2130706434", "0x7f.2", "[::ffff:127.0.0.2]"]) {
      for (const scheme of ["http", "https"]) {
        await refusalOf(guardedFetch(`${scheme}://${host}:${canary.port}/v1`));
      }
    }
    assert.equal(canary.connectionCount(), 0);
    assert.deepEqual(lookup.asked, []);
  });

  for (const address of ["127.0.0.2", "::ffff:127.0.0.2"]) {
    test(`refuses a name that resolves to ${address} without a connection`, async (t) => {
      const canary = await listen(t, "127.0.0.2");
      const lookup = lookupFrom({ "models.example": [address] });
      const guardedFetch = createGuardedFetch({ allowedHosts: [], lookup });
      const url = `https://models.example:${canary.port}/v1/chat/completions`;
      const refusals = await Promise.all([
        refusalOf(guardedFetch(url)),
        refusalOf(guardedFetch(url, { method: "POST", body: "{}" })),
      ]);
      assert.equal(canary.connectionCount(), 0);
      for (const { message } of refusals) assert.doesNotMatch(message, /127|models\.example/);
    });
  }

  test("refuses plain http to a host that is not permitted", async () => {
    const lookup = lookupFrom({ "models.example": ["1.1.1.1"] });
    const guardedFetch = createGuardedFetch({ allowedHosts: [], lookup });
    await refusalOf(guardedFetch("http://models.example/v1"));
    assert.deepEqual(lookup.asked, []);
  });

  test("permits a host only on the port that is listed", async (t) => {
    const [permitted, canary] = [await listen(t, "127.0.0.2"), await listen(t, "127.0.0.2")];
    const lookup = lookupFrom({ "gpu.lan": ["127.0.0.2"] });
    const allowedHosts = [`gpu.lan:${permitted.port}`, `127.0.0.2:${permitted.port}`];
    const guardedFetch = createGuardedFetch({ allowedHosts, lookup });
    for (const host of ["gpu.lan", "127.0.0.2", "127.2"]) {
      const response = await guardedFetch(`http://${host}:${permitted.port}/v1`);
      assert.equal(await response.text(), "ok");
      await refusalOf(guardedFetch(`http://${host}:${canary.port}/v1`));
    }
    assert.equal(canary.connectionCount(), 0);
  });

  test("sends method, headers and body, and resolves the name once for each connection", async (t) => {
    const upstream = await listen(t, "127.0.0.1", async (request, response) => {
      const body = (await request.toArray()).join("");
      const { method, url, headers } = request;
      response.writeHead(201, { "content-type": "application/json" });
      response.end(JSON.stringify({ method, url, key: headers.authorization, body }));
    });
    const lookup = lookupFrom({ "gpu.lan": ["127.0.0.1"] });
    const guardedFetch = createGuardedFetch({ allowedHosts: [`gpu.lan:${upstream.port}`], lookup });
    const bodies = Array.from({ length: 10 }, (_, index) => `body ${index}`);
    for (const body of bodies) {
      const response = await guardedFetch(new URL(`http://gpu.lan:${upstream.port}/v1/chat`), {
        method: "POST",
        headers: { authorization: "Bearer key" },
        body,
      });
      assert.equal(response.status, 201);
      const expected = { method: "POST", url: "/v1/chat", key: "Bearer key", body };
      assert.deepEqual(await response.json(), expected);
    }
    assert.equal(lookup.asked.length, upstream.connectionCount());
    assert.ok(upstream.connectionCount() < bodies.length, "connections are used again");
  });

  test("streams an answer as it comes", async (t) => {
    const steps = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    const upstream = await listen(t, "127.0.0.1", async (_request, response) => {
      for (const [index, { promise }] of steps.entries()) {
        await promise;
        response.write(`data: ${index}\n\n`);
      }
      response.end();
    });
    const guardedFetch = createGuardedFetch({ allowedHosts: [`127.0.0.1:${upstream.port}`] });
    steps[0]?.resolve();
    const response = await guardedFetch(`http://127.0.0.1:${upstream.port}`);
    const chunks: string[] = [];
    for await (const chunk of response.body?.pipeThrough(new TextDecoderStream()) ?? []) {
      chunks.push(chunk);
      steps[1]?.resolve();
    }
    assert.deepEqual(chunks, ["data: 0\n\n", "data: 1\n\n"]);
  });

  for (const moment of ["before the headers", "in the middle of a stream"] as const) {
    test(`closes the connection when aborted ${moment}`, async (t) => {
      const controller = new AbortController();
      const closed = Promise.withResolvers<void>();
      const upstream = await listen(t, "127.0.0.1", (request, response) => {
        request.socket.once("close", closed.resolve);
        if (moment === "before the headers") controller.abort();
        else response.write("data: 0\n\n");
      });
      const guardedFetch = createGuardedFetch({ allowedHosts: [`127.0.0.1:${upstream.port}`] });
      const { signal } = controller;
      const read = async () => {
        const response = await guardedFetch(`http://127.0.0.1:${upstream.port}`, { signal });
        const reader = response.body?.getReader();
        await reader?.read();
        controller.abort();
        await reader?.read();
      };
      await assert.rejects(read(), { name: "AbortError" });
      await closed.promise;
    });
  }

  test("refuses every redirect and closes its connection", async (t) => {
    const canary = await listen(t, "127.0.0.2");
    const closed: Promise<unknown>[] = [];
    const upstream = await listen(t, "127.0.0.1", (request, response) => {
      closed.push(once(request.socket, "close"));
      const location = `http://127.0.0.2:${canary.port}/`;
      response.writeHead(Number(request.url?.slice(1)), { location }).write("moved");
    });
    const allowedHosts = [`127.0.0.1:${upstream.port}`, `127.0.0.2:${canary.port}`];
    const guardedFetch = createGuardedFetch({ allowedHosts });
    for (const status of [301, 302, 303, 307, 308]) {
      const url = `http://127.0.0.1:${upstream.port}/${status}`;
      const refusal = await refusalOf(guardedFetch(url, { redirect: "follow" }));
      assert.match(refusal.message, /redirect/);
      assert.doesNotMatch(refusal.message, /127/);
    }
    await Promise.all(closed);
    assert.equal(closed.length, 5);
    assert.equal(canary.connectionCount(), 0);
  });

  test("hands on an answer that is an error and a connection that fails", async (t) => {
    const upstream = await listen(t, "127.0.0.1", (_request, response) => {
      response.writeHead(429, { "retry-after": "2" }).end("slow down");
    });
    const url = `http://127.0.0.1:${upstream.port}`;
    const guardedFetch = createGuardedFetch({ allowedHosts: [`127.0.0.1:${upstream.port}`] });
    const response = await guardedFetch(url);
    assert.deepEqual([response.status, response.headers.get("retry-after")], [429, "2"]);
    assert.equal(await response.text(), "slow down");

    upstream.server.closeAllConnections();
    upstream.server.close();
    await once(upstream.server, "close");
    await assert.rejects(guardedFetch(url), { name: "TypeError", message: "fetch failed" });
  });

  test("asks for the certificate of the name, not of the address", async (t) => {
    const asked = Promise.withResolvers<string>();
    const server = createTlsServer({
      SNICallback: (servername, callback) => {
        asked.resolve(servername);
        callback(new Error("no certificate"));
      },
    });
    const port = await open(t, server, "127.0.0.1");
    const lookup = lookupFrom({ "gpu.example.com": ["127.0.0.1"] });
    const guardedFetch = createGuardedFetch({ allowedHosts: [`gpu.example.com:${port}`], lookup });
    const failed = assert.rejects(guardedFetch(`https://gpu.example.com:${port}`), TypeError);
    assert.equal(await asked.promise, "gpu.example.com");
    await failed;
  });

  test("does not use the environment's proxy", async (t) => {
    const proxy = await listen(t, "127.0.0.2");
    const upstream = await listen(t, "127.0.0.1");
    const url = `http://127.0.0.1:${upstream.port}/`;
    const module = new URL("./guarded-fetch.ts", import.meta.url).href;
    const script = `
      const { createGuardedFetch } = await import(${JSON.stringify(module)});
      const options = { allowedHosts: ["127.0.0.1:${upstream.port}"] };
      const response = await createGuardedFetch(options)("${url}");
      process.stdout.write(await response.text());
    `;
    const proxyUrl = `http://127.0.0.2:${proxy.port}`;
    const env = {
      ...process.env,
      NODE_USE_ENV_PROXY: "1",
      HTTP_PROXY: proxyUrl,
      http_proxy: proxyUrl,
      ALL_PROXY: proxyUrl,
      NO_PROXY: "",
      no_proxy: "",
    };
    const run = promisify(execFile);
    const { stdout } = await run(process.execPath, ["--input-type=module", "-e", script], { env });
    assert.equal(stdout, "ok");
    assert.equal(proxy.connectionCount(), 0);
    assert.equal(upstream.connectionCount(), 1);
  });

  test("rejects what is neither a string nor a URL", async () => {
    const guardedFetch = createGuardedFetch({ allowedHosts: ["127.0.0.1:1"] });
    await assert.rejects(guardedFetch(new Request("http://127.0.0.1:9999")), TypeError);
  });
});
