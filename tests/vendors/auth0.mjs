// The vendor's own client, `auth0`, against a simulator.
import assert from "node:assert/strict";
import { ManagementClient } from "auth0";

const { url, domain, client_id, client_secret, seeded } = JSON.parse(process.env.SIMULATOR);

// The client speaks to `https://domain` alone: the same requests go to the simulator.
const refused = [];
const redirected = async (target, options) => {
  const { origin, pathname, search } = new URL(target);
  assert.equal(origin, `https://${domain}`);
  const answer = await fetch(`${url}${pathname}${search}`, options);
  if (!answer.ok) refused.push(`${options.method} ${pathname} ${answer.status}`);
  return answer;
};
const options = { domain, clientId: client_id, clientSecret: client_secret, fetch: redirected };
const { users } = new ManagementClient({ ...options });

// Every page of a listing, once.
const listed = [];
for await (const user of await users.list({ per_page: 30, sort: "created_at:1", search_engine: "v3" })) {
  listed.push(user.user_id);
}
assert.equal(listed.length, seeded);
assert.equal(new Set(listed).size, seeded);

const ada = await users.create({
  connection: "Username-Password-Authentication",
  email: "Ada@Example.com",
  password: "Correct-Horse-7",
  name: "Ada",
  user_metadata: { theme: "dark", locale: "en" },
  app_metadata: { plan: "pro" },
});
assert.match(ada.user_id, /^auth0\|[0-9a-f]{24}$/);
assert.equal(ada.email, "ada@example.com");
assert.equal(ada.email_verified, false);

// The id's bar is percent-encoded by the client.
const read = await users.get(ada.user_id);
assert.deepEqual(read, ada);

const changed = await users.update(ada.user_id, {
  name: "Ada Lovelace",
  user_metadata: { theme: null, size: 1 },
});
assert.equal(changed.name, "Ada Lovelace");
assert.deepEqual(changed.user_metadata, { locale: "en", size: 1 });
assert.deepEqual(changed.app_metadata, { plan: "pro" });
assert.equal(changed.created_at, ada.created_at);

const found = await users.list({ q: 'email:"ada@example.com"', search_engine: "v3" });
assert.deepEqual(found.data.map((user) => user.user_id), [ada.user_id]);
const since = await users.list({ q: `created_at:[${ada.created_at} TO *]`, sort: "created_at:1" });
assert.deepEqual(since.data.map((user) => user.user_id), [ada.user_id]);

const fails = async (promise, status, code) => {
  const error = await promise.then(() => assert.fail("not refused"), (error) => error);
  assert.equal(error.statusCode, status, error.message);
  if (code) assert.equal(error.body.errorCode, code);
};
await fails(users.create({ connection: "Username-Password-Authentication", email: "ada@example.com", password: "x" }), 409);
await users.delete(ada.user_id);
await fails(users.get(ada.user_id), 404, "inexistent_user");
await fails(users.update(ada.user_id, { name: "Nobody" }), 404, "inexistent_user");
await users.delete(ada.user_id);
await fails(users.list({ page: 20, per_page: 50 }), 400, "invalid_paging");
await fails(new ManagementClient({ ...options, clientSecret: "wrong" }).users.list(), 401);
await fails(new ManagementClient({ ...options, audience: "https://elsewhere.example/" }).users.list(), 403);
assert.equal(refused.length, 6, refused.join("\n"));
console.log("auth0: list, get, create, update, delete, search");
