import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import dgram from "node:dgram";
import dns, { lookup as importedLookup } from "node:dns";
import { once } from "node:events";
import http from "node:http";
import http2 from "node:http2";
import https from "node:https";
import net from "node:net";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import tls from "node:tls";
import { promisify } from "node:util";

import { WebSocket } from "ws";

import { guardedNodeOptions } from "./guarded-node-options.ts";
import { isLoopbackAddress, LoopbackGuardError } from "./loopback-guard.ts";

// Importing the guard has put it over this process. The addresses are those kept for documentation
// (RFC 5737, RFC 3849) and the names end in .test (RFC 6761), so that a guard that fails still
// reaches nobody.
const outsideV4 = "192.0.2.1";
const outsideV6 = "2001:db8::1";
const outsideName = "provider.test";

const run = promisify(execFile);

type Attempt = () => Promise<unknown>;

const failure = (emitter: NodeJS.EventEmitter) =>
  once(emitter, "error").then(([error]) => Promise.reject(error as Error));

/** A lookup that answers every name with these addresses. */
function answering(...addresses: [string, ...string[]]): net.LookupFunction {
  return (_name, options, callback) => {
    if (options.all)
      callback(
        null,
        addresses.map((address) => ({ address, family: 4 })),
      );
    else callback(null, addresses[0], 4);
  };
}

const refused: Record<string, Attempt> = {
  "a TCP connection to an IPv4 address": () => failure(net.connect(80, outsideV4)),
  "a TCP connection to an IPv6 address": () => failure(net.connect({ port: 80, host: outsideV6 })),
  "a TCP connection of a socket made by hand": () =>
    failure(new net.Socket().connect({ port: 80, host: outsideV4 })),
  "a TCP connection to 0.0.0.0": () => failure(net.connect(80, "0.0.0.0")),
  "a TCP connection to a mapped address": () => failure(net.connect(80, `::ffff:${outsideV4}`)),
  "a TCP connection to a name": () => failure(net.connect(80, outsideName)),
  "a TCP connection to a number that means an address": () =>
    failure(net.connect(80, "3221225985")),
  "a TCP connection whose own lookup leads outside": () =>
    failure(net.connect({ port: 80, host: outsideName, lookup: answering(outsideV4) })),
  "a TCP connection whose own lookup leads outside among others": () =>
    failure(
      net.connect({
        port: 80,
        host: outsideName,
        lookup: answering("127.0.0.1", outsideV4),
        autoSelectFamily: true,
      }),
    ),
  "a TLS connection": () => failure(tls.connect(443, outsideV4)),
  "an HTTP request": () => failure(http.get(`http://${outsideV4}/`)),
  "an HTTPS request": () => failure(https.get(`https://${outsideName}/`)),
  "an HTTP/2 session": () => failure(http2.connect(`https://${outsideV4}`)),
  "a fetch of an address": () => fetch(`http://${outsideV4}/`),
  "a fetch of a name": () => fetch(`https://${outsideName}/`),
  "a WebSocket of the ws package": () => failure(new WebSocket(`ws://${outsideV4}/`)),
  "a lookup": () => promisify(dns.lookup)(outsideName),
  "a lookup by an imported name": () => promisify(importedLookup)(outsideName),
  "a promised lookup": () => dns.promises.lookup(outsideName),
  "a query": () => promisify(dns.resolve4)(outsideName),
  "a promised query": () => dns.promises.resolve(outsideName),
  "a query of a resolver": () => {
    const resolver = new dns.promises.Resolver();
    resolver.setServers([outsideV4]);
    return resolver.resolve4(outsideName);
  },
  "a reverse query": () => promisify(dns.reverse)(outsideV4),
  "a lookup of a service": () => dns.promises.lookupService(outsideV4, 80),
  "a datagram": async () => {
    const socket = dgram.createSocket("udp4");
    try {
      socket.send("x", 9, outsideV4);
    } finally {
      socket.close();
    }
  },
  "a datagram of a part of a buffer": async () => {
    const socket = dgram.createSocket("udp4");
    try {
      socket.send(Buffer.from("xyz"), 1, 1, 9, outsideName);
    } finally {
      socket.close();
    }
  },
  "a connected datagram socket": async () => {
    const socket = dgram.createSocket("udp4");
    try {
      socket.connect(9, outsideV4);
    } finally {
      socket.close();
    }
  },
};

function isRefusal(error: unknown): boolean {
  const cause = error instanceof Error && error.cause ? error.cause : error;
  assert.ok(cause instanceof LoopbackGuardError, String(cause));
  assert.equal(cause.code, "ERR_LOOPBACK_GUARD");
  return true;
}

describe("the loopback guard", () => {
  for (const [name, attempt] of Object.entries(refused)) {
    it(`refuses ${name} and says so on stderr`, async (t) => {
      const write = t.mock.method(process.stderr, "write", () => true);
      await assert.rejects(attempt, isRefusal);
      const lines = write.mock.calls.map((call) => String(call.arguments[0]));
      assert.match(lines.join(""), /^loopback-guard refused .+\n$/);
    });
  }

  it("lets TCP, HTTP and fetch through to loopback by address and by localhost", async (t) => {
    const server = http.createServer((_request, response) => response.end("here"));
    t.after(() => server.close());
    server.listen(0, "localhost");
    await once(server, "listening");
    const { port, address, family } = server.address() as AddressInfo;
    const literal = family === "IPv6" ? `[${address}]` : address;
    for (const host of [literal, "localhost"]) {
      const answer = await fetch(`http://${host}:${port}/`, { headers: { connection: "close" } });
      assert.equal(await answer.text(), "here");
    }
    const socket = net.connect({ port, host: "localhost" });
    t.after(() => socket.destroy());
    await once(socket, "connect");
  });

  it("lets a lookup of the caller's own through when it leads to loopback", async (t) => {
    const server = net.createServer((socket) => socket.end("here"));
    t.after(() => server.close());
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address() as AddressInfo;
    const socket = net.connect({ port, host: outsideName, lookup: answering("127.0.0.1") });
    const [data] = (await once(socket, "data")) as [Buffer];
    assert.equal(data.toString(), "here");
  });

  it("lets unix sockets through", async (t) => {
    const path = join(tmpdir(), `loopback-guard-${process.pid}.sock`);
    const server = net.createServer((socket) => socket.end("here"));
    t.after(() => server.close());
    server.listen(path);
    await once(server, "listening");
    for (const socket of [net.connect(path), net.connect({ path })]) {
      const [data] = (await once(socket, "data")) as [Buffer];
      assert.equal(data.toString(), "here");
    }
  });

  it("lets datagrams through to loopback", async (t) => {
    const [receiver, sender] = [dgram.createSocket("udp4"), dgram.createSocket("udp4")];
    t.after(() => [receiver.close(), sender.close()]);
    receiver.bind(0, "127.0.0.1");
    await once(receiver, "listening");
    const received = once(receiver, "message");
    sender.send("here", receiver.address().port, "127.0.0.1");
    const [data] = (await received) as [Buffer];
    assert.equal(data.toString(), "here");
  });

  it("knows which literals are loopback", () => {
    const literals = {
      "127.0.0.1": true,
      "127.255.255.254": true,
      "::1": true,
      "::ffff:127.0.0.1": true,
      "128.0.0.1": false,
      "10.0.0.1": false,
      "0.0.0.0": false,
      "::": false,
      "fe80::1": false,
      "::ffff:10.0.0.1": false,
      localhost: false,
    };
    for (const [literal, expected] of Object.entries(literals)) {
      assert.equal(isLoopbackAddress(literal), expected, literal);
    }
  });

  it("covers a process, its workers and its children when NODE_OPTIONS preloads it", async () => {
    // Nobody listens there; a guard that fails reaches this machine only.
    const attempt = `fetch("http://0.0.0.0:20123/").catch((error) => console.log(error.cause.code))`;
    const everywhere = `
      const attempt = ${JSON.stringify(attempt)};
      const stdio = ["ignore", "inherit", "ignore"];
      require("node:child_process").spawnSync(process.execPath, ["-e", attempt], { stdio });
      new (require("node:worker_threads").Worker)(attempt, { eval: true });
      eval(attempt);
    `;
    const { stdout } = await run(process.execPath, ["-e", everywhere], {
      env: { NODE_ENV: "test", PATH: process.env.PATH, NODE_OPTIONS: guardedNodeOptions() },
    });
    assert.deepEqual(stdout.trim().split("\n"), Array(3).fill("ERR_LOOPBACK_GUARD"));
  });
});
