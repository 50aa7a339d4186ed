// A run that misses more users than it may delete is held; a person sees whom, and releases exactly
// those.
import assert from "node:assert/strict";
import { control, goTo, journey, looks, signIn, until } from "./driver.mjs";

await journey(async (page) => {
  await signIn(page);
  await page.getByRole("button", { name: "Take them in" }).click();
  await until(page, page.getByRole("heading", { level: 1, name: "Run complete" }), 60);

  // Nobody is told of these deletions: nothing listens there.
  await control("PUT", "/destination", { url: "http://127.0.0.1:1/" });
  const { users } = await control("GET", "/truth");
  const gone = users.slice(0, 12).map(({ id }) => id);
  for (const id of gone) await control("POST", `/users/${encodeURIComponent(id)}`, "delete");

  await goTo(page, "Runs");
  await page.getByRole("button", { name: "Run now" }).click();
  await until(page, page.getByRole("heading", { level: 1, name: "Run held" }), 60);
  await looks(page, "held");
  await goTo(page, "Overview");
  await page.getByText("A run is held").waitFor();
  await looks(page, "overview-held");
  await page.getByRole("button", { name: "See the missing users" }).click();
  await page.getByText("12 users are missing at the provider").waitFor();
  for (const id of gone) assert.ok(await page.getByText(id).first().isVisible(), `${id} is not named`);
  await looks(page, "whom");
  await page.getByRole("button", { name: "Mark exactly these 12 users as deleted" }).click();
  await page.getByRole("status").getByText("12 of the 12 users").waitFor();
  await looks(page, "released");
  await page.getByRole("button", { name: "Run now" }).click();
  await until(page, page.getByRole("heading", { level: 1, name: "Run complete" }), 60);
});
