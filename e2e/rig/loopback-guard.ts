/**
 * A preload (see guarded-node-options.ts): from here on the process reaches nothing but 127.0.0.0/8,
 * ::1 and unix sockets, so that a failing test reaches nobody. Refusals surface where a real failure
 * would (an `error` event, a rejected promise, a callback; UDP throws) as a {@link LoopbackGuardError},
 * before a packet is sent, and put one line on stderr, so that a test sees an attempt that the code
 * under test swallowed.
 *
 * - TCP and TLS (and what stands on them: http, https, http2, fetch, WebSocket): a literal address is
 *   checked; a name goes through the caller's own `lookup` and every address it gives is checked.
 * - The system resolver is asked for `localhost` alone, since asking it for any other name may send
 *   a packet. `dns.resolve*` works only with name servers on loopback.
 * - UDP: the destination must be a loopback address or `localhost`.
 *
 * It does not see programs in other languages that the process starts, nor native code.
 */
import dgram from "node:dgram";
import dns from "node:dns";
import { syncBuiltinESMExports } from "node:module";
import net from "node:net";

/** What a refused attempt fails with; `code` is `ERR_LOOPBACK_GUARD`. */
export class LoopbackGuardError extends Error {
  override readonly name = "LoopbackGuardError";
  readonly code = "ERR_LOOPBACK_GUARD";

  constructor(attempt: string) {
    super(`loopback-guard refused ${attempt}: tests may only reach 127.0.0.0/8 and ::1`);
  }
}

type AnyFunction = (...args: unknown[]) => unknown;
type Host = Record<string, AnyFunction>;
type LookupCallback = (error: Error | null, address?: unknown, family?: number) => void;
type Lookup = (hostname: string, options: object, callback: LookupCallback) => void;
type ConnectOptions = {
  host?: string | null;
  port?: unknown;
  path?: string | null;
  lookup?: Lookup;
};

const loopback = new net.BlockList();
loopback.addSubnet("127.0.0.0", 8);
loopback.addAddress("::1", "ipv6");

/** True for an address literal in 127.0.0.0/8 (also IPv4-mapped) or ::1; false for every name. */
export function isLoopbackAddress(address: string): boolean {
  const family = net.isIP(address);
  return family !== 0 && loopback.check(address, family === 6 ? "ipv6" : "ipv4");
}

function refuse(attempt: string): LoopbackGuardError {
  const error = new LoopbackGuardError(attempt);
  process.stderr.write(`${error.message}\n`);
  return error;
}

/** True where the system resolver answers without asking anybody: no name, a literal, localhost. */
function isAskedLocally(name: unknown): boolean {
  return typeof name !== "string" || ["", "localhost"].includes(name) || net.isIP(name) !== 0;
}

function checkDestination(address: unknown): void {
  if (typeof address !== "string" || ["", "localhost"].includes(address)) return;
  if (!isLoopbackAddress(address)) throw refuse(`a datagram to ${address}`);
}

/** Wraps a lookup so that it fails as soon as one of its answers lies outside. */
function checkedLookup(lookup: Lookup, attempt: string): Lookup {
  return (hostname, options, callback) => {
    lookup(hostname, options, (error, address, family) => {
      if (error) return callback(error);
      const entries = (Array.isArray(address) ? address : [{ address }]) as { address: string }[];
      const outside = entries.find((entry) => !isLoopbackAddress(entry.address));
      if (outside) return callback(refuse(`${attempt} (which is ${outside.address})`));
      callback(null, address, family);
    });
  };
}

/** Turns a refused literal into a name whose lookup fails, so that Node reports it as any failed connect. */
function guardedOptions(options: ConnectOptions): ConnectOptions {
  if (options.path) return options;
  const host = options.host || "localhost";
  const attempt = `a connection to ${host} port ${String(options.port)}`;
  if (net.isIP(host) !== 0 && !isLoopbackAddress(host)) {
    const lookup: Lookup = (_hostname, _options, callback) =>
      process.nextTick(callback, refuse(attempt));
    return { ...options, host: "refused.invalid", lookup };
  }
  const lookup = options.lookup ?? dns.lookup;
  return { ...options, lookup: checkedLookup(lookup, attempt) };
}

/** `connect` takes (options, listener), (path, listener), (port, host, listener) or the list Node made of those. */
function connectArguments(args: unknown[]): [ConnectOptions, unknown] {
  const [first, second] = (Array.isArray(args[0]) ? args[0] : args) as unknown[];
  const listener = args.findLast((argument) => typeof argument === "function");
  if (typeof first === "object" && first !== null) return [first, second];
  if (typeof first === "string" && Number.isNaN(Number(first))) return [{ path: first }, listener];
  return [{ port: first, host: typeof second === "string" ? second : undefined }, listener];
}

function guardSockets(): void {
  const prototype = net.Socket.prototype as unknown as Host;
  const connect = prototype.connect as AnyFunction;
  prototype.connect = function (this: unknown, ...args) {
    const [options, listener] = connectArguments(args);
    const guarded = guardedOptions(options);
    return typeof listener === "function"
      ? connect.call(this, guarded, listener)
      : connect.call(this, guarded);
  };
}

function guardSystemResolver(): void {
  const lookup = dns.lookup as unknown as AnyFunction;
  const promised = dns.promises.lookup as unknown as AnyFunction;
  (dns as unknown as Host).lookup = (...args) => {
    if (isAskedLocally(args[0])) return lookup(...args);
    return process.nextTick(
      args.at(-1) as LookupCallback,
      refuse(`a lookup of ${String(args[0])}`),
    );
  };
  (dns.promises as unknown as Host).lookup = async (...args) => {
    if (isAskedLocally(args[0])) return promised(...args);
    throw refuse(`a lookup of ${String(args[0])}`);
  };
}

/** `host:port`, `[v6]:port` or a bare address, as getServers() writes them. */
function serverAddress(server: string): string {
  const bracketed = /^\[(.+)\]/.exec(server);
  if (bracketed?.[1]) return bracketed[1];
  return net.isIP(server) === 0 ? server.replace(/:\d+$/, "") : server;
}

/** c-ares speaks to its name servers from native code, so every query function is stopped here. */
function guardNameServerQueries(target: object, promised: boolean): void {
  const host = target as Host & { getServers(): string[] };
  const names = Object.getOwnPropertyNames(host);
  for (const name of names.filter((key) => /^(resolve|reverse|lookupService)/.test(key))) {
    const query = host[name] as AnyFunction;
    host[name] = function (this: { getServers?: () => string[] } | undefined, ...args) {
      const servers = this?.getServers?.() ?? dns.getServers();
      if (servers.map(serverAddress).every(isLoopbackAddress) && name !== "lookupService") {
        return query.apply(this, args);
      }
      const error = refuse(`dns.${name}(${String(args[0])})`);
      if (promised) return Promise.reject(error);
      return process.nextTick(args.at(-1) as LookupCallback, error);
    };
  }
}

function guardDatagrams(): void {
  const prototype = dgram.Socket.prototype as unknown as Host;
  const { connect, send } = prototype as { connect: AnyFunction; send: AnyFunction };
  prototype.connect = function (this: unknown, ...args) {
    checkDestination(args[1]);
    return connect.apply(this, args);
  };
  // send(message, [offset, length,] [port,] [address,] [callback]): after the message only the
  // address is a string.
  prototype.send = function (this: unknown, ...args) {
    args.slice(1).forEach(checkDestination);
    return send.apply(this, args);
  };
}

function install(): void {
  guardSockets();
  guardSystemResolver();
  guardNameServerQueries(dns, false);
  guardNameServerQueries(dns.Resolver.prototype, false);
  guardNameServerQueries(dns.promises, true);
  guardNameServerQueries(dns.promises.Resolver.prototype, true);
  guardDatagrams();
  syncBuiltinESMExports();
}

install();
