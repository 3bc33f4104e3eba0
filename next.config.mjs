/** @type {import("next").NextConfig} */
export default {
  agentRules: false,
  poweredByHeader: false,
  reactStrictMode: true,
  devIndicators: false,
  // The address that the server prints; Next knows only localhost by itself.
  allowedDevOrigins: ["127.0.0.1"],
  // `npm run typecheck` checks every file once; the build need not do it again.
  typescript: { ignoreBuildErrors: true },
  experimental: { agentUpgrade: false },
  serverExternalPackages: ["@node-rs/argon2", "node-llama-cpp", "swagger-ui-dist"],
};
