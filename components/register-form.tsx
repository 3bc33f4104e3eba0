"use client";

import { RegisterRequest } from "#lib/api/schemas.ts";
import { ActionButton } from "./action-button.tsx";
import { createApiClient } from "./api-client.ts";
import { Field } from "./field.tsx";
import { Notice } from "./notice.tsx";
import { loginPathFor } from "./safe-callback.ts";
import { signIn } from "./sign-in.ts";
import { useHydrated } from "./use-hydrated.ts";
import { useValidatedForm } from "./use-validated-form.ts";

const labels = { username: "Username", password: "Password" };

export function RegisterForm({ destination }: Readonly<{ destination: string }>) {
  const isHydrated = useHydrated();
  const { errorOf, formError, isBusy, handlers } = useValidatedForm({
    schema: RegisterRequest,
    labels,
    read: (fields) => Object.fromEntries(fields),
    submit: async (account) => {
      await createApiClient().register(account);
      const failure = await signIn(account);
      // The account exists by now, so the sign-in page is where to try again.
      location.assign(failure === null ? destination : loginPathFor(destination));
    },
  });
  return (
    <form method="post" {...handlers} className="flex flex-col gap-5">
      {formError && (
        <Notice tone="danger" role="alert">
          {formError}
        </Notice>
      )}
      <Field
        name="username"
        label={labels.username}
        error={errorOf("username")}
        autoComplete="username"
        autoCapitalize="none"
        spellCheck={false}
        autoFocus
      />
      <Field
        name="password"
        label={labels.password}
        error={errorOf("password")}
        hint="At least 8 characters; a few words are easier to remember."
        type="password"
        autoComplete="new-password"
      />
      <ActionButton type="submit" disabled={!isHydrated || isBusy}>
        {isBusy ? "Creating…" : "Create account"}
      </ActionButton>
      <p className="text-label text-ink-soft">
        Have an account? <a href={loginPathFor(destination)}>Sign in</a>
      </p>
    </form>
  );
}
