"use client";

import Link from "next/link";
import { useRouter } from "next/navigation";
import { useEffect, useState } from "react";
import { SetLlmRequest, type SessionConfig, type SetLlmResponse } from "#lib/api/schemas.ts";
import { ActionButton } from "./action-button.tsx";
import { ApiError, createApiClient } from "./api-client.ts";
import { Field } from "./field.tsx";
import { Notice } from "./notice.tsx";
import { loginPathFor } from "./safe-callback.ts";
import {
  providerChoices,
  readSettings,
  settingsLabels,
  type ConfiguredSession,
} from "./settings-fields.ts";
import { useHydrated } from "./use-hydrated.ts";
import { useValidatedForm } from "./use-validated-form.ts";

/** The model of a new conversation or, with an id, of that one. */
export function SettingsForm({ sessionId }: Readonly<{ sessionId: string | null }>) {
  const { config, error } = useSessionConfig(sessionId);
  if (error?.status === 401) {
    return (
      <Notice role="alert">
        You are signed out. <a href={loginPathFor(`/settings?session=${sessionId}`)}>Sign in</a>
      </Notice>
    );
  }
  if (error) return <Notice role="alert">{error.message}</Notice>;
  if (sessionId === null) return <LoadedSettingsForm session={null} />;
  if (config === null) return <p role="status">Loading the settings…</p>;
  return <LoadedSettingsForm session={{ id: sessionId, config }} />;
}

function LoadedSettingsForm({ session }: Readonly<{ session: ConfiguredSession | null }>) {
  const isHydrated = useHydrated();
  const router = useRouter();
  const [saved, setSaved] = useState<SetLlmResponse | null>(null);
  const form = useValidatedForm({
    schema: SetLlmRequest,
    labels: settingsLabels,
    read: (fields) => readSettings(fields, session),
    submit: async (request) => {
      const response = await createApiClient().setLlm(request);
      if (response.warning === undefined) router.push(`/c/${response.session_id}`);
      else setSaved(response);
    },
  });
  return (
    <form method="post" {...form.handlers} className="flex flex-col gap-5">
      <p className="text-label text-ink-soft">
        {session === null
          ? "These settings make a new conversation. What you leave empty is the model’s own default."
          : "These settings hold from the next message of this conversation on. What you leave empty is the model’s own default."}
      </p>
      {form.formError && (
        <Notice tone="danger" role="alert">
          {form.formError}
        </Notice>
      )}
      <SettingsFields config={session?.config ?? null} errorOf={form.errorOf} />
      {saved && (
        <Notice role="status">
          <p>{saved.warning}</p>
          <p>
            The settings are saved.{" "}
            <Link href={`/c/${saved.session_id}`}>Go to the conversation</Link>
          </p>
        </Notice>
      )}
      <ActionButton type="submit" disabled={!isHydrated || form.isBusy} className="self-start">
        {session === null ? "Start the conversation" : "Save the settings"}
      </ActionButton>
    </form>
  );
}

type FieldsProps = Readonly<{
  config: SessionConfig | null;
  errorOf: (name: string) => string | undefined;
}>;

function SettingsFields({ config, errorOf }: FieldsProps) {
  const frame = (name: keyof typeof settingsLabels) => ({
    name,
    label: settingsLabels[name],
    error: errorOf(name),
  });
  return (
    <>
      <div className="grid gap-5 sm:grid-cols-2">
        <Field {...frame("provider")} as="select" defaultValue={config?.provider ?? ""}>
          <option value="">Found from the model’s name</option>
          {providerChoices.map(({ id, name }) => (
            <option key={id} value={id}>
              {name}
            </option>
          ))}
        </Field>
        <Field
          {...frame("model_name")}
          defaultValue={config?.model_name}
          placeholder="gpt-4"
          spellCheck={false}
          autoCapitalize="none"
        />
      </div>
      <Field
        {...frame("system_prompt")}
        as="textarea"
        rows={4}
        defaultValue={config?.system_prompt}
        hint="What the model should know before every answer."
      />
      <div className="grid gap-5 sm:grid-cols-3">
        <Field
          {...frame("temperature")}
          inputMode="decimal"
          defaultValue={config?.temperature}
          hint="0 to 2; higher is freer."
        />
        <Field
          {...frame("top_p")}
          inputMode="decimal"
          defaultValue={config?.top_p}
          hint="Above 0, up to 1."
        />
        <Field
          {...frame("max_tokens")}
          inputMode="numeric"
          defaultValue={config?.max_tokens}
          hint="Of one answer."
        />
      </div>
      <Field
        {...frame("base_url")}
        inputMode="url"
        defaultValue={config?.base_url}
        placeholder="https://models.example/v1"
        spellCheck={false}
        hint="For a server of your own that speaks OpenAI’s API; it needs a key of its own."
      />
      <Field
        {...frame("api_key")}
        type="password"
        autoComplete="off"
        hint={
          config?.api_key_set
            ? "A key is set. Leave this empty to keep it for this provider; it is never shown."
            : "Kept encrypted, never shown again. Empty: the server’s own key, if it has one."
        }
      />
    </>
  );
}

type Loaded = Readonly<{ config: SessionConfig | null; error: ApiError | null }>;

function useSessionConfig(sessionId: string | null): Loaded {
  const [loaded, setLoaded] = useState<Loaded>({ config: null, error: null });
  useEffect(() => {
    if (sessionId === null) return;
    let isCurrent = true;
    createApiClient()
      .getSession(sessionId)
      .then(
        ({ config }) => isCurrent && setLoaded({ config, error: null }),
        (error: unknown) => {
          if (!(error instanceof ApiError)) throw error;
          if (isCurrent) setLoaded({ config: null, error });
        },
      );
    return () => {
      isCurrent = false;
    };
  }, [sessionId]);
  return loaded;
}
