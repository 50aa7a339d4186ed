//! The knowledge that connecting a provider takes: its keys, where they
//! are found, what is often pasted in their place, and the provider's own pages.
//!
//! Invariant: nothing here is sent or stored, and no value is repeated in words.

mod auth0;
mod clerk;
mod stack;
mod supabase;
mod workos;

use serde_json::Value;

/// One provider, by one of its names.
#[derive(Debug)]
pub(crate) struct Guide {
    /// As in the secret's `provider.name`.
    pub(crate) name: &'static str,
    /// As people know it.
    pub(crate) title: &'static str,
    /// A few words about it.
    pub(crate) about: &'static str,
    /// The fields of the secret's `provider` that a person fills in.
    pub(crate) fields: &'static [Field],
    /// The proof that deliveries carry.
    pub(crate) proof: Proof,
    /// The steps to take at the provider so that it delivers.
    pub(crate) steps: &'static [&'static str],
    /// The events to tick, as the provider's page names them.
    pub(crate) events: &'static [&'static str],
    /// Says what is wrong with a field's value, as far as its form tells.
    pub(crate) wrong: fn(&Value) -> Option<Wrong>,
    /// The provider's own pages.
    pub(crate) links: fn(&Value) -> Vec<Link>,
    /// How a project is picked or made with an access token, if it can be.
    pub(crate) account: Option<&'static Account>,
}

/// The account that a person's access token opens.
#[derive(Debug)]
pub(crate) struct Account {
    /// The word for the thing that is chosen there, and for several of them.
    pub(crate) one: &'static str,
    pub(crate) many: &'static str,
    /// The token.
    pub(crate) token: Field,
    /// The API's address, where each has a server of their own.
    pub(crate) address: Option<Field>,
    /// Whether what there is can be listed; else a new one is made.
    pub(crate) lists: bool,
    /// The parts of the world in which one can be made, by their codes; where there
    /// are any, one is made in an organization.
    pub(crate) regions: &'static [(&'static str, &'static str)],
    /// Whether deliveries are ordered with the token, too, in a log's words.
    pub(crate) orders: Option<&'static str>,
    /// Advice about one that was made.
    pub(crate) made: &'static str,
    /// Says what is wrong with the token, as far as its form tells.
    pub(crate) wrong: fn(&str) -> Option<&'static str>,
}

/// A field of the form.
#[derive(Debug)]
pub(crate) struct Field {
    /// As in the secret.
    pub(crate) name: &'static str,
    /// As the provider names it.
    pub(crate) label: &'static str,
    /// Where it is found.
    pub(crate) hint: &'static str,
    /// Whether nobody may read over a shoulder.
    pub(crate) hidden: bool,
    /// Whether it may be left empty.
    pub(crate) optional: bool,
}

/// The proof that deliveries carry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Proof {
    /// A secret that the provider makes up and shows.
    Signature,
    /// A token that we make up.
    Token,
    /// The same, in SQL that is run in the provider's database.
    Sql,
}

/// A value that can't be right.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Wrong {
    /// The field.
    pub(crate) field: &'static str,
    /// Names the value that was pasted, and the one that is wanted.
    pub(crate) problem: &'static str,
}

/// A page of the provider's.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Link {
    /// The page's name.
    pub(crate) title: &'static str,
    /// The address.
    pub(crate) url: String,
}

impl Link {
    fn new(title: &'static str, url: impl Into<String>) -> Self {
        let url = url.into();
        Self { title, url }
    }
}

/// All of them, in the order in which they are offered.
pub(crate) const GUIDES: &[Guide] = &[
    stack::STACK,
    stack::HEXCLAVE,
    clerk::CLERK,
    workos::WORKOS,
    auth0::AUTH0,
    supabase::SUPABASE,
];

/// The provider of this name.
pub(crate) fn of(name: &str) -> Option<&'static Guide> {
    GUIDES.iter().find(|guide| guide.name == name)
}

const API_URL: &str = "Only for a server of your own: the address of its API. Leave it empty for \
                       the provider's.";

/// The field for a server that is not the provider's own.
const SELF_HOSTED: Field = Field {
    name: "api_url",
    label: "API address",
    hint: API_URL,
    hidden: false,
    optional: true,
};

/// A field's text.
fn text<'a>(settings: &'a Value, name: &str) -> &'a str {
    settings[name].as_str().unwrap_or_default()
}

/// Whether a value is one label or id, safe to put into a provider's address.
fn is_plain(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    !text.is_empty() && text.bytes().all(plain)
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use serde_json::json;

    use super::*;

    fn check(settings: &Value, field: &str, words: &str) {
        let name = text(settings, "name");
        let wrong = (of(name).unwrap().wrong)(settings);
        let wrong = wrong.unwrap_or_else(|| panic!("{settings} is taken"));
        assert_eq!(wrong.field, field);
        assert!(wrong.problem.contains(words), "{}", wrong.problem);
    }

    fn jwt(claims: &Value) -> String {
        let part = |text: String| URL_SAFE_NO_PAD.encode(text);
        let head = part(r#"{"alg":"HS256"}"#.to_owned());
        format!("{head}.{}.c2lnbmF0dXJl", part(claims.to_string()))
    }

    #[test]
    fn what_is_pasted_in_a_keys_place_is_named() {
        for name in ["stack", "hexclave"] {
            let key = |key: &str| json!({"name": name, "secret_server_key": key});
            check(&key("pck_1"), "secret_server_key", "publishable client key");
            check(&key("sak_1"), "secret_server_key", "admin key");
            check(
                &json!({"name": name, "project_id": "ssk_1"}),
                "project_id",
                "This is a key",
            );
        }
        for (key, words) in [
            ("pk_test_1", "publishable key"),
            ("whsec_1", "signing secret"),
            ("ak_1", "another kind of key"),
        ] {
            check(
                &json!({"name": "clerk", "secret_key": key}),
                "secret_key",
                words,
            );
        }
        for (key, words) in [
            ("client_01", "client ID"),
            ("pk_1", "publishable key"),
            ("whsec_1", "signing secret"),
        ] {
            check(&json!({"name": "workos", "api_key": key}), "api_key", words);
        }
        check(
            &json!({"name": "auth0", "domain": "manage.auth0.com/dashboard"}),
            "domain",
            "dashboard",
        );
        check(
            &json!({"name": "auth0", "client_id": "same", "client_secret": "same"}),
            "client_secret",
            "client ID once more",
        );
        check(
            &json!({"name": "auth0", "client_id": "i", "client_secret": "eyJ0"}),
            "client_secret",
            "access token",
        );
    }

    #[test]
    fn a_key_of_supabase_says_what_it_is_and_whose() {
        let settings = |key: String| {
            json!({"name": "supabase", "project_url": "https://mine.supabase.co",
                "service_role_key": key})
        };
        let field = "service_role_key";
        check(
            &settings("sb_publishable_1".to_owned()),
            field,
            "publishable key",
        );
        check(
            &settings("sbp_1".to_owned()),
            field,
            "access token of your account",
        );
        let anon = jwt(&json!({"role": "anon", "ref": "mine"}));
        check(&settings(anon), field, "anon key");
        let other = jwt(&json!({"role": "service_role", "ref": "other"}));
        check(&settings(other), field, "another project");
        let wrong = of("supabase").unwrap().wrong;
        for right in [
            jwt(&json!({"role": "service_role", "ref": "mine"})),
            jwt(&json!({"role": "service_role"})),
            "sb_secret_1".to_owned(),
            "a.b.c".to_owned(),
        ] {
            assert_eq!(wrong(&settings(right)), None);
        }
    }

    #[test]
    fn a_link_leads_to_the_project_and_nowhere_else() {
        let urls = |settings: Value| -> Vec<String> {
            let links = (of(text(&settings, "name")).unwrap().links)(&settings);
            links.into_iter().map(|link| link.url).collect()
        };
        let id = "3241a285-8329-4d69-8f3d-316e08cf140c";
        let found = urls(json!({"name": "stack", "project_id": id}));
        assert!(found[0].starts_with(&format!("https://app.stack-auth.com/projects/{id}/")));
        let found = urls(json!({"name": "auth0", "domain": "acme.eu.auth0.com"}));
        assert!(found[0].starts_with("https://manage.auth0.com/dashboard/eu/acme/"));
        let found = urls(json!({"name": "auth0", "domain": "acme.auth0.com"}));
        assert!(found[0].starts_with("https://manage.auth0.com/dashboard/us/acme/"));
        let found = urls(json!({"name": "supabase", "project_url": "https://ref.supabase.co"}));
        assert!(found[0].starts_with("https://supabase.com/dashboard/project/ref/"));
        // What names no project of the provider's own leads to the documentation alone.
        for settings in [
            json!({"name": "stack", "project_id": "../evil"}),
            json!({"name": "stack", "project_id": id, "api_url": "https://self.hosted"}),
            json!({"name": "auth0", "domain": "login.example.com"}),
            json!({"name": "auth0", "domain": "a/b.auth0.com"}),
            json!({"name": "supabase", "project_url": "https://self.hosted"}),
            json!({"name": "supabase", "project_url": "javascript:alert(1)//.supabase.co"}),
        ] {
            assert_eq!(urls(settings.clone()).len(), 1, "{settings}");
        }
        for guide in GUIDES {
            for link in (guide.links)(&Value::Null) {
                assert!(link.url.starts_with("https://"), "{}", link.url);
            }
        }
    }
}
