import Link from "next/link";
import { useEffect, useState } from "react";
import type { Health, SessionSummary } from "#lib/api/schemas.ts";
import { ApiError, type ApiClient } from "./api-client.ts";

type ModelNoteProps = Readonly<{
  api: ApiClient;
  summary: SessionSummary | undefined;
  isNew: boolean;
}>;

/** Who answers here, under the composer; and plainly, where nobody does. */
export function ModelNote({ api, summary, isNew }: ModelNoteProps) {
  const health = useHealth(api);
  const provider = summary?.provider ?? (isNew ? health?.default_provider : undefined);
  const model = summary?.model_name ?? (isNew ? health?.default_model : undefined);
  return (
    <p className="min-h-5 text-center text-small text-ink-soft">
      {provider === "mock" && <Simulated />}
      {provider && provider !== "mock" && noteOf({ provider, model, local: health?.local_model })}
    </p>
  );
}

function Simulated() {
  return (
    <>
      <strong className="font-semibold text-ink">Replies are simulated:</strong> no language model
      is connected.{" "}
      <Link href="/settings" prefetch={false} className="text-accent underline">
        Connect one
      </Link>
    </>
  );
}

type Answerer = Readonly<{
  provider: string;
  model: string | undefined;
  local: Health["local_model"] | undefined;
}>;

function noteOf({ provider, model, local }: Answerer): string {
  if (provider === "openai") return `${model} answers through OpenAI.`;
  if (provider !== "local") return `${model} answers.`;
  const detail = local?.detail ?? "";
  if (local?.status === "preparing") return `${model} is being prepared. ${detail}`;
  if (local?.status === "failed") return `${model} cannot answer. ${detail}`;
  return `${model} answers, embedded in this service.`;
}

const preparingIntervalMs = 3_000;

/** Read once, and again while the embedded model is on its way. */
function useHealth(api: ApiClient): Health | null {
  const [health, setHealth] = useState<Health | null>(null);
  const isSettled = health !== null && health.local_model.status !== "preparing";
  useEffect(() => {
    if (isSettled) return;
    const read = () => {
      api.health().then(setHealth, (error: unknown) => {
        // The notice about the connection says that the server is away.
        if (!(error instanceof ApiError)) throw error;
      });
    };
    read();
    const timer = setInterval(read, preparingIntervalMs);
    return () => clearInterval(timer);
  }, [api, isSettled]);
  return health;
}
