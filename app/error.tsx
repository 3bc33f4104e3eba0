"use client";

import { ActionButton } from "#components/action-button.tsx";
import { PlainPage } from "#components/plain-page.tsx";

export default function ErrorPage({ reset }: Readonly<{ error: Error; reset: () => void }>) {
  return (
    <PlainPage title="This page failed">
      <p role="alert">
        Something went wrong while showing it. Your conversations and drafts are kept.
      </p>
      <ActionButton onClick={reset}>Try again</ActionButton>
    </PlainPage>
  );
}
