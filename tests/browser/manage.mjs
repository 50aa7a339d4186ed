// Users are found, made, renamed, given another e-mail and deleted at the provider, and the table
// follows.
import { again, control, goTo, journey, looks, signIn, told, until } from "./driver.mjs";

await journey(async (page) => {
  await signIn(page);
  const { id } = await control("POST", "/users", { name: "Grace Hopper", email: "grace@example.com" });

  // Search, by the beginning of a name.
  await goTo(page, "Users");
  const main = page.getByRole("main");
  const find = async (text) => {
    await page.getByLabel("begins with", { exact: false }).fill(text);
    await page.getByRole("button", { name: "Search" }).click();
    await page.waitForURL((url) => url.searchParams.get("q") === text);
  };
  await find("grace h");
  // The page is a moment's: a search that was quicker than the delivery found nobody.
  await again(page, main.getByRole("link", { name: "Grace Hopper" }));
  await looks(page, "search");
  await main.getByRole("link", { name: "Grace Hopper" }).click();
  await page.getByText(id).first().waitFor();

  // A rename is made at the provider, and lands.
  await page.locator("#rename").fill("Grace Brewster");
  await page.getByRole("button", { name: "Rename" }).click();
  await until(page, page.locator("dd", { hasText: "Grace Brewster" }));
  await looks(page, "renamed");
  const type = () => page.locator("#email").fill("grace@navy.example");
  if (told.look.script) await meanwhile(page, type);
  else await type();
  await page.getByRole("button", { name: "Change", exact: true }).click();
  await until(page, page.locator("dd", { hasText: "grace@navy.example" }));

  // A newcomer arrives by the delivery.
  await goTo(page, "Users");
  await main.getByRole("link", { name: "New user" }).click();
  await page.getByLabel("E-mail").fill("ada@example.com");
  await page.getByLabel("Name", { exact: false }).fill("Ada Lovelace");
  await looks(page, "new-user");
  await page.getByRole("button", { name: "Create" }).click();
  await until(page, page.getByRole("link", { name: "To the user" }));
  await page.getByRole("link", { name: "To the user" }).click();
  await page.locator("dd", { hasText: "ada@example.com" }).first().waitFor();

  // An email that is taken is refused in words.
  await goTo(page, "Users");
  await main.getByRole("link", { name: "New user" }).click();
  await page.getByLabel("E-mail").fill("ada@example.com");
  await page.getByRole("button", { name: "Create" }).click();
  await page.getByRole("alert").getByText("choose another one", { exact: false }).waitFor();
  await looks(page, "taken");

  // A deletion is made at the provider, and the row stays as a tombstone.
  await goTo(page, "Users");
  await find("ada");
  await main.getByRole("link", { name: "Ada Lovelace" }).click();
  await page.getByText("Delete this user at the provider").click();
  await page.getByLabel("loses the account", { exact: false }).check();
  await page.getByRole("button", { name: "Delete", exact: true }).click();
  await until(page, page.locator("dt", { hasText: "Deleted" }));
  await looks(page, "deleted");
});

/** Does this while the answer is on its way that the page would show itself anew with. */
async function meanwhile(page, act) {
  const renews = (request) => "x-refresh" in request.headers();
  let release;
  const acted = new Promise((done) => (release = done));
  await page.route("**/*", async (route) => {
    if (renews(route.request())) await acted;
    await route.continue();
  });
  await page.waitForRequest(renews);
  await act();
  const answer = page.waitForResponse((response) => renews(response.request()));
  release();
  await (await answer).finished();
  await page.unrouteAll({ behavior: "wait" });
  await page.waitForTimeout(200);
}
