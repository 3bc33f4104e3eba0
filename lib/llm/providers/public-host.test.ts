import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { isPublicAddress, isPublicHostname } from "./public-host.ts";

/** First and last addresses of each special-purpose block, so that an edge that moves is noticed. */
const specialAddresses: Readonly<Record<string, readonly string[]>> = {
  "this network": ["0.0.0.0", "0.255.255.255"],
  private: ["10.0.0.0", "10.255.255.255", "172.16.0.0", "172.31.255.255", "192.168.0.0"],
  "private, its end": ["192.168.255.255"],
  shared: ["100.64.0.0", "100.127.255.255", "100.100.100.200"],
  loopback: ["127.0.0.0", "127.255.255.255", "::1"],
  "link-local": ["169.254.0.0", "169.254.169.254", "169.254.255.255", "fe80::", "febf::1"],
  "protocol assignments": ["192.0.0.0", "192.0.0.192", "192.0.0.255", "2001::", "2001:1ff::1"],
  documentation: ["192.0.2.1", "198.51.100.1", "203.0.113.1", "2001:db8::1", "3fff::1"],
  "6to4 relay": ["192.88.99.1"],
  benchmarking: ["198.18.0.0", "198.19.255.255", "2001:2::1"],
  multicast: ["224.0.0.0", "239.255.255.255", "ff00::", "ff02::1"],
  reserved: ["240.0.0.0", "255.255.255.255"],
  "a cloud's own": ["168.63.129.16", "fd00:ec2::254", "fd20:ce::254"],
  unspecified: ["::"],
  "IPv4-compatible": ["::127.0.0.1", "::7f00:1", "::8.8.8.8"],
  "IPv4-mapped": ["::ffff:127.0.0.1", "::ffff:8.8.8.8", "::ffff:a9fe:a9fe"],
  "IPv4-translated": ["::ffff:0:127.0.0.1"],
  NAT64: ["64:ff9b::7f00:1", "64:ff9b::8.8.8.8", "64:ff9b:1::1"],
  discard: ["100::1"],
  "6to4": ["2002:7f00:1::", "2002:808:808::"],
  Teredo: ["2001:0:7f00:1::"],
  "unique local": ["fc00::", "fdff:ffff::1"],
  "site-local": ["fec0::1"],
  "segment routing": ["5f00::1"],
  "outside 2000::/3": ["1fff::1", "4000::1", "8000::1"],
};

const publicAddresses = [
  "1.0.0.0",
  "9.255.255.255",
  "11.0.0.0",
  "100.63.255.255",
  "100.128.0.0",
  "126.255.255.255",
  "128.0.0.0",
  "168.63.129.15",
  "169.253.255.255",
  "172.15.255.255",
  "172.32.0.0",
  "192.167.255.255",
  "223.255.255.255",
  "2600::",
  "2a00:1450:4001::1",
];

const privateNames = [
  "",
  ".",
  "localhost",
  "LOCALHOST",
  "localhost.",
  "api.localhost",
  "redis",
  "metadata",
  "metadata.google.internal",
  "METADATA.GOOGLE.INTERNAL.",
  "metadata.tencentyun.com",
  "a.metadata.packet.net",
  "instance-data.ec2.internal",
  "printer.local",
  "gpu.lan",
  "router.home.arpa",
  "wiki.corp",
  "localhost.localdomain",
  "a..example.com",
  ".example.com",
  "example.com..",
];

const publicNames = [
  "api.openai.com",
  "api.openai.com.",
  "notlocalhost.example",
  "local.example.com",
  "internal.example.com",
  "mymetadata.tencentyun.com",
  "xn--e1afmkfd.xn--p1ai",
];

describe("isPublicAddress", () => {
  for (const [kind, addresses] of Object.entries(specialAddresses)) {
    test(`refuses ${kind} addresses`, () => {
      for (const address of addresses) assert.equal(isPublicAddress(address), false, address);
    });
  }

  test("accepts the neighbours of every block", () => {
    for (const address of publicAddresses) assert.equal(isPublicAddress(address), true, address);
  });

  test("refuses what is no address", () => {
    for (const text of ["", "localhost", "1.2.3.4.5", "[::1]", "2600::/32"]) {
      assert.equal(isPublicAddress(text), false, text);
    }
  });
});

describe("isPublicHostname", () => {
  test("refuses names that cannot be public", () => {
    for (const name of privateNames) assert.equal(isPublicHostname(name), false, name);
  });

  test("accepts names that may be public", () => {
    for (const name of publicNames) assert.equal(isPublicHostname(name), true, name);
  });

  test("judges an address in or without brackets as an address", () => {
    assert.equal(isPublicHostname("[::1]"), false);
    assert.equal(isPublicHostname("[2600::1]"), true);
    assert.equal(isPublicHostname("127.0.0.1"), false);
    assert.equal(isPublicHostname("1.1.1.1"), true);
  });
});
