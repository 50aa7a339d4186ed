//! The projects of a person's account at the provider, by an access token of that
//! account: they are listed to choose from, or one is made; the keys of the chosen
//! one are fetched, and deliveries are ordered for it.
//!
//! Invariants: like an adapter, this sends nothing. It builds a request and reads
//! the answer, and only `console` calls it. A token lives as long as its
//! [`Account`], is in no address, and nothing here prints it or a key.

mod clerk;
mod stack;
mod supabase;

use http::{HeaderName, HeaderValue, StatusCode, header};
use serde_json::{Map, Value, json};

use crate::exchange::{Answer, AnswerError, Request};
use crate::json::storable;
use crate::provider::{Api, Words};
use crate::settings::{Misconfigured, Settings};

/// The longest id that is taken for one.
const LONGEST_ID: usize = 128;

/// Bytes that the name of a new project may have.
pub const LONGEST_NAME: usize = 50;

/// Where accounts are.
#[derive(Debug, Default)]
pub struct Accounts(Vec<Place>);

/// Where the accounts of one provider are.
#[derive(Debug)]
struct Place {
    ways: &'static Ways,
    /// The API's address; `None`: a person types it.
    api: Option<String>,
    /// The address of a project, with `{ref}` for the project's own part, where a
    /// project has one.
    project: Option<String>,
}

/// An address that the environment may replace.
#[derive(Debug)]
struct Address {
    variable: &'static str,
    default: &'static str,
}

/// How one provider does it.
#[derive(Debug)]
struct Ways {
    /// As in the secret's `provider.name`.
    names: &'static [&'static str],
    /// The API; `None`: each has a server of their own.
    api: Option<Address>,
    /// The address of a project, as in [`Place::project`].
    project: Option<Address>,
    /// The value of the header `Authorization`.
    authorization: fn(&str) -> String,
    /// The first step of a listing, if there is one.
    list: Option<fn() -> Step>,
    /// The first step to the keys of the project with this id, as it was listed.
    choose: fn(String) -> Step,
    request: fn(&Account, &Step) -> Request,
    read: fn(&Account, &mut Step, &str) -> Result<Step, AnswerError>,
    order: Option<Order>,
    /// The words for a refusal of a step.
    words: fn(&Step) -> &'static Words,
}

/// How deliveries are ordered with an account's token.
#[derive(Debug)]
struct Order {
    request: fn(&Account, &Chosen, &Deliveries<'_>) -> Request,
    /// Reads what signs deliveries, if the provider makes that up.
    read: fn(&str) -> Result<Option<String>, AnswerError>,
    words: &'static Words,
}

const WAYS: &[&Ways] = &[&supabase::WAYS, &clerk::WAYS, &stack::WAYS];

impl Accounts {
    /// The vendors' own addresses, or what this environment's variables say.
    pub fn read(
        variable: impl Fn(&str) -> Result<Option<String>, Misconfigured>,
    ) -> Result<Self, Misconfigured> {
        let told = |address: &Address| -> Result<String, Misconfigured> {
            let told = variable(address.variable)?;
            Ok(told.unwrap_or_else(|| address.default.to_owned()))
        };
        let place = |ways: &&'static Ways| -> Result<Place, Misconfigured> {
            let api = match &ways.api {
                None => None,
                Some(address) => {
                    let told = json!({ address.variable: told(address)? });
                    Some(Settings::of("", told)?.api_url(address.variable, "")?)
                }
            };
            let project = ways.project.as_ref().map(told).transpose()?;
            Ok(Place { ways, api, project })
        };
        Ok(Self(WAYS.iter().map(place).collect::<Result<_, _>>()?))
    }

    fn place(&self, name: &str) -> Option<&Place> {
        let mut places = self.0.iter();
        places.find(|place| place.ways.names.contains(&name))
    }

    /// The account that this token opens. `address`: where its API is, for a server
    /// of one's own; it counts nowhere else. An error names `access_token` or
    /// `api_url`; `None`: nothing is known of accounts of this provider.
    pub fn open(
        &self,
        name: &str,
        token: &str,
        address: Option<&str>,
    ) -> Option<Result<Account, Misconfigured>> {
        let place = self.place(name)?;
        Some(Account::of(place, token, address))
    }
}

/// An account, with the token that opens it.
pub struct Account {
    ways: &'static Ways,
    api: Api,
    base: String,
    authorization: HeaderValue,
    project: Option<String>,
}

impl Account {
    fn of(place: &Place, token: &str, address: Option<&str>) -> Result<Self, Misconfigured> {
        let mut typed = Settings::of(
            "",
            json!({ "access_token": token, "api_url": address.unwrap_or_default() }),
        )?;
        let token = typed.required("access_token")?;
        let base = match &place.api {
            Some(base) => base.clone(),
            None => typed.api_url("api_url", "")?,
        };
        let value = (place.ways.authorization)(&token);
        let authorization = typed.header("access_token", &value)?;
        let headers = [(header::AUTHORIZATION, authorization.clone())];
        Ok(Self {
            ways: place.ways,
            api: Api::new(base.clone(), headers),
            base,
            authorization,
            project: place.project.clone(),
        })
    }

    /// The same account, with more headers in each request.
    fn with(&self, headers: impl IntoIterator<Item = (HeaderName, HeaderValue)>) -> Api {
        let own = (header::AUTHORIZATION, self.authorization.clone());
        Api::new(self.base.clone(), headers.into_iter().chain([own]))
    }

    /// The words for its troubles.
    pub fn words(&self) -> &'static Words {
        (self.ways.words)(&Step::Done)
    }

    fn errand(&self, step: Step) -> Errand<'_> {
        Errand {
            account: self,
            step,
            changes: Vec::new(),
        }
    }

    /// To list the projects; `None`: there is no listing.
    pub fn list(&self) -> Option<Errand<'_>> {
        let first = self.ways.list?;
        Some(self.errand(first()))
    }

    /// To fetch the keys of a project, by its id in the listing; `None`: no project
    /// has such an id.
    pub fn choose(&self, id: &str) -> Option<Errand<'_>> {
        // A text that is no id could lead to another path.
        let known = id.split('/').all(is_id);
        known.then(|| self.errand((self.ways.choose)(id.to_owned())))
    }

    /// To make a project.
    pub fn make(&self, new: New) -> Errand<'_> {
        self.errand(Step::Make(new))
    }

    /// To have a project deliver; `None`: its provider takes no orders.
    pub fn order(&self, chosen: &Chosen, deliveries: &Deliveries<'_>) -> Option<Request> {
        let order = self.ways.order.as_ref()?;
        Some((order.request)(self, chosen, deliveries))
    }

    /// The secret that signs the ordered deliveries, if the provider makes one up.
    pub fn ordered(&self, answer: &Answer) -> Result<Option<String>, AnswerError> {
        match &self.ways.order {
            Some(order) if answer.status.is_success() => (order.read)(&answer.text()),
            Some(order) => Err(order.words.refused(answer)),
            None => Ok(None),
        }
    }
}

/// A project to be.
#[derive(Clone)]
pub struct New {
    /// Its name.
    pub name: String,
    /// The organization that it is made in, by its id, where there are any.
    pub organization: String,
    /// The part of the world that it is made in, where that can be chosen.
    pub region: String,
    /// A password that nobody knows, for its database.
    pub password: String,
}

/// Where deliveries are to go.
#[derive(Debug)]
pub struct Deliveries<'a> {
    /// The address of `webhook`.
    pub url: &'a str,
    /// The SQL that its database has to run, where that is how it delivers.
    pub sql: Option<&'a str>,
}

/// The next thing to ask. The keys that a step holds go no further than a request.
enum Step {
    Organizations,
    Projects(Vec<Organization>),
    /// Whether this project can be connected.
    Look(String),
    /// The keys of this project.
    Keys(String),
    /// This project has no key that can be used: one is made.
    MakeKey(String),
    Make(New),
    /// A new project has only a key that may do anything: one is made that may do
    /// what is needed.
    MakeServerKey {
        project: String,
        admin_key: HeaderValue,
    },
    Listed(Listing),
    Made(String),
    Chosen(Chosen),
    Done,
}

/// An account's projects.
#[derive(Debug, PartialEq, Eq)]
pub struct Listing {
    /// Where a new one can be made.
    pub organizations: Vec<Organization>,
    /// All that there are.
    pub projects: Vec<Project>,
}

/// An organization.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Organization {
    /// Its id.
    pub id: String,
    /// Its name, in anybody's words.
    pub name: String,
}

/// A project.
#[derive(Debug, PartialEq, Eq)]
pub struct Project {
    /// The text that [`Account::choose`] takes.
    pub id: String,
    /// Its name, in anybody's words.
    pub name: String,
    /// The detail that tells it from another one of this name.
    pub detail: String,
    /// The whole that it is a part of, in anybody's words; empty if it stands alone.
    pub group: String,
    /// Why it can't be connected now.
    pub obstacle: Option<&'static str>,
}

/// A project whose keys are known.
pub struct Chosen {
    /// Its id.
    pub project: String,
    /// The fields of the secret's `provider`, without its name.
    pub settings: Map<String, Value>,
    /// A key that may order deliveries, if the project's other one may not.
    admin_key: Option<HeaderValue>,
}

/// The end of an errand.
pub enum Outcome {
    /// The projects.
    Listed(Listing),
    /// The project with this id was made, and is not up yet.
    Made(String),
    /// The keys.
    Chosen(Chosen),
}

/// A change that an errand made at the provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changed {
    /// The change, in a log's words.
    pub what: &'static str,
    /// The project's id.
    pub project: String,
}

/// One thing to do with an account, from the first request to the last answer.
pub struct Errand<'a> {
    account: &'a Account,
    step: Step,
    changes: Vec<Changed>,
}

impl Errand<'_> {
    /// The request to send next.
    pub fn request(&self) -> Request {
        (self.account.ways.request)(self.account, &self.step)
    }

    /// Whether that request changes something at the provider, so that nobody knows
    /// whether it did when its answer is lost.
    pub fn makes(&self) -> bool {
        self.step.makes().is_some()
    }

    /// Reads the answer to it; `None`: there is more to ask.
    pub fn read(&mut self, answer: &Answer) -> Result<Option<Outcome>, AnswerError> {
        let ways = self.account.ways;
        if answer.status == StatusCode::FORBIDDEN && matches!(self.step, Step::Organizations) {
            // It may still see projects, which are what is chosen.
            self.step = Step::Projects(Vec::new());
            return Ok(None);
        }
        if !answer.status.is_success() {
            return Err((ways.words)(&self.step).refused(answer));
        }
        let changed = self.step.makes();
        let text = answer.text();
        let text = storable(&text).map_err(|_| garbled())?;
        let next = (ways.read)(self.account, &mut self.step, &text)?;
        if let Some(what) = changed {
            let project = next.project().unwrap_or_default().to_owned();
            self.changes.push(Changed { what, project });
        }
        Ok(match next {
            Step::Listed(listing) => Some(Outcome::Listed(listing)),
            Step::Made(project) => Some(Outcome::Made(project)),
            Step::Chosen(chosen) => Some(Outcome::Chosen(chosen)),
            next => {
                self.step = next;
                None
            }
        })
    }

    /// The changes that it has made at the provider since this was asked last.
    pub fn changes(&mut self) -> Vec<Changed> {
        std::mem::take(&mut self.changes)
    }
}

impl Step {
    fn makes(&self) -> Option<&'static str> {
        match self {
            Self::Make(_) => Some("made a project at the provider"),
            Self::MakeKey(_) | Self::MakeServerKey { .. } => Some("made a key at the provider"),
            _ => None,
        }
    }

    fn project(&self) -> Option<&str> {
        match self {
            Self::Look(project)
            | Self::Keys(project)
            | Self::MakeKey(project)
            | Self::Made(project)
            | Self::MakeServerKey { project, .. }
            | Self::Chosen(Chosen { project, .. }) => Some(project),
            _ => None,
        }
    }
}

fn garbled() -> AnswerError {
    AnswerError::Garbled(
        "the answer is not as the provider documents it: nothing is known of the account's \
         projects. Try again, or paste the project's keys by hand",
    )
}

fn parsed(text: &str) -> Result<Value, AnswerError> {
    serde_json::from_str(text).map_err(|_| garbled())
}

/// The objects of a list.
fn list(value: &Value) -> Result<&Vec<Value>, AnswerError> {
    value.as_array().ok_or_else(garbled)
}

/// A text of an answer; empty if there is none.
fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_default()
}

/// An id. Others would be ambiguous in a path or in a log.
fn id<'a>(value: &'a Value, name: &str) -> Option<&'a str> {
    value[name].as_str().filter(|id| is_id(id))
}

fn is_id(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    (1..=LONGEST_ID).contains(&text.len()) && text.bytes().all(plain)
}

/// A key that is shown whole, and not in part with something in the other's place.
fn is_whole(key: &str, begin: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    key.starts_with(begin) && key.len() >= begin.len() + 16 && key.bytes().all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::provider::tests::answer;

    const TOKEN: &str = "sbp_0123456789:0123456789";

    fn account(name: &str) -> Account {
        let accounts = Accounts::read(|_| Ok(None)).unwrap();
        let address = Some("https://auth.example.com/api/v1");
        accounts.open(name, TOKEN, address).unwrap().unwrap()
    }

    /// A request that has to be sent next, and the answer to it.
    type Asked = (&'static str, &'static str, Value, u16, Value);

    /// Goes through an errand; what it came to, and what it has changed.
    fn check(
        mut errand: Errand<'_>,
        steps: &[Asked],
    ) -> (Result<Option<Outcome>, String>, Vec<&'static str>) {
        let mut last = Ok(None);
        let mut changed = Vec::new();
        for (method, path, body, status, text) in steps {
            assert!(matches!(last, Ok(None)), "nothing more was to be asked");
            let request = errand.request();
            assert_eq!(request.method(), method);
            assert_eq!(request.uri().path_and_query().unwrap(), path);
            let sent = serde_json::from_slice(request.body()).unwrap_or(Value::Null);
            assert_eq!(sent, *body, "{path}");
            let authorization = &request.headers()[header::AUTHORIZATION];
            assert!(authorization.is_sensitive(), "{path}");
            assert!(!format!("{request:?}").contains(TOKEN), "{request:?}");
            let makes = errand.makes();
            last = errand
                .read(&answer(*status, text))
                .map_err(|error| error.to_string());
            let changes = errand.changes();
            assert_eq!(makes && last.is_ok(), !changes.is_empty(), "{path}");
            changed.extend(changes.into_iter().map(|changed| changed.what));
        }
        (last, changed)
    }

    fn chosen(outcome: Result<Option<Outcome>, String>) -> Chosen {
        match outcome {
            Ok(Some(Outcome::Chosen(chosen))) => chosen,
            Ok(_) => panic!("nothing was chosen"),
            Err(error) => panic!("{error}"),
        }
    }

    fn new() -> New {
        New {
            name: "My app".to_owned(),
            organization: "org".to_owned(),
            region: "emea".to_owned(),
            password: "a password".to_owned(),
        }
    }

    const SECRET: &str = "sb_secret_0123456789abcdefghij";

    fn keys(status: u16, answer: Value) -> Asked {
        let path = "/v1/projects/abc/api-keys?reveal=true";
        ("GET", path, Value::Null, status, answer)
    }

    fn look(status: &str) -> Asked {
        let answer = json!({"ref": "abc", "status": status});
        ("GET", "/v1/projects/abc", Value::Null, 200, answer)
    }

    #[test]
    fn a_project_of_supabase_is_looked_at_before_its_keys_are_fetched() {
        let account = account("supabase");
        let secret = json!([{"name": "default", "type": "secret", "api_key": SECRET}]);
        let steps = [look("ACTIVE_HEALTHY"), keys(200, secret)];
        let (outcome, changed) = check(account.choose("abc").unwrap(), &steps);
        let settings =
            json!({"project_url": "https://abc.supabase.co", "service_role_key": SECRET});
        assert_eq!(Value::Object(chosen(outcome).settings), settings);
        assert_eq!(changed, [""; 0]);
        for (status, words) in [
            ("COMING_UP", "still coming up: look again"),
            ("INACTIVE", "paused: restore it"),
            ("PAUSING", "paused"),
            ("RESTORING", "look again"),
            ("REMOVED", "being removed"),
            ("ACTIVE_UNHEALTHY", "not healthy"),
            ("", "not healthy"),
        ] {
            let (outcome, _) = check(account.choose("abc").unwrap(), &[look(status)]);
            let Err(said) = outcome else {
                panic!("{status}: it was chosen");
            };
            assert!(said.contains(words), "{said}");
        }
        // Another project's answer is none.
        let other = json!({"ref": "abd", "status": "ACTIVE_HEALTHY"});
        let step = ("GET", "/v1/projects/abc", Value::Null, 200, other);
        assert!(check(account.choose("abc").unwrap(), &[step]).0.is_err());
    }

    #[test]
    fn a_key_is_made_only_where_there_is_none() {
        let account = account("supabase");
        let made = || {
            let key = json!({"type": "secret", "name": "users_sync",
                "description": "For users-sync, which keeps a table of the users",
                "secret_jwt_template": {"role": "service_role"}});
            let answer = json!({"name": "users_sync", "type": "secret", "api_key": SECRET});
            (
                "POST",
                "/v1/projects/abc/api-keys?reveal=true",
                key,
                201,
                answer,
            )
        };
        let jwt = "eyJhbGciOiJIUzI1NiJ9.e30.0123456789";
        let key = |kind: &str, name: &str, key: Value| json!({"type": kind, "name": name, "api_key": key});
        let useless = json!([
            key("publishable", "default", "sb_publishable_0123456789abcdefg".into()),
            key("legacy", "anon", jwt.into()),
            {"type": "secret", "name": "r", "api_key": SECRET, "secret_jwt_template": {"role": "r"}},
        ]);
        for none in [json!([]), useless] {
            let steps = [look("ACTIVE_HEALTHY"), keys(200, none), made()];
            let (outcome, changed) = check(account.choose("abc").unwrap(), &steps);
            assert_eq!(chosen(outcome).settings["service_role_key"], SECRET);
            assert_eq!(changed, ["made a key at the provider"]);
        }
        // The older kind is to be switched off.
        let both = json!([
            key("legacy", "service_role", jwt.into()),
            key("secret", "default", SECRET.into()),
        ]);
        let steps = [look("ACTIVE_HEALTHY"), keys(200, both)];
        let (outcome, _) = check(account.choose("abc").unwrap(), &steps);
        assert_eq!(chosen(outcome).settings["service_role_key"], SECRET);
        for in_part in [
            json!("sb_secret_01234··········"),
            json!("******"),
            json!(null),
            json!(7),
        ] {
            let masked = json!([key("secret", "default", in_part.clone())]);
            let steps = [look("ACTIVE_HEALTHY"), keys(200, masked)];
            let (outcome, changed) = check(account.choose("abc").unwrap(), &steps);
            assert!(outcome.is_err_and(|said| said.contains("only in part")));
            assert_eq!(changed, [""; 0]);
            // But a whole one of the older kind beside it is used.
            let both = json!([
                key("secret", "d", in_part),
                key("legacy", "service_role", jwt.into())
            ]);
            let steps = [look("ACTIVE_HEALTHY"), keys(200, both)];
            let (outcome, _) = check(account.choose("abc").unwrap(), &steps);
            assert_eq!(chosen(outcome).settings["service_role_key"], jwt);
        }
        let steps = [
            look("ACTIVE_HEALTHY"),
            keys(403, json!({"message": "unseen"})),
        ];
        let (outcome, _) = check(account.choose("abc").unwrap(), &steps);
        assert!(outcome.is_err_and(|said| said.contains("keys") && !said.contains("unseen")));
    }

    #[test]
    fn a_new_project_of_supabase_is_connected_when_it_is_up() {
        let account = account("supabase");
        let wanted = json!({"name": "My app", "organization_slug": "org", "db_pass": "a password",
            "region_selection": {"type": "smartGroup", "code": "emea"}});
        let made = |status: &str| {
            let answer = json!({"ref": "abc", "status": status});
            ("POST", "/v1/projects", wanted.clone(), 201, answer)
        };
        let (outcome, changed) = check(account.make(new()), &[made("COMING_UP")]);
        assert!(matches!(outcome, Ok(Some(Outcome::Made(project))) if project == "abc"));
        assert_eq!(changed, ["made a project at the provider"]);
        let secret = json!([{"type": "secret", "api_key": SECRET}]);
        let steps = [made("ACTIVE_HEALTHY"), keys(200, secret)];
        assert_eq!(chosen(check(account.make(new()), &steps).0).project, "abc");
    }

    #[test]
    fn a_listing_keeps_what_can_be_told_and_leaves_out_what_has_no_id() {
        let account = account("supabase");
        let organizations = json!([{"id": "o", "name": "Org"}, {"name": "none"}, 7]);
        let projects = json!([
            {"id": "old", "name": "\u{202e}", "organization_id": "o", "status": "ACTIVE_HEALTHY"},
            {"ref": "a/b", "name": "evil"}, {"ref": "..", "name": "evil"}, {"ref": ""}, null,
        ]);
        let steps = [
            ("GET", "/v1/organizations", Value::Null, 200, organizations),
            ("GET", "/v1/projects", Value::Null, 200, projects),
        ];
        let (Ok(Some(Outcome::Listed(listing))), _) = check(account.list().unwrap(), &steps) else {
            panic!("nothing was listed");
        };
        assert_eq!(listing.organizations.len(), 1);
        let [project] = &listing.projects[..] else {
            panic!("{listing:?}");
        };
        assert_eq!((&*project.id, &*project.group), ("old", "Org"));
        assert_eq!(project.obstacle, None);
        // A token that sees no organizations may see projects.
        let projects = json!([{"ref": "abc", "name": "A", "status": "ACTIVE_HEALTHY"}]);
        let refused = json!({"message": "unseen"});
        let steps = [
            ("GET", "/v1/organizations", Value::Null, 403, refused),
            ("GET", "/v1/projects", Value::Null, 200, projects),
        ];
        let (Ok(Some(Outcome::Listed(listing))), _) = check(account.list().unwrap(), &steps) else {
            panic!("nothing was listed");
        };
        assert_eq!(
            (listing.organizations.len(), listing.projects.len()),
            (0, 1)
        );
        for id in ["", "..", "a b", "a//b", "a/..", "ä", &"a".repeat(200)] {
            assert!(account.choose(id).is_none(), "{id}");
        }
    }

    #[test]
    fn an_application_of_clerk_is_asked_for_its_keys_once_it_is_chosen() {
        let account = account("clerk");
        let key = "sk_test_0123456789abcdefghij";
        let application = |key: Option<&str>| {
            json!({"application_id": "app_1", "name": "A", "instances": [
                {"instance_id": "ins_1", "environment_type": "development", "secret_key": key}]})
        };
        let path = "/v1/platform/applications";
        for listed in [
            json!([application(None)]),
            json!({"data": [application(None)]}),
        ] {
            let steps = [("GET", path, Value::Null, 200, listed)];
            let (Ok(Some(Outcome::Listed(listing))), _) = check(account.list().unwrap(), &steps)
            else {
                panic!("nothing was listed");
            };
            assert_eq!(listing.projects[0].id, "app_1/ins_1");
        }
        let one = "/v1/platform/applications/app_1?include_secret_keys=true";
        let fetched = |key| ("GET", one, Value::Null, 200, application(key));
        let (outcome, _) = check(
            account.choose("app_1/ins_1").unwrap(),
            &[fetched(Some(key))],
        );
        assert_eq!(
            Value::Object(chosen(outcome).settings),
            json!({"secret_key": key})
        );
        for masked in [None, Some("sk_test_0123•••••••••••••••••")]
        {
            let (outcome, _) = check(account.choose("app_1/ins_1").unwrap(), &[fetched(masked)]);
            assert!(outcome.is_err_and(|said| said.contains("application_secret_keys:read")));
        }
        let (outcome, _) = check(
            account.choose("app_1/ins_2").unwrap(),
            &[fetched(Some(key))],
        );
        assert!(outcome.is_err_and(|said| said.contains("no such instance")));
        let made = (
            "POST",
            path,
            json!({"name": "My app"}),
            200,
            application(None),
        );
        let (outcome, changed) = check(account.make(new()), &[made, fetched(Some(key))]);
        assert_eq!(chosen(outcome).project, "app_1/ins_1");
        assert_eq!(changed, ["made a project at the provider"]);
    }

    #[test]
    fn a_server_of_stack_makes_a_project_a_key_and_an_endpoint() {
        let account = account("hexclave");
        assert!(account.list().is_none());
        let admin_key = "sak_0123456789abcdefghij";
        let key = "ssk_0123456789abcdefghij";
        let made = json!({"project_id": "p-1", "super_secret_admin_key": admin_key});
        let wanted = json!({"description": "users-sync", "expires_at_millis": 4_924_800_000_000_u64,
            "has_publishable_client_key": false, "has_secret_server_key": true,
            "has_super_secret_admin_key": false});
        let steps = [
            (
                "POST",
                "/api/v1/integrations/neon/projects/provision",
                json!({"display_name": "My app"}),
                200,
                made,
            ),
            (
                "POST",
                "/api/v1/internal/api-keys",
                wanted,
                200,
                json!({"secret_server_key": key}),
            ),
        ];
        let (outcome, changed) = check(account.make(new()), &steps);
        let chosen = chosen(outcome);
        let settings = json!({"project_id": "p-1", "secret_server_key": key,
            "api_url": "https://auth.example.com/api/v1"});
        assert_eq!(Value::Object(chosen.settings.clone()), settings);
        assert_eq!(
            changed,
            [
                "made a project at the provider",
                "made a key at the provider"
            ]
        );
        let deliveries = Deliveries {
            url: "https://h/",
            sql: None,
        };
        let request = account.order(&chosen, &deliveries).unwrap();
        let path = "/api/v1/integrations/neon/webhooks";
        assert_eq!(request.uri().path(), path);
        let headers = request.headers();
        assert_eq!(headers["x-stack-super-secret-admin-key"], admin_key);
        assert_eq!(headers["x-stack-access-type"], "admin");
        assert_eq!(headers["x-stack-project-id"], "p-1");
        assert!(!format!("{request:?}").contains(admin_key), "{request:?}");
        let secret = account.ordered(&answer(200, json!({"secret": "whsec_1"})));
        assert_eq!(secret.unwrap().as_deref(), Some("whsec_1"));
        for odd in [json!({}), json!({"secret": ""}), json!(null)] {
            assert!(account.ordered(&answer(200, odd)).is_err());
        }
    }

    #[test]
    fn answers_of_another_form_are_said_without_repeating_them() {
        for name in ["supabase", "clerk", "stack"] {
            let account = account(name);
            for status in [200, 302, 400, 401, 403, 404, 422] {
                for body in [
                    "",
                    "null",
                    "{}",
                    "[[]",
                    r#""unseen""#,
                    "<html>unseen</html>",
                    r#"{"message":"unseen","code":"sk_unseen1","errors":[{"code":"sk_unseen1"}]}"#,
                ] {
                    let errands = [account.list(), Some(account.make(new()))];
                    for mut errand in errands.into_iter().flatten() {
                        let mut read = errand.read(&answer(status, body));
                        if matches!(read, Ok(None)) && status == 403 {
                            read = errand.read(&answer(status, body));
                        }
                        let Err(said) = read else {
                            panic!("{name}: {status} {body}");
                        };
                        let said = said.to_string();
                        assert!(said.len() > 20 && !said.contains("unseen"), "{said}");
                        assert!(errand.changes().is_empty(), "{name}: {status} {body}");
                    }
                }
            }
        }
    }

    #[test]
    fn the_address_is_the_vendors_unless_the_environment_says_another() {
        let base = |account: Account| account.list().unwrap().request().uri().to_string();
        let supabase = base(account("supabase"));
        assert_eq!(supabase, "https://api.supabase.com/v1/organizations");
        let clerk = base(account("clerk"));
        assert_eq!(clerk, "https://api.clerk.com/v1/platform/applications");
        let told = Accounts::read(|name| {
            Ok((name == "SUPABASE_ACCOUNT_API_URL").then(|| "http://127.0.0.1:1/".to_owned()))
        });
        let told = told.unwrap().open("supabase", TOKEN, None).unwrap();
        assert_eq!(base(told.unwrap()), "http://127.0.0.1:1/v1/organizations");
        let wrong = Accounts::read(|_| Ok(Some("ftp://h".to_owned()))).unwrap_err();
        assert_eq!(wrong.field, "SUPABASE_ACCOUNT_API_URL");
        let accounts = Accounts::read(|_| Ok(None)).unwrap();
        assert!(accounts.open("workos", TOKEN, None).is_none());
        for (token, address, field) in [
            ("", Some("https://h"), "access_token"),
            ("a:\u{1}", Some("https://h"), ""),
            ("a:b", None, "api_url"),
            ("a:b", Some("ftp://h"), "api_url"),
        ] {
            let opened = accounts.open("stack", token, address).unwrap();
            let wrong = opened.err().map(|wrong| wrong.field).unwrap_or_default();
            assert_eq!(wrong, field, "{token} {address:?}");
        }
    }
}
