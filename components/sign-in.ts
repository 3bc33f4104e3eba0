import { signIn as signInWithNextAuth } from "next-auth/react";

const wordsByError: Readonly<Record<string, string>> = {
  CredentialsSignin: "The username or the password is wrong.",
  SessionRequired: "Sign in to go on.",
};

/** next-auth reports a code, or the text of the error that the server raised while signing in. */
export function signInErrorText(error: string): string {
  const isSentence = error.trim().includes(" ");
  return wordsByError[error] ?? (isSentence ? error : "Signing in failed. Try again.");
}

/** Signs in with the cookie as the result. Null when it worked, else a sentence to show; never throws. */
export async function signIn(
  account: Readonly<{ username: string; password: string }>,
): Promise<string | null> {
  try {
    const result = await signInWithNextAuth("credentials", { ...account, redirect: false });
    if (result?.ok && !result.error) return null;
    return signInErrorText(result?.error ?? "");
  } catch {
    return "The server cannot be reached. Check the connection and try again.";
  }
}
