// From nothing to a synced table: choose a provider, paste the keys, have it deliver, see a sign-up
// arrive.
import assert from "node:assert/strict";
import { control, goTo, journey, looks, signIn, told, until } from "./driver.mjs";

// What a person copies, by the secret's fields; what is often pasted in the key's place.
const WRONG = {
  stack: ["secret_server_key", "pck_1234567890", "publishable client key"],
  hexclave: ["secret_server_key", "pck_1234567890", "publishable client key"],
  clerk: ["secret_key", "pk_test_1234567890", "publishable key"],
  workos: ["api_key", "client_1234567890", "client ID"],
  auth0: ["client_secret", "eyJhbGciOiJIUzI1NiJ9.e30.x", "access token"],
  supabase: ["service_role_key", "sb_publishable_1234567890", "publishable key"],
};

async function fill(page, keys) {
  for (const [name, value] of Object.entries(keys)) {
    if (!["name", "webhook_token"].includes(name)) await page.locator(`#${name}`).fill(value);
  }
  await page.getByRole("button", { name: "Connect" }).click();
}

/** What a person does at the provider's dashboard, or in its SQL editor. */
async function tellProvider(page) {
  if (told.provider === "workos" || told.provider === "auth0") {
    await page.getByRole("button", { name: "Set it up" }).click();
    await page.getByText("set up", { exact: false }).first().waitFor();
    return;
  }
  if (told.provider === "supabase") {
    await page.getByRole("button", { name: "Show the SQL" }).click();
    const sql = await page.locator("#sql").inputValue();
    const url = sql.match(/url := '([^']*)'/)[1];
    const secret = sql.match(/'Bearer ([^']*)'/)[1];
    assert.equal(url, told.webhook);
    await control("PUT", "/destination", { url, secret });
    return;
  }
  const url = await page.locator("#endpoint").inputValue();
  assert.equal(url, told.webhook);
  const { secret } = await control("PUT", "/destination", { url });
  await page.locator("#signing_secret").fill("not a signing secret");
  await page.getByRole("button", { name: "Keep it" }).click();
  await page.getByRole("alert").getByText("no signing secret").waitFor();
  await page.locator("#signing_secret").fill(secret);
  await page.getByRole("button", { name: "Keep it" }).click();
  await page.getByText("signing secret is kept", { exact: false }).waitFor();
}

await journey(async (page) => {
  await signIn(page);
  await looks(page, "begin");
  await goTo(page, "Connection");
  await looks(page, "choose");
  await page.getByRole("main").getByRole("link", { name: told.title.split(" (")[0], exact: true }).click();
  await page.getByRole("button", { name: "Connect" }).waitFor();
  await looks(page, `keys-${told.provider}`);

  // What is wrong is said at the field, and no key is there again.
  const [field, wrong, words] = WRONG[told.provider];
  await fill(page, { ...told.keys, [field]: wrong });
  await page.getByRole("alert").getByText(words).waitFor();
  assert.equal(await page.locator(`#${field}`).getAttribute("aria-invalid"), "true");
  assert.equal(await page.locator(`#${field}`).inputValue(), "");
  await looks(page, `refused-${told.provider}`);
  await fill(page, { ...told.keys, [field]: "x".repeat(40) });
  await page.getByRole("alert").waitFor();
  assert.ok(!(await page.content()).includes("x".repeat(40)), "a key is shown again");

  await fill(page, told.keys);
  await page.getByRole("heading", { level: 1, name: "Deliveries" }).waitFor();
  await looks(page, `deliveries-${told.provider}`);
  for (const name of Object.keys(told.keys).filter((name) => /key|secret|token/.test(name))) {
    assert.ok(!(await page.content()).includes(told.keys[name]), `${name} is shown`);
  }
  await tellProvider(page);
  await looks(page, `told-${told.provider}`);

  // It turns green by itself with the first delivery.
  const { id } = await control("POST", "/users", { name: "Grace Hopper", email: "grace@example.com" });
  if (told.provider === "supabase") await goTo(page, "Connection");
  await until(page, page.getByText("Deliveries arrive", { exact: false }));
  await looks(page, `arrived-${told.provider}`);

  // Whoever was there before is taken in without leaving the page.
  if (told.provider === "supabase") await page.getByRole("link", { name: "Set up deliveries" }).click();
  await page.getByRole("button", { name: "Take them in" }).click();
  await until(page, page.getByRole("heading", { level: 1, name: "Run complete" }), 60);

  await goTo(page, "Users");
  await page.getByRole("link", { name: "Grace Hopper" }).click();
  await page.getByText(id).first().waitFor();
  await looks(page, "user");
});
