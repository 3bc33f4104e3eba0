import { readFile } from "node:fs/promises";
import { findPackageJSON } from "node:module";
import { dirname, join } from "node:path";
import { AppError } from "../errors.ts";
import type { StaticFile } from "./static-file.ts";

const contentSecurityPolicy = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' data:",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join("; ");

const page = `<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8" />
    <meta name="viewport" content="width=device-width, initial-scale=1" />
    <title>LLM Service: API reference</title>
    <link rel="icon" href="/docs/favicon-32x32.png" />
    <link rel="stylesheet" href="/docs/swagger-ui.css" />
    <link rel="stylesheet" href="/docs/reference.css" />
    <script src="/docs/swagger-ui-bundle.js" defer></script>
    <script src="/docs/reference.js" defer></script>
  </head>
  <body>
    <main id="reference">
      <noscript>This page needs JavaScript; <a href="/openapi.json">its document</a> does not.</noscript>
    </main>
  </body>
</html>
`;

const style = `body { margin: 0; }
@media (prefers-color-scheme: dark) { html { background: #1c2022; color-scheme: dark; } }
`;

const script = `const darkness = matchMedia("(prefers-color-scheme: dark)");
const paint = () => document.documentElement.classList.toggle("dark-mode", darkness.matches);
darkness.addEventListener("change", paint);
paint();
SwaggerUIBundle({
  url: "/openapi.json",
  dom_id: "#reference",
  deepLinking: true,
  displayRequestDuration: true,
  validatorUrl: null,
});
`;

const css = "text/css; charset=utf-8";
const javascript = "text/javascript; charset=utf-8";

/** Every file that the page loads; those without a text are swagger-ui-dist's own. */
const files = new Map<string, Readonly<{ mediaType: string; text?: string }>>([
  ["reference.css", { mediaType: css, text: style }],
  ["reference.js", { mediaType: javascript, text: script }],
  ["swagger-ui.css", { mediaType: css }],
  ["swagger-ui-bundle.js", { mediaType: javascript }],
  ["favicon-32x32.png", { mediaType: "image/png" }],
]);

/** The page of the interactive reference; its policy allows no inline script and no other host. */
export function referencePage(): StaticFile {
  return {
    bytes: page,
    mediaType: "text/html; charset=utf-8",
    headers: { "content-security-policy": contentSecurityPolicy },
  };
}

/**
 * One of the page's files, named by the last segment of the request's path.
 *
 * @throws {AppError} `not_found` for a name that is not in the table.
 */
export async function referenceFile(request: Request): Promise<StaticFile> {
  const name = new URL(request.url).pathname.replace(/^.*\//, "");
  const file = files.get(name);
  if (file === undefined) throw new AppError("not_found");
  const bytes = file.text ?? (await readFile(join(packageFolder(), name)));
  return { bytes, mediaType: file.mediaType };
}

/** Found at run time: a bundler would rewrite `import.meta.resolve` and `require.resolve`. */
function packageFolder(): string {
  const file = findPackageJSON("swagger-ui-dist", import.meta.url);
  if (file === undefined) throw new Error("The package swagger-ui-dist is not installed.");
  return dirname(file);
}
