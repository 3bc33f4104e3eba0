import { lookup as systemLookup, type LookupAddress } from "node:dns";
import type { LookupFunction } from "node:net";
import { Agent, buildConnector, fetch as undiciFetch } from "undici";
import { isAppError } from "#lib/errors.ts";
import { checkBaseUrl, isAllowedHost, refuseBaseUrl } from "./base-url.ts";
import { isPublicAddress } from "./public-host.ts";

export type GuardedFetchOptions = Readonly<{
  /** `host:port` pairs that the operator permits although they may be private. */
  allowedHosts: readonly string[];
  /** Resolves names; left out: the system's resolver. */
  lookup?: LookupFunction;
}>;

const connectTimeoutMs = 10_000;
/** The turn's own timeouts come first; this is the longest that the environment lets them be. */
const silenceTimeoutMs = 3_600_000;
const maximumConnectionsPerOrigin = 1024;
const maximumResponseBytes = 128 * 1024 * 1024;
const redirectStatuses = new Set([301, 302, 303, 307, 308]);

const unreachableText =
  "The host of this base URL does not exist or has no public address. The operator can permit a private one with LLM_ALLOWED_HOSTS.";
const redirectText =
  "This base URL answers with a redirect, which is not followed. Give the address it leads to.";

/**
 * A fetch for base URLs that users give: it connects to public addresses and permitted hosts only.
 *
 * A name is resolved once for each connection, every address is checked, and the socket goes to one
 * of the addresses that were checked, so a name that changes its mind in between gains nothing.
 * Redirects are refused, the environment's proxies are not used, all requests share one pool.
 *
 * The returned function takes a string or a URL, not a Request. It rejects with an unwrapped
 * AppError `invalid_base_url` for what it refuses and for a name that does not exist, and as fetch
 * does for everything else.
 */
export function createGuardedFetch(options: GuardedFetchOptions): typeof fetch {
  const { allowedHosts, lookup = systemLookup } = options;
  const dispatcher = new Agent({
    connect: createConnector(allowedHosts, lookup),
    connections: maximumConnectionsPerOrigin,
    headersTimeout: silenceTimeoutMs,
    bodyTimeout: silenceTimeoutMs,
    maxResponseSize: maximumResponseBytes,
  });
  const guardedFetch = async (input: string | URL, init?: Parameters<typeof undiciFetch>[1]) => {
    checkBaseUrl(new URL(input).origin, allowedHosts);
    const request = { ...init, dispatcher, redirect: "manual" } as const;
    const response = await undiciFetch(input, request).catch(unwrapRefusal);
    if (!redirectStatuses.has(response.status)) return response;
    await response.body?.cancel();
    throw refuseBaseUrl(redirectText);
  };
  return guardedFetch as unknown as typeof fetch;
}

/**
 * Makes a lookup for `net.connect` that fails unless every address of the name is public. The
 * socket uses the addresses that it is given and asks nobody again.
 */
export function createPublicLookup(lookup: LookupFunction): LookupFunction {
  return (hostname, options, callback) => {
    lookup(hostname, { ...options, all: true }, (error, found) => {
      const addresses = error ? [] : (found as LookupAddress[]);
      callback(findFault(error, addresses), addresses);
    });
  };
}

/** A missing name and a private one get one answer, or users could ask which private names exist. */
function findFault(
  error: NodeJS.ErrnoException | null,
  addresses: readonly LookupAddress[],
): Error | null {
  if (error && error.code !== "ENOTFOUND") return error;
  const arePublic = addresses.every(({ address }) => isPublicAddress(address));
  if (addresses.length > 0 && arePublic) return null;
  return refuseBaseUrl(unreachableText, error);
}

function createConnector(
  allowedHosts: readonly string[],
  lookup: LookupFunction,
): buildConnector.connector {
  const common = { timeout: connectTimeoutMs, autoSelectFamily: true };
  const connectPermitted = buildConnector({ ...common, lookup });
  const connectPublic = buildConnector({ ...common, lookup: createPublicLookup(lookup) });
  return (target, callback) => {
    const url = new URL(`${target.protocol}//${target.host}`);
    const connect = isAllowedHost(url, allowedHosts) ? connectPermitted : connectPublic;
    connect(target, callback);
  };
}

/** undici wraps what its connector failed with. */
function unwrapRefusal(error: unknown): never {
  throw error instanceof Error && isAppError(error.cause) ? error.cause : error;
}
