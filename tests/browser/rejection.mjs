// A user whom the table refuses is a rejection; once the table takes them, it is tried again.
import { goTo, journey, looks, signIn, told } from "./driver.mjs";

await journey(async (page) => {
  await signIn(page);
  await goTo(page, "Rejections");
  const main = page.getByRole("main");
  await looks(page, "rejections");
  await main.getByRole("table").getByRole("link").first().click();
  await page.getByRole("button", { name: "Try again" }).waitFor();
  await looks(page, "rejection");
  await page.getByRole("button", { name: "Try again" }).click();
  if (!told.more.storable) {
    await page.getByRole("alert").waitFor();
    await looks(page, "refused-again");
    return;
  }
  await page.getByRole("status").getByText("resolved").waitFor();
  await looks(page, "resolved");
  await goTo(page, "Users");
  await main.getByRole("link", { name: "Refused Person" }).waitFor();
});
