// Drizzle's own helper for Neon's table, `usersSync`, finds it in the schema neon_auth, joins it and
// refers to it.
import assert from "node:assert/strict";
import { eq, isNull } from "drizzle-orm";
import { usersSync } from "drizzle-orm/neon";
import { drizzle } from "drizzle-orm/node-postgres";
import { bigint, getTableConfig, pgTable, text } from "drizzle-orm/pg-core";
import pg from "pg";

const client = new pg.Client({ connectionString: process.env.DATABASE_URL });
await client.connect();
const db = drizzle(client);

const { name, schema, columns } = getTableConfig(usersSync);
assert.deepEqual([schema, name], ["neon_auth", "users_sync"]);
// Whatever the helper names is a column of ours.
const { rows } = await client.query(
  "SELECT column_name FROM information_schema.columns WHERE table_schema = $1 AND table_name = $2",
  [schema, name],
);
const ours = new Set(rows.map((row) => row.column_name));
for (const column of columns) assert.ok(ours.has(column.name), `no column ${column.name}`);
assert.equal(columns.length, ours.size);

const todos = pgTable("todos", {
  id: bigint({ mode: "number" }).primaryKey(),
  userId: text("user_id").notNull().references(() => usersSync.id),
  title: text().notNull(),
});
await client.query(
  "CREATE TABLE todos (id bigint PRIMARY KEY, title text NOT NULL, user_id text NOT NULL REFERENCES neon_auth.users_sync (id))",
);
await db.insert(todos).values({ id: 1, userId: process.env.USER_ID, title: "write it down" });
const found = await db
  .select({ title: todos.title, author: usersSync.name, email: usersSync.email, raw: usersSync.rawJson, at: usersSync.updatedAt })
  .from(todos)
  .innerJoin(usersSync, eq(todos.userId, usersSync.id))
  .where(isNull(usersSync.deletedAt));
assert.equal(found.length, 1);
assert.deepEqual([found[0].author, found[0].email], ["Ada Lovelace", "ada@example.com"]);
assert.equal(typeof found[0].raw, "object");
assert.ok(found[0].at);
await assert.rejects(db.insert(todos).values({ id: 2, userId: "nobody", title: "?" }));
await client.query("DROP TABLE todos");
await client.end();
console.log("drizzle: sees, joins, refers");
