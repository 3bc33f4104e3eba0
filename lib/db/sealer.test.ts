import assert from "node:assert/strict";
import { createSecretKey, hkdfSync } from "node:crypto";
import { describe, test } from "node:test";
import { CompactEncrypt, decodeProtectedHeader } from "jose";
import { Sealer } from "./sealer.ts";

const secret = "kP3vX9tQ2mB7zR5wLcY8dF4gH6jN1sAe";
const apiKey = "sk-proj-abcdefghijklmnopqrstuvwxyz";
const sealer = new Sealer(secret);

async function assertClosed(sealed: string, belongsTo = "session-1", by = sealer): Promise<void> {
  await assert.rejects(by.open(sealed, belongsTo), (error: Error & { code?: string }) => {
    assert.equal(error.name, "AppError");
    assert.equal(error.code, "provider_not_configured");
    assert.match(error.message, /\/set-llm/);
    assert.ok(!error.message.includes(apiKey));
    return true;
  });
}

/** The parts of a compact JWE: header, encrypted key, initialisation vector, ciphertext, tag. */
function partsOf(sealed: string): Buffer[] {
  return sealed.split(".").map((part) => Buffer.from(part, "base64url"));
}

function join(parts: readonly Buffer[]): string {
  return parts.map((part) => part.toString("base64url")).join(".");
}

describe("Sealer", () => {
  for (const plaintext of [apiKey, "", "ключ \u{1F511}", "a\0b", "x".repeat(1024)]) {
    test(`opens what it sealed: ${JSON.stringify(plaintext.slice(0, 20))}`, async () => {
      const sealed = await sealer.seal(plaintext, "session-1");
      assert.equal(await sealer.open(sealed, "session-1"), plaintext);
      assert.equal(
        await new Sealer(secret).open(sealed, "session-1"),
        plaintext,
        "after a restart",
      );
    });
  }

  test("shows nothing of what it holds, in no encoding", async () => {
    const sealed = await sealer.seal(apiKey, "session-1");
    const bytes = Buffer.concat(partsOf(sealed)).toString("latin1");
    for (const text of [sealed, bytes]) {
      for (let start = 0; start + 6 <= apiKey.length; start++) {
        const piece = apiKey.slice(start, start + 6);
        assert.ok(!text.includes(piece));
        assert.ok(!text.includes(Buffer.from(piece).toString("base64url")));
      }
    }
    assert.deepEqual(decodeProtectedHeader(sealed), {
      alg: "dir",
      enc: "A256GCM",
      kid: "session-1",
    });
  });

  test("seals the same key differently each time", async () => {
    const seals = await Promise.all([1, 2, 3].map(() => sealer.seal(apiKey, "session-1")));
    for (const index of [2, 3, 4]) {
      assert.equal(new Set(seals.map((sealed) => sealed.split(".")[index])).size, 3);
    }
  });

  test("does not open for another row", async () => {
    const sealed = await sealer.seal(apiKey, "session-1");
    for (const other of ["session-2", "session-", "session-1 ", ""])
      await assertClosed(sealed, other);
  });

  test("does not open when its header is rewritten for another row", async () => {
    const [, ...rest] = partsOf(await sealer.seal(apiKey, "session-1"));
    const header = JSON.stringify({ alg: "dir", enc: "A256GCM", kid: "session-2" });
    await assertClosed(join([Buffer.from(header), ...rest]), "session-2");
  });

  test("does not open when any byte was changed", async () => {
    const parts = partsOf(await sealer.seal(apiKey, "session-1"));
    for (const [which, part] of parts.entries()) {
      for (const index of part.keys()) {
        const changed = Buffer.from(part);
        changed.writeUInt8(changed.readUInt8(index) ^ 1, index);
        await assertClosed(join(parts.with(which, changed)));
      }
    }
  });

  test("does not open when a part was cut, and what is no seal does not either", async () => {
    const sealed = await sealer.seal(apiKey, "session-1");
    const parts = partsOf(sealed);
    for (const [which, part] of parts.entries()) {
      if (part.length > 0) await assertClosed(join(parts.with(which, part.subarray(1))));
    }
    for (const text of ["", ".", "....", apiKey, sealed.slice(0, -4), `${sealed}.x`]) {
      await assertClosed(text);
    }
  });

  test("does not open with another secret", async () => {
    const sealed = await sealer.seal(apiKey, "session-1");
    await assertClosed(sealed, "session-1", new Sealer(`${secret}x`));
  });

  test("does not use the signing secret itself as its key", async () => {
    const raw = createSecretKey(Buffer.from(secret));
    const foreign = await new CompactEncrypt(Buffer.from(apiKey))
      .setProtectedHeader({ alg: "dir", enc: "A256GCM", kid: "session-1" })
      .encrypt(raw);
    await assertClosed(foreign);
    const ownKey = hkdfSync("sha256", secret, "", "llm-service sealed keys", 32);
    const own = await new CompactEncrypt(Buffer.from(apiKey))
      .setProtectedHeader({ alg: "dir", enc: "A256GCM", kid: "session-1" })
      .encrypt(new Uint8Array(ownKey));
    assert.equal(await sealer.open(own, "session-1"), apiKey, "seals of today open tomorrow");
  });
});
