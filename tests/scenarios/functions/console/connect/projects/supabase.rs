//! Supabase's Management API: projects listed, one made, keys fetched, the trigger installed.

use anyhow::{Context, Result, bail, ensure};
use serde_json::json;
use tests::simulator::supabase::{self, Key, Project};
use tests::simulator::{Fault, Supabase, Trouble};

use super::{Account, WEBHOOK, answered};

const REF: &str = "simulatedabcdefghijk";

/// The account, and what the simulator has of it.
async fn account() -> Result<(Account, supabase::Account)> {
    let project = Supabase::default();
    let kept = project.account.clone();
    Ok((Account::of(project).await?, kept))
}

#[tokio::test]
async fn a_listed_project_is_connected_its_trigger_installed_and_the_token_forgotten() -> Result<()>
{
    let (account, kept) = account().await?;
    let keys = account.console.page("connect/supabase").await?;
    keys.shows("Instead of keys")?;
    let listed = account.list().await?;
    for words in [
        "<optgroup label=\"Simulated Org\">",
        "<option value=\"simulatedabcdefghijk\">Simulated (simulatedabcdefghijk, eu-central-1)",
        "<option value=\"pausedabcdefghijklmn\" disabled>Forgotten",
        "is paused: restore it in Supabase’s dashboard, then look again",
    ] {
        listed.shows(words)?;
    }
    let chosen = account.choose(REF).await?;
    let secret = account.connected(&chosen, "all-set")?;
    let provider = &secret["provider"];
    let token = provider["webhook_token"].as_str().context("no token")?;
    ensure!(provider["name"] == "supabase", "{provider}");
    let origin = account.stage.simulator.origin();
    ensure!(provider["project_url"] == origin, "{provider}");
    let key = Supabase::default().service_role_key;
    ensure!(provider["service_role_key"] == key, "{provider}");
    // The trigger sends there, with the token that the secret has.
    let there = account.stage.simulator.destination().context("nowhere")?;
    ensure!((there.url.as_str(), there.secret.as_str()) == (WEBHOOK, token));
    let [query] = &kept.queries()[..] else {
        bail!("{:?}", kept.queries());
    };
    let made = "CREATE OR REPLACE TRIGGER users_sync";
    ensure!(
        query.contains(made) && !query.contains("WEBHOOK_"),
        "{query}"
    );
    let logs = account.console.function.logs()?;
    let installed = "installed the trigger at the provider";
    ensure!(logs.contains(installed) && logs.contains(REF), "{logs}");
    ensure!(!logs.contains("made a"), "{logs}");
    account.forgotten(&[], &[&key, token]).await?;

    // Once more: the token for deliveries stays as it is.
    let chosen = account.choose(REF).await?;
    ensure!(account.connected(&chosen, "all-set")? == secret);
    Ok(())
}

#[tokio::test]
async fn a_project_is_made_and_connected_once_it_is_up() -> Result<()> {
    let (account, kept) = account().await?;
    let listed = account.list().await?;
    let fields = [
        ("name", "My <b>users</b>"),
        ("organization", "simulated-org"),
        ("region", "emea"),
    ];
    let made = account.press(&listed, "/make", &fields).await?;
    ensure!(made.status == 200, "{}", made.body);
    made.shows("is made, and is coming up")?;
    let project = kept.projects().pop().context("no project")?;
    ensure!(project.name == "My <b>users</b>" && project.region == "eu-central-1");
    let reference = project.reference.as_str();
    let logs = account.console.function.logs()?;
    let said = "made a project at the provider";
    ensure!(logs.contains(said) && logs.contains(reference), "{logs}");
    ensure!(!logs.contains("My <b>users"), "{logs}");

    // While it is not up it can't be chosen, whatever the form says.
    let fields = [("project", reference)];
    let early = account.press(&listed, "/choose", &fields).await?;
    account.refused(&early, "still coming up: look again")?;
    let listed = account.list().await?;
    listed.shows("My &lt;b&gt;users&lt;/b&gt;")?;
    listed.shows(&format!("value=\"{reference}\" disabled"))?;
    let chosen = account.choose(reference).await?;
    let secret = account.connected(&chosen, "all-set")?;
    let [key] = &project.keys.context("no keys")?[..] else {
        bail!("more than one key");
    };
    ensure!(
        secret["provider"]["service_role_key"] == key.key,
        "{secret}"
    );
    account.forgotten(&[], &[&key.key]).await
}

/// The key that is kept of a project with these, and whether it was made for that.
async fn kept_of(keys: Vec<Key>) -> Result<(String, bool)> {
    let (account, kept) = account().await?;
    let before = keys.len();
    let mut project = Project::new(REF, "Simulated");
    project.keys = Some(keys);
    kept.set_projects(vec![project]);
    let chosen = account.choose(REF).await?;
    let secret = account.connected(&chosen, "all-set")?;
    let key = secret["provider"]["service_role_key"].as_str();
    let key = key.context("no key")?.to_owned();
    account.forgotten(&[], &[&key]).await?;
    let after = kept.projects()[0].keys.as_ref().map_or(0, Vec::len);
    let logs = account.console.function.logs()?;
    let made = logs.contains("made a key at the provider");
    ensure!(
        after == before + usize::from(made),
        "{before} {after} {made}"
    );
    Ok((key, made))
}

#[tokio::test]
async fn the_newer_kind_of_key_goes_first_and_one_is_made_where_none_is() -> Result<()> {
    let random = &mut fastrand::Rng::with_seed(1);
    let secret = Key::secret("default", "service_role", random);
    let limited = Key::secret("limited", "reader", random);
    let legacy = Key::service_role(random);
    let all = vec![legacy.clone(), limited.clone(), secret.clone()];
    ensure!(kept_of(all).await? == (secret.key, false));
    let older = vec![limited.clone(), legacy.clone()];
    ensure!(kept_of(older).await? == (legacy.key, false));
    for useless in [vec![limited], Vec::new()] {
        let (key, made) = kept_of(useless).await?;
        ensure!(key.starts_with("sb_secret_") && made, "{key}");
    }
    Ok(())
}

#[tokio::test]
async fn a_token_that_may_not_see_keys_is_told_from_a_wrong_one() -> Result<()> {
    let (account, kept) = account().await?;
    let page = account.ask().await?;
    let of_a_project = "This is a key of one project";
    for (token, words) in [
        (
            "sbp_0123456789abcdef0123456789abcdef01234567",
            "does not accept the access token",
        ),
        ("sb_secret_0123456789abcdef0123456789abcdef", of_a_project),
        ("eyJhbGciOiJIUzI1NiJ9.e30.0123456789abcdef", of_a_project),
        (
            "sbp_0123456789abcdef\n0123456789abcdef0123",
            "contains a character that no key has",
        ),
    ] {
        let refused = account.press_with(token, &page, "", &[]).await?;
        account.refused(&refused, words)?;
        refused.hides(token)?;
    }
    let none = account.press_with("", &page, "", &[]).await?;
    account.refused(&none, "“Access token” is empty")?;

    let listed = account.list().await?;
    let fields = [("project", REF)];
    kept.set_reveals(false);
    let refused = account.press(&listed, "/choose", &fields).await?;
    account.refused(&refused, "may not see or make the project's keys")?;
    // A key that is shown in part is none, and no other is made beside it.
    kept.set_reveals(true);
    let masked = json!([{"name": "default", "type": "secret", "api_key": "sb_secret_abcde······"}]);
    let trouble = Trouble::every(answered(200, &masked.to_string())).of("/api-keys");
    account.stage.simulator.add_trouble(trouble);
    let refused = account.press(&listed, "/choose", &fields).await?;
    account.refused(&refused, "only in part")?;
    ensure!(kept.projects().iter().all(|project| project.keys.is_none()));
    account.forgotten(&[], &[]).await
}

#[tokio::test]
async fn an_odd_answer_is_said_in_words() -> Result<()> {
    let (account, _) = account().await?;
    let page = account.ask().await?;
    let said = |body: &str, status| answered(status, body);
    let odd = "not as the provider documents it";
    let foreign = "does not come from Supabase's Management API";
    let refused = r#"{"message":"unseen"}"#;
    let slow = Fault::TooManyRequests {
        retry_after: Some(30),
    };
    for (fault, words) in [
        (Fault::Html(200), odd),
        (Fault::Html(404), foreign),
        (Fault::Html(401), "Supabase answers 401"),
        (Fault::Html(502), "can't be reached: HTTP 502"),
        (Fault::Dropped, "can't be reached"),
        (slow, "rate limiting"),
        (said(refused, 403), "administrator of the organization"),
        (said(refused, 404), "no such project any more"),
        (said(refused, 500), "HTTP 500"),
        (said("", 302), foreign),
        (said("null", 200), odd),
        (said(r#"{"projects":[]}"#, 200), odd),
        (said(&"[".repeat(1000), 200), odd),
    ] {
        account.troubled(fault.clone());
        let answer = account.press(&page, "", &[]).await?;
        let shown = account.refused(&answer, words);
        shown.with_context(|| format!("{fault:?}"))?;
        answer.hides("unseen")?;
    }
    Ok(())
}

#[tokio::test]
async fn hundreds_of_projects_and_hostile_names_are_shown_as_text() -> Result<()> {
    let (account, kept) = account().await?;
    kept.set_projects(Vec::new());
    let empty = account.list().await?;
    empty.shows("There are no projects in this account")?;
    empty.hides("projects/choose")?;
    for (name, words) in [("", "has no name"), (&"x".repeat(51), "too long")] {
        let refused = account.press(&empty, "/make", &[("name", name)]).await?;
        account.refused(&refused, words)?;
    }

    let project = |number: usize| {
        let reference = format!("reference{number:011}");
        Project::new(&reference, &format!("Project {number}"))
    };
    let mut projects: Vec<Project> = (0..700).map(project).collect();
    let long = "long ".repeat(2000);
    let hostile = [
        "<script>alert(1)</script>",
        "\u{202e}gnp\"><img src=x>",
        &long,
        "",
    ];
    for (project, name) in projects.iter_mut().zip(hostile) {
        project.name = name.to_owned();
    }
    projects[4].reference = "../../evil".to_owned();
    projects[5].organization = "another".to_owned();
    projects[6].status = "A_NEW_STATUS".to_owned();
    kept.set_projects(projects);
    let listed = account.list().await?;
    ensure!(listed.body.matches("<option value=\"reference").count() == 699);
    for hostile in ["<script>alert", "\u{202e}", "<img", "../../evil"] {
        listed.hides(hostile)?;
    }
    for words in ["&lt;script&gt;alert(1)", "is not healthy", "Project 699"] {
        listed.shows(words)?;
    }
    listed.hides(&"long ".repeat(20))?;
    for (chosen, words) in [
        ("", "Nothing was chosen"),
        ("..", "There is no such choice"),
        ("gone", "no such project any more"),
        ("reference00000000006", "is not healthy"),
    ] {
        let fields = [("project", chosen)];
        let refused = account.press(&listed, "/choose", &fields).await?;
        account.refused(&refused, words)?;
    }
    kept.leave_organizations();
    let listed = account.list().await?;
    listed.shows("The token sees no organization to make one in")?;
    Ok(())
}

#[tokio::test]
async fn a_project_that_can_not_be_made_to_deliver_is_connected_all_the_same() -> Result<()> {
    // This console doesn't know where webhook is, and asks.
    let account = Account::with(Supabase::default(), &[]).await?;
    let listed = account.list().await?;
    listed.shows("Address of the function webhook")?;
    let fields = [("project", REF), ("url", "")];
    let chosen = account.press(&listed, "/choose", &fields).await?;
    account.connected(&chosen, "connected")?;
    ensure!(account.stage.simulator.destination().is_none());

    let fields = [("project", REF), ("url", "https://typed.example/")];
    let refused = answered(400, r#"{"message":"Failed to run sql query: unseen"}"#);
    let trouble = Trouble::next(1, refused).of("/database/query");
    account.stage.simulator.add_trouble(trouble);
    let chosen = account.press(&listed, "/choose", &fields).await?;
    ensure!(chosen.status == 422, "{}", chosen.body);
    chosen.shows("The keys are right, and kept.")?;
    chosen.shows("did not run the SQL that makes the trigger: run it by hand")?;
    chosen.hides("unseen")?;
    ensure!(account.stage.kept_secret()?["provider"]["name"] == "supabase");
    let logs = account.console.function.logs()?;
    ensure!(!logs.contains("installed the trigger"), "{logs}");

    let chosen = account.press(&listed, "/choose", &fields).await?;
    let done = "all-set&url=https%3A%2F%2Ftyped%2Eexample%2F";
    let secret = account.connected(&chosen, done)?;
    let there = account.stage.simulator.destination().context("nowhere")?;
    ensure!(there.url == "https://typed.example/", "{there:?}");
    ensure!(secret["provider"]["webhook_token"] == there.secret);
    Ok(())
}

#[tokio::test]
async fn nothing_is_made_where_the_schema_is_bound_or_the_console_is_read_only() -> Result<()> {
    let (account, kept) = account().await?;
    let listed = account.list().await?;
    let chosen = account.choose(REF).await?;
    account.connected(&chosen, "all-set")?;
    let fields = [
        ("name", "Another"),
        ("organization", "simulated-org"),
        ("region", "apac"),
    ];
    let refused = account.press(&listed, "/make", &fields).await?;
    ensure!(refused.status == 422, "{}", refused.body);
    refused.shows("Nothing was made: the schema is bound to the project")?;
    ensure!(kept.projects().len() == 2, "one was made");

    let variables = [("READ_ONLY", "true")];
    let account = Account::with(Supabase::default(), &variables).await?;
    let page = account.ask().await?;
    page.shows("fieldset disabled")?;
    let form = page.form(&account.path(""))?;
    for below in ["", "/choose", "/make"] {
        let fields = [
            ("form_token", form["form_token"].as_str()),
            ("access_token", account.access.token.as_str()),
            ("project", REF),
            ("name", "x"),
        ];
        let answer = account.console.post(&account.path(below), &fields).await?;
        ensure!(answer.status == 403, "{below}: {}", answer.status);
        answer.shows("READ_ONLY")?;
    }
    let asked = account.stage.simulator.requests();
    ensure!(asked.is_empty(), "somebody was asked");
    Ok(())
}
