import { AppError } from "../errors.ts";
import type { Call } from "./handler.ts";
import type { routes } from "./routes.ts";
import type { RegisterResponse, TokenResponse } from "./schemas.ts";

/** POST /token */
export async function issueToken({
  body,
  services,
}: Call<typeof routes.token>): Promise<TokenResponse> {
  const user = await services.accounts.authenticate(body.username, body.password);
  const { accessToken, expiresInSeconds } = await services.tokens.issue({
    userId: user.id,
    username: user.username,
    tokenVersion: user.token_version,
  });
  return { access_token: accessToken, token_type: "bearer", expires_in: expiresInSeconds };
}

/** POST /register */
export async function register({
  body,
  services,
}: Call<typeof routes.register>): Promise<RegisterResponse> {
  if (!services.env.ALLOW_SIGNUP) throw new AppError("signup_disabled");
  const account = await services.accounts.register(body.username, body.password);
  return {
    id: account.id,
    username: account.username,
    created_at: new Date(account.createdAtMs).toISOString(),
  };
}
