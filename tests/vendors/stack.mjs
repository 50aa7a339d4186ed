// The vendor's own client, `@stackframe/js`, against a simulator.
import assert from "node:assert/strict";
import { StackServerApp } from "@stackframe/js";

const { url, project_id, secret_server_key, seeded } = JSON.parse(process.env.SIMULATOR);
const options = {
  baseUrl: url,
  projectId: project_id,
  publishableClientKey: "pck_simulated",
  secretServerKey: secret_server_key,
  tokenStore: "memory",
  noAutomaticPrefetch: true,
};
const app = new StackServerApp(options);

// Every page, by cursor.
const listed = [];
for (let cursor; cursor !== null; ) {
  const page = await app.listUsers({ limit: 30, cursor, includeAnonymous: true });
  listed.push(...page);
  cursor = page.nextCursor;
}
assert.equal(listed.length, seeded);
assert.equal(new Set(listed.map((user) => user.id)).size, seeded);

const ada = await app.createUser({
  primaryEmail: "Ada@Example.com",
  primaryEmailAuthEnabled: true,
  password: "correct horse",
  displayName: "Ada",
  clientMetadata: { theme: "dark" },
  serverMetadata: { plan: "pro" },
});
assert.equal(ada.primaryEmail, "ada@example.com");
assert.equal(ada.displayName, "Ada");
assert.equal(ada.hasPassword, true);

const read = await app.getUser(ada.id);
assert.equal(read.id, ada.id);
assert.deepEqual(read.clientMetadata, { theme: "dark" });

await read.update({ displayName: "Ada Lovelace", primaryEmailVerified: true });
await read.setServerMetadata({ plan: "free" });
const again = await new StackServerApp(options).getUser(ada.id);
assert.equal(again.displayName, "Ada Lovelace");
assert.equal(again.primaryEmailVerified, true);
assert.deepEqual(again.serverMetadata, { plan: "free" });

const found = await app.listUsers({ query: "ada@example.com" });
assert.deepEqual(found.map((user) => user.id), [ada.id]);

await again.delete();
assert.equal(await new StackServerApp(options).getUser(ada.id), null);
await assert.rejects(() => again.delete(), /USER_NOT_FOUND|not found/i);
const wrong = new StackServerApp({ ...options, secretServerKey: "ssk_wrong" });
await assert.rejects(() => wrong.listUsers(), /key/i);
console.log("stack: list, get, create, update, delete, search");
// The client keeps timers of its own.
process.exit(0);
