import ipaddr from "ipaddr.js";

/** RFC 4291, section 2.4, and IANA's registry: the one block that public IPv6 addresses come from. */
const globalUnicastV6 = ipaddr.IPv6.parseCIDR("2000::/3");

/** Addresses that look public and yet belong to the platform a virtual machine runs on. */
const platformAddresses = new Set(["168.63.129.16"]);

/**
 * Names that are never those of a public host: RFC 6761 (localhost), RFC 6762 with its appendix G,
 * RFC 8375 (home.arpa), RFC 7686 (onion), and the cloud metadata services that live under a public
 * suffix.
 */
const privateSuffixes = [
  "corp",
  "home",
  "home.arpa",
  "internal",
  "intranet",
  "lan",
  "local",
  "localdomain",
  "localhost",
  "onion",
  "private",
  "metadata.packet.net",
  "metadata.platformequinix.com",
  "metadata.tencentyun.com",
];

/**
 * Whether an IPv4 or IPv6 address is public unicast: false for every private, shared, local,
 * documentation, multicast and reserved range (IANA's special-purpose registries), for addresses
 * that carry an IPv4 address in an IPv6 one (mapped, NAT64, 6to4, Teredo), and for what is no address.
 */
export function isPublicAddress(address: string): boolean {
  if (!ipaddr.isValid(address)) return false;
  const parsed = ipaddr.parse(address);
  if (parsed.range() !== "unicast" || platformAddresses.has(parsed.toString())) return false;
  return parsed.kind() === "ipv4" || parsed.match(globalUnicastV6);
}

/**
 * Whether the host of a parsed URL may be public: a public address, or a name of several labels
 * under no private suffix. What such a name resolves to is not known yet.
 */
export function isPublicHostname(hostname: string): boolean {
  const host = hostname.replace(/^\[|\]$/g, "");
  if (ipaddr.isValid(host)) return isPublicAddress(host);
  const labels = host.toLowerCase().replace(/\.$/, "").split(".");
  if (labels.length < 2 || labels.includes("")) return false;
  const name = `.${labels.join(".")}`;
  return !privateSuffixes.some((suffix) => name.endsWith(`.${suffix}`));
}
