// The vendor's own client, `@clerk/backend`, against a simulator.
import assert from "node:assert/strict";
import { createClerkClient } from "@clerk/backend";

const { url, secret_key, instance, seeded } = JSON.parse(process.env.SIMULATOR);
const clerk = createClerkClient({ secretKey: secret_key, apiUrl: url, telemetry: { disabled: true } });
const { users } = clerk;

// Every page of a listing: by offset, and by cursor.
const listed = [];
for (let offset = 0; offset < seeded; offset += 30) {
  const page = await users.getUserList({ limit: 30, offset, orderBy: "+created_at" });
  assert.equal(page.totalCount, seeded);
  listed.push(...page.data);
}
assert.equal(new Set(listed.map((user) => user.id)).size, seeded);
assert.ok(listed.every((user, i) => i === 0 || listed[i - 1].createdAt <= user.createdAt));
for (const user of listed) {
  const primary = user.primaryEmailAddress?.emailAddress;
  assert.ok(!primary || primary.endsWith("@example.com"), primary);
}
assert.ok(listed.some((user) => !user.primaryEmailAddress && user.primaryPhoneNumber));
assert.ok(listed.some((user) => user.fullName === null && user.username));
assert.equal((await users.getUserList()).data.length, 10);

const ada = await users.createUser({
  emailAddress: ["Ada@Example.com", "second@example.com"],
  password: "Correct-Horse-7",
  firstName: "Ada",
  externalId: "567772",
  publicMetadata: { theme: "dark" },
});
assert.match(ada.id, /^user_[0-9A-Za-z]{27}$/);
assert.equal(ada.primaryEmailAddress.emailAddress, "ada@example.com");
assert.equal(ada.passwordEnabled, true);
assert.equal(await users.getCount(), seeded + 1);

const read = await users.getUser(ada.id);
assert.deepEqual(read.raw, ada.raw);

const other = ada.emailAddresses.find(({ id }) => id !== ada.primaryEmailAddressId);
const changed = await users.updateUser(ada.id, { lastName: "Lovelace", primaryEmailAddressID: other.id });
assert.equal(changed.fullName, "Ada Lovelace");
assert.equal(changed.primaryEmailAddress.emailAddress, "second@example.com");
assert.ok(changed.updatedAt > ada.updatedAt);
assert.equal(changed.createdAt, ada.createdAt);

await users.updateUserMetadata(ada.id, { privateMetadata: { plan: { tier: "pro", seats: 3 } } });
const merged = await users.updateUserMetadata(ada.id, {
  publicMetadata: { theme: null },
  privateMetadata: { plan: { seats: 4 } },
});
assert.deepEqual(merged.publicMetadata, {});
assert.deepEqual(merged.privateMetadata, { plan: { tier: "pro", seats: 4 } });
const replaced = await users.replaceUserMetadata(ada.id, { privateMetadata: { plan: "free" } });
assert.deepEqual(replaced.privateMetadata, { plan: "free" });

const found = await users.getUserList({ emailAddress: ["second@example.com"] });
assert.deepEqual(found.data.map((user) => user.id), [ada.id]);
assert.equal((await clerk.instance.get()).id, instance);

const fails = async (promise, status, code) => {
  const error = await promise.then(() => assert.fail("not refused"), (error) => error);
  assert.equal(error.status, status, error.message);
  assert.equal(error.errors[0].code, code);
  assert.ok(error.clerkTraceId);
};
await fails(users.createUser({ emailAddress: ["second@example.com"] }), 422, "form_identifier_exists");
await fails(users.createUser({ firstName: "Nobody" }), 422, "form_data_missing");
const third = await clerk.emailAddresses.createEmailAddress({
  userId: ada.id, emailAddress: "Third@example.com", primary: true, verified: true,
});
assert.equal(third.emailAddress, "third@example.com");
assert.equal(third.verification.status, "verified");
assert.equal((await users.getUser(ada.id)).primaryEmailAddressId, third.id);
await clerk.emailAddresses.updateEmailAddress(other.id, { primary: true });
assert.equal((await users.getUser(ada.id)).primaryEmailAddressId, other.id);
const add = (userId, emailAddress) => clerk.emailAddresses.createEmailAddress({ userId, emailAddress });
await fails(add(ada.id, "third@example.com"), 422, "form_identifier_exists");
await fails(add(ada.id, "no address"), 422, "form_param_format_invalid");
await fails(add("user_nobody", "new@example.com"), 404, "resource_not_found");
await fails(clerk.emailAddresses.updateEmailAddress("idn_nobody", { primary: true }), 404, "resource_not_found");
const deleted = await users.deleteUser(ada.id);
assert.deepEqual([deleted.id, deleted.deleted], [ada.id, true]);
await fails(users.getUser(ada.id), 404, "resource_not_found");
await fails(users.updateUser(ada.id, { firstName: "Nobody" }), 404, "resource_not_found");
await fails(users.deleteUser(ada.id), 404, "resource_not_found");
await fails(users.getUserList({ limit: 501 }), 422, "form_param_value_invalid");
const wrong = createClerkClient({ secretKey: "sk_test_wrong", apiUrl: url });
await fails(wrong.users.getUserList(), 401, "clerk_key_invalid");
console.log("clerk: list, get, create, update, delete, count");
