// The vendor's own client, `@workos-inc/node`, against a simulator.
import assert from "node:assert/strict";
import { WorkOS } from "@workos-inc/node";

const { url, api_key, seeded, signed } = JSON.parse(process.env.SIMULATOR);
const { hostname, port } = new URL(url);
const options = { apiHostname: hostname, port: Number(port), https: false };
const workos = new WorkOS(api_key, options);
const { userManagement, events, webhooks } = workos;

// Every page, by cursor; the client asks for the oldest last unless told otherwise.
for (const order of ["asc", "desc"]) {
  const list = await userManagement.listUsers({ limit: 30, order });
  assert.equal(list.data.length, 30);
  const listed = await userManagement.listUsers({ order }).then((first) => first.autoPagination());
  assert.equal(listed.length, seeded);
  assert.equal(new Set(listed.map((user) => user.id)).size, seeded);
  const times = listed.map((user) => Date.parse(user.createdAt));
  const sorted = times.toSorted((one, other) => (order === "asc" ? one - other : other - one));
  assert.deepEqual(times, sorted);
}

const ada = await userManagement.createUser({
  email: "Ada@Example.com",
  password: "Correct-Horse-7",
  firstName: "Ada",
  lastName: "Lovelace",
  externalId: "1815",
  metadata: { theme: "dark", plan: "pro" },
});
assert.match(ada.id, /^user_[0-9A-Z]{26}$/);
assert.equal(ada.object, "user");
assert.equal(ada.email, "ada@example.com");
assert.equal(ada.emailVerified, false);
assert.equal(ada.name, "Ada Lovelace");
assert.equal(ada.externalId, "1815");
assert.equal(ada.createdAt, ada.updatedAt);
assert.deepEqual(await userManagement.getUser(ada.id), ada);
const { data: found } = await userManagement.listUsers({ email: "ada@example.com" });
assert.deepEqual(found, [ada]);

// Versions count milliseconds.
await new Promise((passed) => setTimeout(passed, 5));
const changed = await userManagement.updateUser({
  userId: ada.id,
  lastName: "King",
  emailVerified: true,
  metadata: { theme: null, size: "1" },
});
assert.equal(changed.name, "Ada King");
assert.equal(changed.emailVerified, true);
assert.deepEqual(changed.metadata, { plan: "pro", size: "1" });
assert.equal(changed.createdAt, ada.createdAt);
assert.ok(Date.parse(changed.updatedAt) > Date.parse(ada.updatedAt));

const fails = async (promise, status, code) => {
  const error = await promise.then(() => assert.fail("not refused"), (error) => error);
  assert.equal(error.status, status, error.stack);
  if (code) assert.equal(error.code, code);
};
await fails(userManagement.createUser({ email: "ada@example.com" }), 400, "user_creation_error");
await fails(userManagement.createUser({}), 422, "invalid_request_parameters");
await userManagement.deleteUser(ada.id);
await fails(userManagement.getUser(ada.id), 404, "entity_not_found");
await fails(userManagement.updateUser({ userId: ada.id, firstName: "A" }), 404, "entity_not_found");
await fails(userManagement.deleteUser(ada.id), 404, "entity_not_found");
await fails(userManagement.listUsers({ limit: 101 }), 422);
await fails(new WorkOS("sk_wrong", options).userManagement.listUsers(), 401);

// The record, from the beginning and from an event on, which is the deletion.
const kinds = ["user.created", "user.updated", "user.deleted"];
const record = await events.listEvents({ events: kinds, limit: 100 });
assert.deepEqual(record.data.map((event) => event.event), kinds);
assert.deepEqual(record.data.map((event) => event.data), [ada, changed, changed]);
const { data: rest } = await events.listEvents({ events: kinds, after: record.data[1].id });
assert.deepEqual(rest, [record.data[2]]);
const { data: oldest } = await events.listEvents({ events: kinds, limit: 1 });
assert.deepEqual(oldest, [record.data[0]]);
const { data: later } = await events.listEvents({
  events: ["user.updated"],
  rangeStart: changed.updatedAt,
});
assert.deepEqual(later, [record.data[1]]);

// The client takes the bodies that our sender signs, and nothing else.
for (const { payload, signature, secret } of signed) {
  const event = await webhooks.constructEvent({ payload, sigHeader: signature, secret });
  assert.equal(event.id, JSON.parse(payload).id);
  assert.equal(event.data.id, JSON.parse(payload).data.id);
  const forged = { payload: `${payload} `, sigHeader: signature, secret };
  await assert.rejects(webhooks.constructEvent(forged), /does not match/);
  const other = { payload, sigHeader: signature, secret: `${secret}x` };
  await assert.rejects(webhooks.constructEvent(other), /does not match/);
}
assert.equal(signed.length, 3);

const endpoint = await webhooks.createWebhookEndpoint({
  endpointUrl: "https://example.com/webhooks",
  events: kinds,
});
assert.match(endpoint.secret, /^whsec_/);
assert.equal(endpoint.endpointUrl, "https://example.com/webhooks");
console.log("workos: list, get, create, update, delete, events, signatures");
