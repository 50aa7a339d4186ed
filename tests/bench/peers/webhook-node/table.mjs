// The table that the handler keeps, in one connection for each instance.
import pg from "pg";

const pool = new pg.Pool({
  connectionString: process.env.DATABASE_URL,
  max: 1,
  // As sslmode=require: encrypted, and the certificate is not checked.
  ssl: { rejectUnauthorized: false },
});

export async function upsert(user) {
  await pool.query(
    `INSERT INTO peer.users (raw_json, id, name, email, created_at, updated_at)
     VALUES ($1, $2, $3, $4, $5, $6)
     ON CONFLICT (id) DO UPDATE SET
       raw_json = excluded.raw_json,
       name = excluded.name,
       email = excluded.email,
       created_at = excluded.created_at,
       updated_at = excluded.updated_at`,
    [user.raw, user.id, user.name, user.email, user.createdAt, user.updatedAt],
  );
}

export async function remove(id) {
  await pool.query("UPDATE peer.users SET deleted_at = now() WHERE id = $1", [id]);
}
