import { AppError } from "#lib/errors.ts";
import { isPublicHostname } from "./public-host.ts";

type Candidate = Readonly<{ raw: string; url: URL; isPermitted: boolean }>;

type Rule = Readonly<{ text: string; isBroken: (candidate: Candidate) => boolean }>;

const highestSystemPort = 1023;
const webPorts = new Set([80, 443]);

/** https://fetch.spec.whatwg.org/#port-blocking, those above 1023. */
const fetchBlockedPorts = [
  1719, 1720, 1723, 2049, 3659, 4045, 4190, 5060, 5061, 6000, 6566, 6665, 6666, 6667, 6668, 6669,
  6679, 6697, 10080,
];

/** Databases, caches, queues, remote desktops and control planes, by their IANA or usual ports. */
const infrastructurePorts = [
  1433, 1521, 2181, 2375, 2376, 2379, 2380, 3306, 3389, 5432, 5672, 5900, 5985, 5986, 6379, 6380,
  6443, 9042, 9092, 9200, 9300, 10250, 11211, 27017,
];

const refusedPorts = new Set([...fetchBlockedPorts, ...infrastructurePorts]);

/** In the order in which they are checked; the first that is broken names the refusal. */
const rules: readonly Rule[] = [
  {
    text: "base_url must not contain a username or a password. Give the key as api_key.",
    isBroken: ({ raw }) => /^https?:\/\/[^/?#]*@/i.test(raw),
  },
  {
    text: "base_url must not contain a query or a fragment.",
    isBroken: ({ raw }) => /[?#]/.test(raw),
  },
  {
    text: "base_url names a port that belongs to another kind of service.",
    isBroken: ({ url }) => isServicePort(portOf(url)),
  },
  {
    text: "base_url must name a public host. The operator can permit a private one with LLM_ALLOWED_HOSTS.",
    isBroken: ({ url, isPermitted }) => !isPermitted && !isPublicHostname(url.hostname),
  },
  {
    text: "base_url must begin with https:// so that keys and messages travel encrypted. The operator can permit plain http to a host with LLM_ALLOWED_HOSTS.",
    isBroken: ({ url, isPermitted }) => !isPermitted && url.protocol !== "https:",
  },
];

/**
 * Checks a base URL that a user gives, by its spelling alone: no name is resolved here, see
 * createGuardedFetch for that.
 *
 * Hosts that the operator permits may be private and may speak plain http; every other rule holds
 * for them too.
 *
 * @param allowedHosts `host:port` pairs; a host alone permits the scheme's default port.
 * @returns the URL as the WHATWG URL standard writes it, without a trailing slash.
 * @throws {AppError} `invalid_base_url`, its text saying which rule is broken.
 */
export function checkBaseUrl(baseUrl: string, allowedHosts: readonly string[]): string {
  const url = parse(baseUrl);
  const candidate = { raw: baseUrl, url, isPermitted: isAllowedHost(url, allowedHosts) };
  const broken = rules.find(({ isBroken }) => isBroken(candidate));
  if (broken) throw refuseBaseUrl(broken.text);
  return url.origin + url.pathname.replace(/\/+$/, "");
}

/** Whether the operator permits the URL's host and port; entries as for {@link checkBaseUrl}. */
export function isAllowedHost(url: URL, allowedHosts: readonly string[]): boolean {
  return allowedHosts.some((entry) => URL.parse(`${url.protocol}//${entry}`)?.host === url.host);
}

/** The one shape of a refusal: an AppError that also names the field. */
export function refuseBaseUrl(text: string, cause?: unknown): AppError {
  return new AppError("invalid_base_url", text, {
    cause,
    errors: [{ path: "base_url", message: text }],
  });
}

/** Takes only what the URL parser would not have to repair: it drops tabs and turns `\` into `/`. */
function parse(baseUrl: string): URL {
  if (/[\s\p{Cc}\\]/u.test(baseUrl)) {
    throw refuseBaseUrl("base_url must not contain spaces, control characters or backslashes.");
  }
  const url = /^https?:\/\/[^/]/i.test(baseUrl) ? URL.parse(baseUrl) : null;
  if (!url) throw refuseBaseUrl("base_url must be a full URL such as https://api.example.com/v1.");
  return url;
}

function portOf(url: URL): number {
  return Number(url.port || (url.protocol === "https:" ? 443 : 80));
}

function isServicePort(port: number): boolean {
  return port <= highestSystemPort ? !webPorts.has(port) : refusedPorts.has(port);
}
