//! The table compared with the provider.

use anyhow::{Context, Result, ensure};
use sha2::{Digest, Sha256};
use tokio_postgres::types::Type;

use super::{Parameters, Stage};
use crate::simulator::Truth;

/// Rows of one comparison.
const BATCH: usize = 1_000;

impl Stage {
    /// Compares the whole table with the provider, column by column.
    pub async fn assert_in_sync(&self) -> Result<()> {
        let truth: Vec<Truth> = self.simulator.truth().collect();
        let mut problems = Vec::new();
        for users in truth.chunks(BATCH) {
            problems.extend(self.differences(users).await?);
        }
        let ids: Vec<&str> = truth.iter().map(|user| user.id.as_str()).collect();
        let sql = "SELECT format('%s: the provider has no such user', kept.id)
            FROM neon_identity.users_sync AS kept
            WHERE kept.deleted_at IS NULL AND kept.id <> ALL ($1)
            UNION ALL
            SELECT format('%s: deleted before its profile', kept.id)
            FROM neon_identity.users_sync AS kept
            WHERE kept.deleted_at < kept.updated_at
            UNION ALL
            SELECT format('%s: a time of the future', kept.id)
            FROM neon_identity.users_sync AS kept
            WHERE greatest(kept.updated_at, kept.deleted_at) > clock_timestamp()";
        let rows = self.query(sql, &[(&ids, Type::TEXT_ARRAY)]).await?;
        problems.extend(rows.iter().map(|row| row.get::<_, String>(0)));
        ensure!(
            problems.is_empty(),
            "the table is not in sync, {} times:\n{}",
            problems.len(),
            problems[..problems.len().min(20)].join("\n")
        );
        Ok(())
    }

    /// Compares the whole table with the provider without sending every profile: all columns but
    /// `raw_json` of all users by one digest, and every `nth` user in full.
    pub async fn assert_in_sync_by_digest(&self, nth: usize) -> Result<()> {
        let mut sum = 0_u128;
        let (mut users, mut whole) = (0_i64, Vec::new());
        let mut problems = Vec::new();
        for user in self.simulator.truth() {
            let reading = &user.reading;
            let text = format!(
                "{}|{}|{}|{}",
                user.id,
                reading.name.as_deref().unwrap_or("-"),
                reading.email.as_deref().unwrap_or("-"),
                reading.created_at.unwrap_or_default(),
            );
            let digest = Sha256::digest(text.as_bytes());
            let number = digest
                .iter()
                .take(7)
                .fold(0, |number, byte| number << 8 | u128::from(*byte));
            sum += number;
            users += 1;
            if usize::try_from(users)?.is_multiple_of(nth) {
                whole.push(user);
            }
            if whole.len() == BATCH {
                problems.extend(self.differences(&std::mem::take(&mut whole)).await?);
            }
        }
        problems.extend(self.differences(&whole).await?);
        ensure!(problems.is_empty(), "{problems:?}");
        let sql = "SELECT count(*), coalesce(sum(('x' || encode(substr(sha256(convert_to(
                concat_ws('|', id, coalesce(name, '-'), coalesce(email, '-'),
                  coalesce(extract(epoch FROM created_at) * 1000, 0)::bigint),
              'UTF8')), 1, 7), 'hex'))::bit(56)::bigint), 0)::text
            FROM neon_identity.users_sync
            WHERE deleted_at IS NULL AND updated_at <= clock_timestamp()";
        let rows = self.query(sql, &[]).await?;
        let row = rows.first().context("a digest")?;
        let found: (i64, String) = (row.get(0), row.get(1));
        ensure!(
            found == (users, sum.to_string()),
            "the table's living users are {found:?}, the provider's {users} {sum}"
        );
        Ok(())
    }

    /// How rows differ from what is true of these users.
    pub async fn differences(&self, users: &[Truth]) -> Result<Vec<String>> {
        let ids: Vec<&str> = users.iter().map(|user| user.id.as_str()).collect();
        let profiles: Vec<&str> = users.iter().map(|user| &*user.profile).collect();
        let names: Vec<_> = users.iter().map(|user| &user.reading.name).collect();
        let emails: Vec<_> = users.iter().map(|user| &user.reading.email).collect();
        let created: Vec<_> = users.iter().map(|user| user.reading.created_at).collect();
        let sql = "SELECT format('%s: %s', new.id, CASE
                WHEN kept.id IS NULL THEN 'no row'
                WHEN kept.deleted_at IS NOT NULL THEN 'shown as deleted'
                WHEN kept.updated_at IS NULL THEN 'no version'
                WHEN (kept.raw_json - $6)::text <> (new.profile::jsonb - $6)::text THEN
                  format('raw_json is %s, and not %s', kept.raw_json, new.profile)
                WHEN kept.name IS DISTINCT FROM new.name THEN 'name'
                WHEN kept.email IS DISTINCT FROM new.email THEN 'email'
                WHEN extract(epoch FROM kept.created_at) * 1000 IS DISTINCT FROM new.created_at
                  THEN 'created_at'
            END)
            FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::bigint[])
              AS new (id, profile, name, email, created_at)
            LEFT JOIN neon_identity.users_sync AS kept USING (id)
            WHERE kept.id IS NULL
              OR kept.deleted_at IS NOT NULL
              OR kept.updated_at IS NULL
              OR (kept.raw_json - $6)::text <> (new.profile::jsonb - $6)::text
              OR (kept.name, kept.email, extract(epoch FROM kept.created_at) * 1000)
                IS DISTINCT FROM (new.name, new.email, new.created_at)";
        let parameters: Parameters<'_> = &[
            (&ids, Type::TEXT_ARRAY),
            (&profiles, Type::TEXT_ARRAY),
            (&names, Type::TEXT_ARRAY),
            (&emails, Type::TEXT_ARRAY),
            (&created, Type::INT8_ARRAY),
            (&self.simulator.unlisted(), Type::TEXT_ARRAY),
        ];
        let rows = self.query(sql, parameters).await?;
        Ok(rows.iter().map(|row| row.get(0)).collect())
    }
}
