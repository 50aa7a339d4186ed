// The vendor's own client, `@supabase/supabase-js`, against a simulator.
import assert from "node:assert/strict";
import { createClient } from "@supabase/supabase-js";

const { url, service_role_key, anon_key, seeded } = JSON.parse(process.env.SIMULATOR);
const options = { auth: { persistSession: false, autoRefreshToken: false } };
const { admin } = createClient(url, service_role_key, options).auth;

const succeeds = async (promise) => {
  const { data, error } = await promise;
  assert.equal(error, null);
  return data;
};
const fails = async (promise, status, code) => {
  const { error } = await promise;
  assert.equal(error?.status, status, String(error));
  if (code) assert.equal(error.code, code);
};

// Every page, by the page's number that the header Link names; the newest first.
const listed = [];
for (let page = 1; page; ) {
  const data = await succeeds(admin.listUsers({ page, perPage: 30 }));
  assert.equal(data.total, seeded);
  listed.push(...data.users);
  page = data.nextPage;
}
assert.equal(new Set(listed.map((user) => user.id)).size, seeded);
const times = listed.map((user) => Date.parse(user.created_at));
assert.deepEqual(times, times.toSorted((one, other) => other - one));

const { user: ada } = await succeeds(
  admin.createUser({
    email: "Ada@Example.com",
    password: "correct horse",
    email_confirm: true,
    user_metadata: { full_name: "Ada", theme: "dark" },
    app_metadata: { plan: "pro" },
  }),
);
assert.equal(ada.email, "ada@example.com");
assert.equal(ada.user_metadata.full_name, "Ada");
assert.deepEqual(ada.app_metadata, { provider: "email", providers: ["email"], plan: "pro" });
assert.equal(ada.identities[0].provider, "email");
assert.ok(ada.email_confirmed_at);

assert.deepEqual((await succeeds(admin.getUserById(ada.id))).user, ada);
assert.equal((await succeeds(admin.listUsers({ page: 1, perPage: 1 }))).users[0].id, ada.id);

const { user: changed } = await succeeds(
  admin.updateUserById(ada.id, { user_metadata: { full_name: "Ada Lovelace", theme: null } }),
);
assert.deepEqual(changed.user_metadata, { full_name: "Ada Lovelace" });
assert.ok(Date.parse(changed.updated_at) >= Date.parse(ada.updated_at));

await fails(admin.createUser({ email: "ada@example.com" }), 422, "email_exists");
await fails(admin.createUser({}), 400, "validation_failed");

// A soft deletion leaves a row, and no word about the user.
await succeeds(admin.deleteUser(ada.id, true));
const { user: left } = await succeeds(admin.getUserById(ada.id));
assert.ok(left.deleted_at);
assert.notEqual(left.email, "ada@example.com");
assert.deepEqual(left.user_metadata, {});

await succeeds(admin.deleteUser(ada.id));
await fails(admin.getUserById(ada.id), 404, "user_not_found");
await fails(admin.updateUserById(ada.id, { email: "a@example.com" }), 404, "user_not_found");
await fails(admin.deleteUser(ada.id), 404, "user_not_found");
await fails(createClient(url, anon_key, options).auth.admin.listUsers(), 403, "not_admin");
await fails(createClient(url, "sb_secret_wrong", options).auth.admin.listUsers(), 401);
console.log("supabase: list, get, create, update, delete, soft delete");
