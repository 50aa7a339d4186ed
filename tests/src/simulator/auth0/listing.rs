//! `GET /api/v2/users`: its parameters, their rules, and its answer.

use std::cmp::Reverse;
use std::sync::Arc;

use super::search::Search;
use super::{Pages, errors};
use crate::simulator::vendor::Refused;
use crate::simulator::world::World;

/// No search shows more users than this.
const CEILING: usize = 1_000;

/// The parameters of a listing.
#[derive(Debug)]
pub(super) struct Wanted {
    page: usize,
    size: usize,
    totals: bool,
    sort: Sort,
    descending: bool,
    search: Search,
}

#[derive(Debug, Clone, Copy)]
enum Sort {
    CreatedAt,
    UpdatedAt,
    Email,
    Name,
}

impl Wanted {
    pub(super) fn of(
        parameters: &[(String, String)],
        pages: Pages,
        refused: impl Fn(&str) -> bool,
    ) -> Result<Self, Refused> {
        let mut wanted = Self {
            page: 0,
            size: 50,
            totals: false,
            sort: Sort::CreatedAt,
            descending: false,
            search: Search::default(),
        };
        for (name, value) in parameters {
            if refused(name) {
                return Err(unknown(name));
            }
            wanted.set(name, value, pages)?;
        }
        if (wanted.page + 1).saturating_mul(wanted.size) > CEILING {
            return Err(errors::beyond_1000());
        }
        Ok(wanted)
    }

    fn set(&mut self, name: &str, value: &str, pages: Pages) -> Result<(), Refused> {
        match name {
            "page" => self.page = number(name, value)?,
            "per_page" => {
                self.size = number(name, value)?;
                match pages {
                    Pages::Refused(most) if self.size > most => {
                        let problem = format!("Value {value} is greater than maximum {most}");
                        return Err(errors::query(&format!("{problem} on property {name}")));
                    }
                    Pages::Clamped(most) => self.size = self.size.min(most),
                    Pages::Refused(_) => {}
                }
            }
            "include_totals" => self.totals = flag(name, value)?,
            "sort" => (self.sort, self.descending) = sort(value)?,
            "search_engine" if value == "v3" => {}
            "search_engine" => {
                return Err(errors::query("No enum match for search_engine; use v3"));
            }
            "q" => self.search = Search::of(value)?,
            // Ignored: whole profiles are as good.
            "connection" | "fields" | "include_fields" | "primary_order" => {}
            _ => return Err(unknown(name)),
        }
        Ok(())
    }

    /// The answer, of what the search knows by now.
    pub(super) fn answer(
        &self,
        world: &World,
        cut_above: Option<usize>,
    ) -> Result<String, Refused> {
        let view = world.view();
        let offset = self.page * self.size;
        let takes = |id: &str, user: &_| self.search.takes(id, user);
        let (items, total) = match self.sort {
            Sort::CreatedAt => {
                let from = self.search.from().filter(|_| !self.descending);
                let from = from.map(|from| (from, String::new()));
                let part = (offset, self.size);
                let slice = world.slice(view, from, self.descending, part, takes);
                (slice.items, slice.total)
            }
            sort => {
                let mut ids = match sort {
                    Sort::Email => world.sorted(view, takes, |user| user.email.clone()),
                    Sort::Name => world.sorted(view, takes, |user| user.name.clone()),
                    _ if self.descending => {
                        world.sorted(view, takes, |user| Reverse(user.updated_at))
                    }
                    _ => world.sorted(view, takes, |user| user.updated_at),
                };
                if self.descending && !matches!(sort, Sort::UpdatedAt) {
                    ids.reverse();
                }
                let shown = ids.iter().skip(offset).take(self.size);
                let items = shown.filter_map(|id| world.profile(id, view)).collect();
                (items, ids.len())
            }
        };
        if cut_above.is_some_and(|most| total > most) {
            return Err(errors::cut());
        }
        Ok(self.body(&items, offset, total))
    }

    fn body(&self, items: &[Arc<str>], start: usize, total: usize) -> String {
        let users = items.join(",");
        if !self.totals {
            return format!("[{users}]");
        }
        let (limit, length) = (self.size, items.len());
        format!(
            r#"{{"start":{start},"limit":{limit},"length":{length},"users":[{users}],"total":{total}}}"#
        )
    }
}

fn unknown(name: &str) -> Refused {
    errors::query(&format!("Additional properties not allowed: {name}"))
}

fn number(name: &str, value: &str) -> Result<usize, Refused> {
    let problem = || errors::query(&format!("Expected type integer on property {name}"));
    value.parse().map_err(|_| problem())
}

fn flag(name: &str, value: &str) -> Result<bool, Refused> {
    let problem = || errors::query(&format!("Expected type boolean on property {name}"));
    value.parse().map_err(|_| problem())
}

/// `field:1` or `field:-1`.
fn sort(value: &str) -> Result<(Sort, bool), Refused> {
    let problem = || errors::query("String does not match pattern on property sort");
    let (field, direction) = value.split_once(':').ok_or_else(problem)?;
    let field = match field {
        "created_at" => Sort::CreatedAt,
        "updated_at" => Sort::UpdatedAt,
        "email" => Sort::Email,
        "name" => Sort::Name,
        _ => return Err(problem()),
    };
    match direction {
        "1" => Ok((field, false)),
        "-1" => Ok((field, true)),
        _ => Err(problem()),
    }
}
