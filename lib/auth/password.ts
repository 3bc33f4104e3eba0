import { hash, verify } from "@node-rs/argon2";

/** OWASP's password storage cheat sheet, first choice for argon2id: 19 MiB, two passes, one lane. */
const argon2Options = { memoryCost: 19_456, timeCost: 2, parallelism: 1 };

/** Hashes with argon2id and a fresh salt; resolves to a PHC string. Runs off the event loop. */
export function hashPassword(password: string): Promise<string> {
  return hash(normalise(password), argon2Options);
}

/** Resolves to whether the password made this PHC string; false for a string that is none. */
export async function verifyPassword(phcString: string, password: string): Promise<boolean> {
  try {
    return await verify(phcString, normalise(password));
  } catch {
    return false;
  }
}

/** Keyboards differ in how they compose the same characters (NIST SP 800-63B, section 5.1.1.2). */
function normalise(password: string): string {
  return password.normalize("NFKC");
}
