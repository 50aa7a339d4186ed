// The browser, as every journey uses it.
import assert from "node:assert/strict";
import { existsSync, mkdirSync } from "node:fs";
import axe from "axe-core";
import { chromium } from "playwright-core";

export const told = JSON.parse(process.env.JOURNEY);

const programs = [
  process.env.CHROMIUM,
  "/usr/bin/chromium",
  "/usr/bin/chromium-browser",
  "/usr/bin/google-chrome",
];
const executablePath = programs.find((program) => program && existsSync(program));
assert.ok(executablePath, "Chromium is missing: run `make setup`, or name it in CHROMIUM");

// What accessibility is checked by: WCAG 2.2 AA, and axe's own best practices.
const TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];

/** Takes a journey with a page of a new browser, and ends it. */
export async function journey(walk) {
  const browser = await chromium.launch({ executablePath, args: ["--no-sandbox", "--disable-dev-shm-usage"] });
  const { width, dark, script } = told.look;
  const context = await browser.newContext({
    viewport: { width, height: width < 600 ? 844 : 800 },
    colorScheme: dark ? "dark" : "light",
    javaScriptEnabled: script,
    reducedMotion: "reduce",
  });
  context.setDefaultTimeout(20_000);
  const page = await context.newPage();
  const faults = [];
  page.on("pageerror", (error) => faults.push(`script: ${error.message}`));
  page.on("console", (message) => {
    // Answers of 4xx are said here, too, and are checked where they are expected.
    if (message.type() === "error" && !message.text().includes("the server responded with a status")) {
      faults.push(`console: ${message.text()}`);
    }
  });
  try {
    await walk(page, context);
    assert.deepEqual(faults, []);
    console.log("arrived");
  } catch (error) {
    console.log(await page.innerText("body").catch(() => "no page"));
    console.log(page.url());
    throw error;
  } finally {
    await browser.close();
  }
}

/** Checks the page's accessibility and width, and keeps a picture of it under this name. */
export async function looks(page, name) {
  const overflow = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
  assert.ok(overflow <= 0, `${name}: the page is ${overflow} pixels wider than the window`);
  if (told.look.script) {
    await page.evaluate(axe.source);
    const found = await page.evaluate((values) => axe.run({ runOnly: { type: "tag", values } }), TAGS);
    const said = found.violations.map(({ id, help, nodes }) => ({ id, help, where: nodes.map((node) => node.html) }));
    assert.deepEqual(said, [], `${name}: axe finds something`);
  }
  if (told.screenshots) {
    mkdirSync(told.screenshots, { recursive: true });
    const look = `${told.look.width < 600 ? "phone" : "desktop"}-${told.look.dark ? "dark" : "light"}`;
    await page.screenshot({ path: `${told.screenshots}/${name}-${look}.png` });
  }
}

/** Waits until the page says this: it shows itself anew where it has a script. */
export async function until(page, locator, seconds = 20) {
  if (!told.look.script) return again(page, locator, seconds);
  await locator.first().waitFor({ state: "visible", timeout: seconds * 1000 });
}

/** Opens the page again until it says this, as a person does whose page does not show itself anew. */
export async function again(page, locator, seconds = 20) {
  const end = Date.now() + seconds * 1000;
  while (Date.now() < end && !(await locator.first().isVisible())) {
    await new Promise((done) => setTimeout(done, 200));
    await page.goto(page.url());
  }
  await locator.first().waitFor({ state: "visible", timeout: 1000 });
}

/** Signs in with the token. */
export async function signIn(page) {
  await page.goto(told.console);
  await page.getByLabel("Token", { exact: false }).fill(told.token);
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByRole("navigation", { name: "Pages" }).waitFor();
}

/** Goes to a page by the navigation. */
export async function goTo(page, name) {
  await page.getByRole("navigation", { name: "Pages" }).getByRole("link", { name, exact: true }).click();
  await page.getByRole("heading", { level: 1 }).waitFor();
}

/** Asks the simulated provider's control API. */
export async function control(method, path, body) {
  const answer = await fetch(told.control + path, { method, body: body && JSON.stringify(body) });
  assert.ok(answer.ok, `${method} ${path}: ${answer.status}`);
  return answer.json();
}
