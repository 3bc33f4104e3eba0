import { dirname, posix } from "node:path";
import type { OxlintConfig, OxlintOverride } from "oxlint";

/**
 * The configuration of oxlint (`oxlint -c lib/lint-rules.ts`), most of it the arrows between folders:
 * JSON would repeat each list for every folder and depth. lint-rules.test.ts proves every arrow.
 */

/** Escaped, so that a folder's brackets are not a glob's. */
const root = dirname(import.meta.dirname).replace(/[\\[\]{}*?!]/g, "\\$&");

/** Files of lib that stand below its folders: each may be imported from anywhere in lib. */
const base = ["errors.ts", "env.ts", "global.ts", "provider-ids.ts", "log.ts"].map(
  (file) => `lib/${file}`,
);

const parts = ["lib/db/**", "lib/auth/**", "lib/llm/**"];
const wiring = "lib/services.ts";

type Arrow = Readonly<{ may: readonly string[]; types?: readonly string[] }>;

/** What a folder may import beside itself, and of what only the types; all else is forbidden. */
const arrows = {
  "lib/db": { may: base },
  "lib/auth": { may: [...base, "lib/db/**"], types: ["lib/api/schemas.ts"] },
  "lib/llm": { may: [...base, "lib/db/**"], types: ["lib/api/schemas.ts"] },
  "lib/ws": { may: [...base, ...parts, wiring, "lib/api/**"] },
  "lib/api": { may: [...base, ...parts, wiring, "lib/ws/**"] },
  components: { may: ["lib/api/schemas.ts", "lib/ws/frames.ts", "lib/errors.ts"] },
} satisfies Record<string, Arrow>;
type Owner = keyof typeof arrows;

const deepest = 3;

type Pattern = { group: string[]; message: string } | { regex: string; message: string };
/** Once a pattern's `!` allows a path no other pattern forbids it, so values are forbidden by name. */
type TypesOnly = { name: string; allowTypeImports: true; message: string };
type Restriction = Pattern | TypesOnly;

const detour: Pattern = { regex: "^\\./\\.\\./|[^./]/\\.\\./", message: "Take the shortest path." };
const nextPackages: Pattern = {
  group: ["next", "next/**"],
  message: "lib and route handlers also run without Next.",
};
const providerMessage = "Only lib/llm/providers and lib/llm/local know the providers' packages.";
const providerPackages: Pattern = { group: ["@ai-sdk/**"], message: providerMessage };
const providerValues: readonly Restriction[] = [
  { group: ["@ai-sdk/**", "!@ai-sdk/provider"], message: providerMessage },
  { name: "@ai-sdk/provider", allowTypeImports: true, message: providerMessage },
];
const fromBase: Pattern = {
  group: ["./**", "../**", "#*/**", ...base.flatMap(spelledInLib).map((path) => `!${path}`)],
  message: "What everything imports imports nothing above it.",
};
const fromLib: Pattern = {
  group: ["../**", "#*/**", "!#lib/**"],
  message: "lib imports nothing from outside.",
};
const rigs: Pattern = {
  group: ["#e2e/**", "**/e2e/**", "**/bench/**", "**/server.ts"],
  message: "What is served imports neither the rigs nor the server.",
};

/** oxlint compares a file below this folder by its path from here, every other by its whole path. */
function place(path: string): string {
  return path.startsWith("lib/") ? `./${path.slice("lib/".length)}` : `${root}/${path}`;
}

function spelledInLib(path: string): string[] {
  return [`./${posix.relative("lib", path)}`, `#${path}`];
}

/** A later override replaces an earlier one, so each repeats all that holds for its files. */
function restrict(files: string, restrictions: readonly Restriction[], except: string[] = []) {
  const option = {
    paths: restrictions.filter((restriction) => "name" in restriction),
    patterns: [detour, ...restrictions.filter((restriction) => !("name" in restriction))],
  };
  return {
    files: [place(files)],
    excludeFiles: except.map(place),
    rules: { "no-restricted-imports": ["error", option] },
  } satisfies OxlintOverride;
}

/** Keeps the files directly in `folder`, which belongs to `owner`, to the owner's arrow. */
function keepTo(owner: string, folder: string, { may, types = [] }: Arrow): Restriction[] {
  const spellings = (targets: readonly string[]) =>
    targets.flatMap((target) => [posix.relative(folder, target), `#${target}`]);
  const steps = folder.split("/").length - owner.split("/").length + 1;
  const allowed = [`#${owner}/**`, ...spellings([...may, ...types])];
  const closed: Pattern = {
    group: [`${"../".repeat(steps)}**`, "#*/**", ...allowed.map((path) => `!${path}`)],
    message: `${owner} may import only itself and ${[...may, ...types].join(", ")}.`,
  };
  const message = `${owner} may import only types from here.`;
  return [
    closed,
    ...spellings(types).map((name) => ({ name, allowTypeImports: true, message }) as const),
  ];
}

/** The overrides of `owner`'s folder `inner`, as deep as it goes; its tests may also use the rigs. */
function arrow(owner: Owner, inner: string, packages: readonly Restriction[]): OxlintOverride[] {
  const { may, types = [] }: Arrow = arrows[owner];
  return Array.from({ length: deepest }, (_, depth) => depth).flatMap((depth) => {
    const folder = posix.join(owner, inner);
    const example = folder + "/x".repeat(depth);
    const files = `${folder}/${"*/".repeat(depth)}*`;
    return [
      restrict(files, [...packages, ...keepTo(owner, example, { may, types })]),
      restrict(`${files}.test.{ts,tsx}`, [
        ...packages,
        ...keepTo(owner, example, { may: [...may, ...types, "e2e/**"] }),
      ]),
    ];
  });
}

const off = (...names: string[]) => Object.fromEntries(names.map((name) => [name, "off" as const]));

const doesNotFit = off(
  "react/exhaustive-effect-dependencies", // A dependency may be there to run the effect again.
  "react/react-in-jsx-scope", // The compiler's jsx setting imports it.
  "typescript/consistent-return", // The compiler sees missing returns, and `undefined` is a result.
  "typescript/no-unsafe-type-assertion", // Casts stand where a foreign shape was checked.
  "typescript/no-unnecessary-type-parameters", // request<Body>() names what a caller expects.
  "import/no-named-as-default", // ws has its class under both names.
  "unicorn/consistent-function-scoping", // A helper stands where it is used.
  "unicorn/no-confusing-array-with", // with(-1, value) replaces the last.
  "jsx-a11y/no-autofocus", // A form that is the whole page takes the focus.
  "jsx-a11y/no-noninteractive-tabindex", // A part that scrolls takes the keyboard.
  "jsx-a11y/prefer-tag-over-role", // A paragraph can be a status.
  "unicorn/require-post-message-target-origin", // Worker threads have no origin.
  "no-underscore-dangle", // zod's internals are named so.
  "no-unmodified-loop-condition", // It does not see what a callback changes.
);

export default {
  plugins: ["eslint", "typescript", "unicorn", "oxc", "import", "react", "jsx-a11y"],
  categories: { correctness: "error", suspicious: "error" },
  options: { reportUnusedDisableDirectives: "error" },
  rules: {
    ...doesNotFit,
    eqeqeq: "error",
    "import/no-cycle": ["error", { ignoreTypes: false }],
    "import/no-unassigned-import": ["error", { allow: ["**/*.css"] }],
    "no-console": "error",
    "no-restricted-globals": [
      "error",
      { name: "globalThis", message: "Shared state hangs on remember() of lib/global.ts." },
    ],
    "no-restricted-properties": [
      "error",
      { object: "process", property: "env", message: "lib/env.ts reads the environment." },
    ],
    "no-unused-vars": ["error", { ignoreRestSiblings: true, argsIgnorePattern: "^_" }],
    "react/exhaustive-deps": "error",
    "react/rules-of-hooks": "error",
    "typescript/consistent-type-imports": "error",
    "typescript/no-explicit-any": "error",
    "typescript/no-floating-promises": [
      "error",
      {
        allowForKnownSafeCalls: [
          { from: "package", package: "node:test", name: ["describe", "it", "suite", "test"] },
        ],
      },
    ],
    "typescript/no-misused-promises": "error",
    "typescript/no-non-null-assertion": "error",
    "typescript/switch-exhaustiveness-check": [
      "error",
      { considerDefaultExhaustiveForUnions: true },
    ],
    "unicorn/prefer-node-protocol": "error",
  },
  overrides: [
    restrict("lib/*", [nextPackages, providerPackages, fromLib]),
    ...base.map((file) => restrict(file, [nextPackages, providerPackages, fromBase])),
    ...arrow("lib/db", "", [nextPackages, providerPackages]),
    ...arrow("lib/auth", "", [nextPackages, providerPackages]),
    ...arrow("lib/llm", "", [nextPackages, ...providerValues]),
    ...arrow("lib/llm", "providers", [nextPackages]),
    ...arrow("lib/llm", "local", [nextPackages]),
    ...arrow("lib/ws", "", [nextPackages, providerPackages]),
    ...arrow("lib/api", "", [nextPackages, providerPackages]),
    ...arrow("components", "", [providerPackages]),
    restrict("app/**", [rigs, providerPackages]),
    restrict("app/**/route.ts", [rigs, providerPackages, nextPackages], ["app/api/auth/**"]),
    { files: [place("lib/env.ts")], rules: off("no-restricted-properties") },
    { files: [place("lib/global.ts")], rules: off("no-restricted-globals") },
    { files: [place("server.ts")], rules: off("no-console") },
    {
      files: [place("e2e/**"), place("bench/**"), place("*.config.*")],
      rules: off(
        "no-console",
        "no-restricted-properties",
        "no-restricted-globals",
        "react/rules-of-hooks", // Playwright's fixtures have a `use` of their own.
      ),
    },
    {
      files: ["**/*.test.{ts,tsx}"],
      rules: off("no-restricted-properties", "no-restricted-globals"),
    },
  ],
} satisfies OxlintConfig;
