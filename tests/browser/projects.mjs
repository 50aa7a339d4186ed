// A project is chosen with an access token, and the token is nowhere afterwards; the one that the
// page makes is connected once it is up.
import assert from "node:assert/strict";
import { control, goTo, journey, looks, signIn, told, until } from "./driver.mjs";

const { token } = told.account;

/** No page holds the token, in whatever form. */
async function forgets(page) {
  const content = await page.content();
  assert.ok(!content.includes(token), `${page.url()} holds the token`);
  assert.ok(!page.url().includes(token), "an address holds the token");
  for (const field of await page.locator("input[type=password]").all()) {
    assert.equal(await field.inputValue(), "");
  }
}

await journey(async (page) => {
  await signIn(page);
  await goTo(page, "Connection");
  await page.getByRole("main").getByRole("link", { name: told.title, exact: true }).click();
  await page.getByRole("link", { name: "Choose with an access token" }).click();
  await looks(page, `token-${told.provider}`);
  await page.getByLabel("Access token").fill("sbp_0000000000000000000000000000000000000000");
  await page.getByRole("button", { name: "List the projects" }).click();
  await page.getByRole("alert").getByText("does not accept the access token").waitFor();
  await forgets(page);
  await page.getByLabel("Access token").fill(token);
  await page.getByRole("button", { name: "List the projects" }).click();

  // A new one, which is not up at once.
  await page.getByLabel("Name of the new project").fill("Made here");
  await looks(page, `projects-${told.provider}`);
  await forgets(page);
  await page.locator("#region").selectOption("emea");
  await page.locator("#new-token").fill(token);
  await page.getByRole("button", { name: "Make it" }).click();
  await page.getByRole("status").getByText("is coming up").waitFor();
  await looks(page, `made-${told.provider}`);
  await forgets(page);
  for (let looked = 0; looked < 2; looked++) {
    if (looked > 0) await page.getByRole("link", { name: "Look again" }).click();
    await page.getByLabel("Access token").fill(token);
    await page.getByRole("button", { name: "List the projects" }).click();
    await page.getByLabel("Which project?", { exact: false }).waitFor();
  }
  const made = page.locator("#project option", { hasText: "Made here" });
  await page.locator("#project").selectOption(await made.getAttribute("value"));
  await page.locator("#token").fill(token);
  await page.getByRole("button", { name: "Connect it" }).click();

  // Its trigger is installed, and tells of a sign-up.
  await page.getByText("deliveries are set up at the provider", { exact: false }).waitFor();
  await forgets(page);
  await control("POST", "/users", { name: "Grace Hopper", email: "grace@example.com" });
  await until(page, page.getByText("Deliveries arrive", { exact: false }));
});
