import { expect, test } from "@playwright/test";

// Addresses and names kept for documentation (RFC 5737, RFC 3849, RFC 6761): a browser that is not
// closed still reaches nobody.
const outside = ["http://192.0.2.1/", "http://[2001:db8::1]/", "http://provider.test/"];

for (const url of outside) {
  test(`the browser does not reach ${url}`, async ({ page }) => {
    await expect(page.goto(url)).rejects.toThrow("net::ERR_NAME_NOT_RESOLVED");
  });
}
