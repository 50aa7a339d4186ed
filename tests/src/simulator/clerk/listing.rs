//! `GET /v1/users` and `GET /v1/users/count`: their parameters and their rules.

use std::cmp::Reverse;

use super::{Clerk, Cursors, errors};
use crate::simulator::users::View;
use crate::simulator::vendor::{Reading, Refused};
use crate::simulator::world::World;

/// The most users a page.
const MOST: usize = 500;

/// The parameters of a listing.
#[derive(Debug)]
pub(super) struct Wanted {
    limit: usize,
    offset: Option<usize>,
    order: Order,
    descending: bool,
    starting_after: Option<String>,
    filter: Filter,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    CreatedAt,
    UpdatedAt,
    Email,
    Name,
}

/// The users that it is about; empty: all.
#[derive(Debug, Default)]
struct Filter {
    ids: Vec<String>,
    emails: Vec<String>,
    query: Option<String>,
}

impl Filter {
    fn takes(&self, id: &str, user: &Reading) -> bool {
        let named =
            |list: &[String], text: &str| list.is_empty() || list.iter().any(|one| one == text);
        let email = user.email.as_deref().unwrap_or_default();
        let found = |query: &String| {
            let name = user.name.as_deref().unwrap_or_default();
            [id, email, name]
                .iter()
                .any(|text| text.to_lowercase().contains(query))
        };
        named(&self.ids, id) && named(&self.emails, email) && self.query.as_ref().is_none_or(found)
    }
}

impl Wanted {
    pub(super) fn of(
        parameters: &[(String, String)],
        instance: &Clerk,
        refused: impl Fn(&str) -> bool,
    ) -> Result<Self, Refused> {
        let mut wanted = Self {
            limit: 10,
            offset: None,
            order: Order::CreatedAt,
            descending: true,
            starting_after: None,
            filter: Filter::default(),
        };
        for (name, value) in parameters {
            if refused(name) {
                return Err(errors::unknown(name));
            }
            wanted.set(name, value, instance.cursors)?;
        }
        let of_another_walk = wanted.order != Order::CreatedAt || wanted.offset.is_some();
        if wanted.starting_after.is_some() && of_another_walk {
            let problem = "can only be used in the order of created_at and without an offset.";
            return Err(errors::invalid("starting_after", problem));
        }
        Ok(wanted)
    }

    fn set(&mut self, name: &str, value: &str, cursors: Cursors) -> Result<(), Refused> {
        match name {
            "limit" => {
                let limit = value
                    .parse()
                    .ok()
                    .filter(|limit| (1..=MOST).contains(limit));
                let problem = || errors::invalid(name, "must be between 1 and 500.");
                self.limit = limit.ok_or_else(problem)?;
            }
            "offset" => {
                let problem = || errors::invalid(name, "must be a non-negative integer.");
                self.offset = Some(value.parse().map_err(|_| problem())?);
            }
            "order_by" => {
                let (descending, field) = match (value.strip_prefix('-'), value.strip_prefix('+')) {
                    (Some(field), _) => (true, field),
                    (_, Some(field)) => (false, field),
                    _ => (false, value),
                };
                self.descending = descending;
                self.order = match field {
                    "created_at" => Order::CreatedAt,
                    "updated_at" => Order::UpdatedAt,
                    "email_address" => Order::Email,
                    "first_name" | "username" => Order::Name,
                    _ => return Err(errors::invalid(name, "is not an order of users.")),
                };
            }
            "starting_after" => match cursors {
                Cursors::Refused => return Err(errors::unknown(name)),
                Cursors::Ignored => {}
                Cursors::Taken | Cursors::TakenQuietly => {
                    self.starting_after = Some(value.to_owned());
                }
            },
            "user_id" => self.filter.ids.push(value.to_owned()),
            "email_address" => self.filter.emails.push(value.to_lowercase()),
            "query" => self.filter.query = Some(value.to_lowercase()),
            _ => return Err(errors::unknown(name)),
        }
        Ok(())
    }

    pub(super) fn offset(&self) -> usize {
        self.offset.unwrap_or(0)
    }

    pub(super) fn count(&self, world: &World) -> usize {
        let takes = |id: &str, user: &Reading| self.filter.takes(id, user);
        world.slice(world.view(), None, false, (0, 0), takes).total
    }

    /// A bare array.
    pub(super) fn answer(&self, world: &World, instance: &Clerk) -> Result<String, Refused> {
        let view = world.view();
        let takes = |id: &str, user: &Reading| self.filter.takes(id, user);
        let items = match (&self.starting_after, self.order) {
            (Some(after), _) => {
                let Some(from) = world.position(after, view) else {
                    return match instance.cursors {
                        Cursors::TakenQuietly => Ok("[]".to_owned()),
                        _ => Err(errors::no_such_user(after)),
                    };
                };
                let follows = |id: &str, user: &Reading| id != after && takes(id, user);
                let page = world.page(view, Some(from), self.descending, self.limit, follows);
                page.items
            }
            (None, Order::CreatedAt) => {
                let part = (self.offset(), self.limit);
                world.slice(view, None, self.descending, part, takes).items
            }
            (None, order) => {
                let ids = self.sorted(world, view, order);
                let shown = ids.iter().skip(self.offset()).take(self.limit);
                shown.filter_map(|id| world.profile(id, view)).collect()
            }
        };
        Ok(format!("[{}]", items.join(",")))
    }

    fn sorted(&self, world: &World, view: View, order: Order) -> Vec<String> {
        let takes = |id: &str, user: &Reading| self.filter.takes(id, user);
        let text = |user: &Reading| match order {
            Order::Email => user.email.clone(),
            _ => user.name.clone(),
        };
        match (order, self.descending) {
            (Order::UpdatedAt, false) => world.sorted(view, takes, |user| user.updated_at),
            (Order::UpdatedAt, true) => world.sorted(view, takes, |user| Reverse(user.updated_at)),
            (_, false) => world.sorted(view, takes, text),
            (_, true) => world.sorted(view, takes, |user| Reverse(text(user))),
        }
    }
}
