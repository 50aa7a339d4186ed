// Whoever guesses at the token is told to wait, and who has it signs in on another day.
import { journey, looks, told } from "./driver.mjs";

await journey(async (page) => {
  await page.goto(told.console);
  const attempt = async (token) => {
    await page.getByLabel("Token").fill(token);
    await page.getByRole("button", { name: "Sign in" }).click();
    await page.getByRole("alert").waitFor();
  };
  await looks(page, "sign-in");
  await attempt("a token that nobody has");
  await looks(page, "wrong-token");
  for (let i = 0; i < 30; i++) {
    if (await page.getByText("Too many attempts", { exact: false }).isVisible()) break;
    await attempt("a token that nobody has");
  }
  await page.getByText("Too many attempts", { exact: false }).waitFor();
  await looks(page, "limited");
  // The right one is not let in either, from this address.
  await attempt(told.token);
  await page.getByText("Too many attempts", { exact: false }).waitFor();
});
