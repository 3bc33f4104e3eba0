import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { AppError } from "#lib/errors.ts";
import { checkBaseUrl, isAllowedHost } from "./base-url.ts";

/** What a refusal's text says, by the rule that is broken. */
const reasons = {
  form: /must be a full URL/,
  characters: /spaces, control characters or backslashes/,
  credentials: /username or a password/,
  suffix: /query or a fragment/,
  port: /port that belongs to another kind of service/,
  host: /must name a public host/,
  scheme: /must begin with https/,
} as const;

/** Each is tried with https and with http, in front of a path. */
const privateHosts = [
  // IPv4, in every spelling that the URL parser understands.
  "127.0.0.1",
  "127.0.0.1.",
  "127.1",
  "127.0.1",
  "127.255.255.254",
  "2130706433",
  "017700000001",
  "0177.0.0.1",
  "0x7f000001",
  "0x7f.0x0.0x0.0x1",
  "0X7F.1",
  "%31%32%37.0.0.1",
  "①②⑦.⓪.⓪.①",
  "１２７.０.０.１",
  "127。0。0。1",
  "127．0．0．1",
  "0",
  "0.0.0.0",
  "10.0.0.1",
  "100.64.0.1",
  "100.100.100.200",
  "169.254.169.254",
  "2852039166",
  "0xa9fea9fe",
  "0251.0376.0251.0376",
  "172.16.0.1",
  "172.31.255.255",
  "192.168.1.1",
  "192.0.0.192",
  "192.0.2.1",
  "192.88.99.1",
  "198.18.0.1",
  "198.51.100.7",
  "203.0.113.7",
  "224.0.0.1",
  "240.0.0.1",
  "255.255.255.255",
  "0xffffffff",
  "168.63.129.16",
  // IPv6.
  "[::]",
  "[::1]",
  "[0:0:0:0:0:0:0:1]",
  "[0000::0001]",
  "[::127.0.0.1]",
  "[::ffff:127.0.0.1]",
  "[::ffff:7f00:1]",
  "[0:0:0:0:0:ffff:169.254.169.254]",
  "[::ffff:0:127.0.0.1]",
  "[64:ff9b::127.0.0.1]",
  "[64:ff9b:1::a9fe:a9fe]",
  "[2002:7f00:1::]",
  "[2001:0:4136:e378:8000:63bf:80ff:fffe]",
  "[2001:db8::1]",
  "[3fff::1]",
  "[100::1]",
  "[fc00::1]",
  "[fd00:ec2::254]",
  "[fe80::1]",
  "[fec0::1]",
  "[ff02::1]",
  "[4000::1]",
  // Names.
  "localhost",
  "LocalHost",
  "localhost.",
  "api.localhost",
  "ⓛⓞⓒⓐⓛⓗⓞⓢⓣ",
  "local\u00adhost",
  "redis",
  "metadata",
  "metadata.google.internal",
  "instance-data.ec2.internal",
  "metadata.tencentyun.com",
  "printer.local",
];

const badForms: readonly (readonly [input: string, reason: keyof typeof reasons])[] = [
  ["", "form"],
  ["api.example.com", "form"],
  ["//api.example.com", "form"],
  ["/v1", "form"],
  ["https:api.example.com", "form"],
  ["https:/api.example.com", "form"],
  ["https:///api.example.com", "form"],
  ["https://", "form"],
  ["https://:8080", "form"],
  ["https://api.example.com:65536", "form"],
  ["https://api.example.com:8o", "form"],
  ["https://256.1.1.1", "form"],
  ["https://1.2.3.4.5", "form"],
  ["https://[::1", "form"],
  ["https://[fe80::1%25eth0]", "form"],
  ["https://ex%00ample.com", "form"],
  ["https://ex<ample.com", "form"],
  ["file:///etc/passwd", "form"],
  ["ftp://api.example.com", "form"],
  ["gopher://api.example.com", "form"],
  ["ws://api.example.com", "form"],
  ["javascript:alert(1)", "form"],
  ["data:text/plain,x", "form"],
  ["blob:https://api.example.com/x", "form"],
  ["unix:/var/run/docker.sock", "form"],
  ["http:\\\\127.0.0.1", "characters"],
  ["https://api.example.com\\@127.0.0.1", "characters"],
  ["https:\\/\\/api.example.com", "characters"],
  [" https://api.example.com", "characters"],
  ["https://api.example.com\n", "characters"],
  ["https://api.example.com/\r\nX-Injected: 1", "characters"],
  ["ht\ttps://api.example.com", "characters"],
  ["https://api.exam\tple.com", "characters"],
  ["https://api.example.com/\u0000", "characters"],
  ["https://api.example.com/\u0085", "characters"],
  ["https://api.example.com/\u3000", "characters"],
  ["https://user:secret@api.example.com", "credentials"],
  ["https://user@api.example.com", "credentials"],
  ["https://@api.example.com", "credentials"],
  ["https://api.example.com@127.0.0.1", "credentials"],
  ["https://api.example.com%40x@127.0.0.1/v1", "credentials"],
  ["https://127.0.0.1#@api.example.com", "suffix"],
  ["https://api.example.com#", "suffix"],
  ["https://api.example.com/v1#fragment", "suffix"],
  ["https://api.example.com/v1?", "suffix"],
  ["https://api.example.com/v1?key=1", "suffix"],
  ["https://api.example.com?@127.0.0.1", "suffix"],
  ["http://api.example.com/v1", "scheme"],
  ["http://1.1.1.1:8080", "scheme"],
  ["http://api.example.com:443", "scheme"],
];

const badPorts = [0, 1, 22, 23, 25, 53, 110, 143, 445, 587, 1023, 2375, 3306, 5432, 6379, 27017];

const goodUrls: readonly (readonly [input: string, normalised: string])[] = [
  ["https://api.openai.com", "https://api.openai.com"],
  ["https://api.openai.com/", "https://api.openai.com"],
  ["https://api.openai.com/v1", "https://api.openai.com/v1"],
  ["https://api.openai.com/v1/", "https://api.openai.com/v1"],
  ["https://api.openai.com/v1///", "https://api.openai.com/v1"],
  ["HTTPS://API.Example.COM/V1", "https://api.example.com/V1"],
  ["https://api.example.com:443/v1", "https://api.example.com/v1"],
  ["https://api.example.com:8443/v1", "https://api.example.com:8443/v1"],
  ["https://api.example.com:80", "https://api.example.com:80"],
  ["https://api.example.com:65535", "https://api.example.com:65535"],
  ["https://api.example.com:/v1", "https://api.example.com/v1"],
  ["https://api.example.com/a/../v1", "https://api.example.com/v1"],
  ["https://api.example.com/%2e%2e/v1", "https://api.example.com/v1"],
  ["https://api.example.com/@team/v1", "https://api.example.com/@team/v1"],
  ["https://пример.рф/v1", "https://xn--e1afmkfd.xn--p1ai/v1"],
  ["https://1.1.1.1/v1", "https://1.1.1.1/v1"],
  ["https://0x01010101/v1", "https://1.1.1.1/v1"],
  ["https://[2606:4700:4700::1111]:8443/v1", "https://[2606:4700:4700::1111]:8443/v1"],
];

function assertRefused(
  input: string,
  reason: keyof typeof reasons,
  allowedHosts: readonly string[] = [],
): void {
  assert.throws(
    () => checkBaseUrl(input, allowedHosts),
    (error) => {
      assert.ok(error instanceof AppError, `${input}: ${String(error)}`);
      assert.equal(error.code, "invalid_base_url");
      assert.match(error.message, reasons[reason], JSON.stringify(input));
      assert.deepEqual(error.errors, [{ path: "base_url", message: error.message }]);
      return true;
    },
    JSON.stringify(input),
  );
}

describe("checkBaseUrl", () => {
  for (const host of privateHosts) {
    test(`refuses the private host ${JSON.stringify(host)}`, () => {
      assertRefused(`https://${host}/v1`, "host");
      assertRefused(`http://${host}:8080`, "host");
    });
  }

  for (const [input, reason] of badForms) {
    test(`refuses ${JSON.stringify(input)} for its ${reason}`, () => assertRefused(input, reason));
  }

  test("refuses ports of other services, also on hosts that are permitted", () => {
    for (const port of badPorts) {
      assertRefused(`https://api.example.com:${port}/v1`, "port");
      assertRefused(`http://127.0.0.1:${port}`, "port", [`127.0.0.1:${port}`]);
    }
  });

  for (const [input, normalised] of goodUrls) {
    test(`accepts ${input}`, () => {
      assert.equal(checkBaseUrl(input, []), normalised);
      assert.equal(checkBaseUrl(normalised, []), normalised, "is stable");
    });
  }

  test("lets a permitted host be private and speak plain http", () => {
    const allowed = ["127.0.0.1:11434", "[::1]:8080", "ollama:11434", "gpu.lan"];
    for (const url of [
      "http://127.0.0.1:11434/v1",
      "https://127.0.0.1:11434/v1",
      "http://[::1]:8080",
      "http://ollama:11434",
      "http://gpu.lan",
      "https://gpu.lan/v1",
    ]) {
      assert.equal(checkBaseUrl(url, allowed), url);
    }
    assert.equal(checkBaseUrl("http://127.1:11434/v1/", allowed), "http://127.0.0.1:11434/v1");
  });

  test("permits exactly the host and the port that are listed", () => {
    const allowed = ["127.0.0.1:11434", "gpu.lan"];
    assertRefused("http://127.0.0.1:11435", "host", allowed);
    assertRefused("http://127.0.0.1", "host", allowed);
    assertRefused("http://127.0.0.2:11434", "host", allowed);
    assertRefused("http://localhost:11434", "host", allowed);
    assertRefused("http://gpu.lan:8080", "host", allowed);
    assertRefused("http://a.gpu.lan", "host", allowed);
  });

  test("holds permitted hosts to every rule but those of address and scheme", () => {
    const allowed = ["127.0.0.1:11434"];
    assertRefused("http://user@127.0.0.1:11434", "credentials", allowed);
    assertRefused("http://127.0.0.1:11434/v1?a=1", "suffix", allowed);
    assertRefused("http://127.0.0.1:11434/\n", "characters", allowed);
    assertRefused("ftp://127.0.0.1:11434", "form", allowed);
  });
});

describe("isAllowedHost", () => {
  const cases: readonly (readonly [url: string, entry: string, expected: boolean])[] = [
    ["http://gpu.lan", "gpu.lan:80", true],
    ["https://gpu.lan", "gpu.lan:443", true],
    ["https://gpu.lan", "gpu.lan:80", false],
    ["https://gpu.lan", "gpu.lan", true],
    ["https://gpu.lan", "GPU.LAN", true],
    ["https://gpu.lan:8443", "gpu.lan", false],
    ["http://[::1]:8080", "[0:0:0:0:0:0:0:1]:8080", true],
    ["http://[::1]:8080", "::1:8080", false],
    ["http://gpu.lan", "", false],
    ["http://gpu.lan", "not a host", false],
  ];
  for (const [url, entry, expected] of cases) {
    test(`${expected ? "permits" : "does not permit"} ${url} by ${JSON.stringify(entry)}`, () => {
      assert.equal(isAllowedHost(new URL(url), [entry]), expected);
    });
  }
});
