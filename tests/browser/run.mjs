// A first run takes in who is there already, watched from the page.
import { goTo, journey, looks, signIn, until } from "./driver.mjs";

await journey(async (page) => {
  await signIn(page);
  await looks(page, "overview-empty");
  await page.getByRole("button", { name: "Take them in" }).click();
  await until(page, page.getByRole("heading", { level: 1, name: "Run complete" }), 60);
  await looks(page, "run-complete");
  await goTo(page, "Overview");
  await looks(page, "overview");
  await goTo(page, "Runs");
  await looks(page, "runs");
  await goTo(page, "Users");
  await looks(page, "users");
});
