import { hkdfSync } from "node:crypto";
import { CompactEncrypt, compactDecrypt } from "jose";
import { AppError } from "../errors.ts";

/**
 * Seals small secrets for storage: AES-256-GCM as a compact JWE (RFC 7516), under a key derived
 * from the signing secret by HKDF (RFC 5869). The protected header names what a seal belongs to,
 * so that one moved to another row does not open.
 */
export class Sealer {
  readonly #key: Uint8Array;

  constructor(secret: string) {
    this.#key = new Uint8Array(hkdfSync("sha256", secret, "", "llm-service sealed keys", 32));
  }

  seal(plaintext: string, belongsTo: string): Promise<string> {
    return new CompactEncrypt(new TextEncoder().encode(plaintext))
      .setProtectedHeader({ alg: "dir", enc: "A256GCM", kid: belongsTo })
      .encrypt(this.#key);
  }

  /** @throws {AppError} `provider_not_configured` when it does not open: another secret, row or a damaged value. */
  async open(sealed: string, belongsTo: string): Promise<string> {
    try {
      const { plaintext, protectedHeader } = await compactDecrypt(sealed, this.#key);
      if (protectedHeader.kid !== belongsTo) throw new Error("The seal belongs to another row.");
      return new TextDecoder().decode(plaintext);
    } catch (cause) {
      throw new AppError(
        "provider_not_configured",
        "The stored key of this session cannot be read any more. Set it again with /set-llm.",
        { cause },
      );
    }
  }
}
