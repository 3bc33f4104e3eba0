import Link from "next/link";
import type { ReactNode } from "react";
import { Mark } from "./icons.tsx";

type PlainPageProps = Readonly<{
  title: string;
  children: ReactNode;
  isWide?: boolean;
  /** Where one came from; without it there is no way back but the browser's. */
  backTo?: string;
}>;

/** A page with one thing on it: a sheet on the shell, with the mark above. */
export function PlainPage({ title, children, isWide = false, backTo }: PlainPageProps) {
  return (
    <div className="flex min-h-dvh flex-col items-center px-4 py-8 sm:py-16">
      <div className={`w-full ${isWide ? "max-w-settings" : "max-w-form"}`}>
        <header className="mb-6 flex items-center gap-3 px-1">
          <Mark />
          <span className="font-medium">LLM Service</span>
          {backTo && (
            <Link
              href={backTo}
              prefetch={false}
              className="ml-auto text-label text-accent underline underline-offset-4"
            >
              Back to the chat
            </Link>
          )}
        </header>
        <main className="flex flex-col gap-5 rounded-2xl border border-line bg-sheet p-5 sm:p-8 [&_a]:text-accent [&_a]:underline [&_a]:underline-offset-4">
          <h1 className="text-title font-semibold">{title}</h1>
          {children}
        </main>
      </div>
    </div>
  );
}
