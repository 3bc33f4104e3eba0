"use client";

import { useState, type SubmitEvent } from "react";
import { ActionButton } from "./action-button.tsx";
import { Field } from "./field.tsx";
import { Notice } from "./notice.tsx";
import { signIn, signInErrorText } from "./sign-in.ts";
import { useHydrated } from "./use-hydrated.ts";

type LoginFormProps = Readonly<{
  /** A path of this origin. */
  destination: string;
  initialError?: string | undefined;
  showsDemonstrationAccount: boolean;
}>;

export function LoginForm({
  destination,
  initialError,
  showsDemonstrationAccount,
}: LoginFormProps) {
  const [error, setError] = useState(initialError ? signInErrorText(initialError) : null);
  const [isBusy, setIsBusy] = useState(false);
  const isHydrated = useHydrated();

  const submit = async (form: HTMLFormElement) => {
    setIsBusy(true);
    setError(null);
    const fields = new FormData(form);
    const failure = await signIn({
      username: textOf(fields, "username"),
      password: textOf(fields, "password"),
    });
    if (failure === null) return location.assign(destination);
    setError(failure);
    setIsBusy(false);
  };

  const onSubmit = (event: SubmitEvent<HTMLFormElement>) => {
    event.preventDefault();
    if (!isBusy) void submit(event.currentTarget);
  };

  return (
    <form method="post" onSubmit={onSubmit} className="flex flex-col gap-5">
      {error && (
        <Notice tone="danger" role="alert">
          {error}
        </Notice>
      )}
      <Field
        name="username"
        label="Username"
        autoComplete="username"
        autoCapitalize="none"
        spellCheck={false}
        required
        autoFocus
      />
      <Field
        name="password"
        label="Password"
        type="password"
        autoComplete="current-password"
        required
      />
      {showsDemonstrationAccount && (
        <p className="text-label text-ink-soft">
          This service runs on your own machine. Its demonstration account is{" "}
          <code className="text-ink">testuser</code> with <code className="text-ink">password</code>
          .
        </p>
      )}
      <ActionButton type="submit" disabled={!isHydrated || isBusy}>
        {isBusy ? "Signing in…" : "Sign in"}
      </ActionButton>
      <p className="text-label text-ink-soft">
        New here? <a href={registerPath(destination)}>Create an account</a>
      </p>
    </form>
  );
}

function registerPath(destination: string): string {
  if (destination === "/") return "/register";
  return `/register?${new URLSearchParams({ callbackUrl: destination })}`;
}

function textOf(fields: FormData, name: string): string {
  const value = fields.get(name);
  return typeof value === "string" ? value : "";
}
