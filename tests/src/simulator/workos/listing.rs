//! Listings by cursor, of users and of events: their parameters, their rules, and their answer.

use super::{LostCursor, WorkOs, errors};
use crate::simulator::iso;
use crate::simulator::vendor::Refused;
use crate::simulator::world::World;

/// The most items a page.
const MOST: usize = 100;

/// Which page is asked for.
#[derive(Debug)]
pub(super) struct Wanted {
    pub(super) limit: usize,
    pub(super) descending: bool,
    pub(super) after: Option<String>,
    pub(super) before: Option<String>,
    /// The kinds of events; empty for all.
    pub(super) events: Vec<String>,
    /// The earliest and the latest time of an event, in milliseconds since 1970.
    pub(super) range: (Option<i64>, Option<i64>),
    pub(super) email: Option<String>,
}

/// Of what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Of {
    Users,
    Events,
}

impl Wanted {
    pub(super) fn of(
        of: Of,
        parameters: &[(String, String)],
        refused: impl Fn(&str) -> bool,
    ) -> Result<Self, Refused> {
        let mut wanted = Self {
            limit: 10,
            descending: of == Of::Users,
            after: None,
            before: None,
            events: Vec::new(),
            range: (None, None),
            email: None,
        };
        for (name, value) in parameters {
            if refused(name) {
                return Err(errors::parameter(name, "unknown_parameter"));
            }
            wanted.set(of, name, value)?;
        }
        if wanted.range.0.is_some() && wanted.after.is_some() {
            return Err(errors::parameter("range_start", "not_with_after"));
        }
        Ok(wanted)
    }

    fn set(&mut self, of: Of, name: &str, value: &str) -> Result<(), Refused> {
        let invalid = || errors::parameter(name, "invalid");
        match (name, of) {
            ("limit", _) => {
                self.limit = value.parse().map_err(|_| invalid())?;
                if !(1..=MOST).contains(&self.limit) {
                    return Err(errors::parameter(name, "out_of_range"));
                }
            }
            // The record is oldest first whatever is asked, and the newest contract has no order.
            ("order", Of::Events) => {}
            ("order", Of::Users) => {
                self.descending = match value {
                    "asc" => false,
                    "desc" => true,
                    // Descending, with cursors the other way round: nobody asks for it here.
                    _ => return Err(invalid()),
                }
            }
            ("after", _) => self.after = Some(value.to_owned()),
            ("before", _) => self.before = Some(value.to_owned()),
            ("email", Of::Users) => self.email = Some(value.to_lowercase()),
            ("events", Of::Events) => {
                self.events = value.split(',').map(str::to_owned).collect();
            }
            ("range_start", Of::Events) => {
                let from = iso::millis(value).ok_or_else(invalid)?;
                // In milliseconds and in UTC, and in no other form.
                if iso::text(from) != value {
                    return Err(invalid());
                }
                self.range.0 = Some(from);
            }
            ("range_end", Of::Events) => {
                self.range.1 = Some(iso::millis(value).ok_or_else(invalid)?);
            }
            _ => return Err(errors::parameter(name, "unknown_parameter")),
        }
        Ok(())
    }

    /// The page, where each item has an id, and `walk` gives so many items beyond one, descending
    /// or not; none where that one is not there.
    pub(super) fn page<T: AsRef<str>>(
        &self,
        environment: &WorkOs,
        walk: impl Fn(Option<&str>, bool, usize) -> Option<Vec<(String, T)>>,
    ) -> Result<String, Refused> {
        let backwards = self.before.is_some();
        let mut cursor = self.before.as_deref().or(self.after.as_deref());
        // One more, to know of it.
        let found = walk(cursor, self.descending != backwards, self.limit + 1);
        let mut items = match (found, environment.lost_cursor) {
            (Some(items), _) => items,
            (None, LostCursor::Refused) => {
                return Err(errors::cursor(cursor.unwrap_or_default()));
            }
            (None, LostCursor::Empty) => Vec::new(),
            (None, LostCursor::FromStart) => {
                cursor = None;
                walk(None, self.descending, self.limit + 1).unwrap_or_default()
            }
        };
        let more = items.len() > self.limit;
        items.truncate(self.limit);
        let beyond = cursor.is_some();
        let (earlier, later) = match backwards && beyond {
            true => (more, beyond),
            false => (beyond, more),
        };
        if backwards && beyond {
            items.reverse();
        }
        let later = later || environment.last_page_goes_on;
        let id = |item: Option<&(String, T)>, wanted: bool| {
            let id = item.map(|(id, _)| id.as_str()).filter(|_| wanted);
            serde_json::to_string(&id).unwrap_or_default()
        };
        let (before, after) = (id(items.first(), earlier), id(items.last(), later));
        let items: Vec<&str> = items.iter().map(|(_, item)| item.as_ref()).collect();
        let data = items.join(",");
        Ok(format!(
            r#"{{"object":"list","data":[{data}],"list_metadata":{{"before":{before},"after":{after}}}}}"#
        ))
    }
}

/// `GET /user_management/users`.
pub(super) fn users(
    environment: &WorkOs,
    world: &World,
    wanted: &Wanted,
) -> Result<String, Refused> {
    let view = world.view();
    wanted.page(environment, |cursor, descending, limit| {
        let from = match cursor {
            Some(id) => Some(world.position(id, view)?),
            None => None,
        };
        let listed = world.listed(view, from, descending, limit, |id, user| {
            cursor != Some(id) && (wanted.email.is_none() || wanted.email == user.email)
        });
        Some(listed)
    })
}
