//! Accounts at the providers: who may ask, how projects and keys are shown, and what is made.

use anyhow::{Context, Result};
use axum::http::{Method, StatusCode};
use serde_json::{Value, json};
use tests::simulator::{Clerk, Options, Simulator, Stack, Supabase, Vendor};

/// An account's API, on a simulator of its own.
struct Account {
    simulator: Simulator,
    authorization: String,
}

impl Account {
    async fn of(project: impl Vendor) -> Result<Self> {
        let simulator = Simulator::start(project, Options::default()).await?;
        let access = simulator.account().context("no account")?;
        Ok(Self {
            simulator,
            authorization: format!("Bearer {}", access.token),
        })
    }

    async fn ask(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Value,
    ) -> Result<(StatusCode, Value)> {
        let url = format!("{}{path}", self.simulator.origin());
        let request = reqwest::Client::new().request(method, url);
        let mut request = request.header("authorization", &self.authorization);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if !body.is_null() {
            request = request.header("content-type", "application/json");
            request = request.body(body.to_string());
        }
        let answer = request.send().await?;
        let status = answer.status();
        let text = answer.text().await?;
        Ok((status, serde_json::from_str(&text).unwrap_or(text.into())))
    }

    async fn get(&self, path: &str) -> Result<(StatusCode, Value)> {
        self.ask(Method::GET, path, &[], Value::Null).await
    }

    async fn post(&self, path: &str, body: Value) -> Result<(StatusCode, Value)> {
        self.ask(Method::POST, path, &[], body).await
    }
}

#[tokio::test]
async fn supabase_lists_projects_and_reveals_keys_only_where_asked() -> Result<()> {
    let mut account = Account::of(Supabase::default()).await?;
    let (status, listed) = account.get("/v1/projects").await?;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(listed[0]["status"], "ACTIVE_HEALTHY");
    assert_eq!(listed[1]["status"], "INACTIVE");
    let reference = listed[0]["ref"].as_str().context("no ref")?;
    assert_eq!(
        listed[0]["database"]["host"],
        format!("db.{reference}.supabase.co")
    );
    let (_, organizations) = account.get("/v1/organizations").await?;
    assert_eq!(organizations[0]["slug"], listed[0]["organization_slug"]);
    let project = format!("/v1/projects/{reference}");
    assert_eq!(account.get(&project).await?.1, listed[0]);

    let key = |keys: &Value| {
        let mut keys = keys.as_array().into_iter().flatten();
        let secret = keys.find(|key| key["type"] == "secret");
        secret.map(|key| key["api_key"].as_str().unwrap_or_default().to_owned())
    };
    let (_, masked) = account.get(&format!("{project}/api-keys")).await?;
    let (_, shown) = account
        .get(&format!("{project}/api-keys?reveal=true"))
        .await?;
    let own = Supabase::default().service_role_key;
    assert_eq!(key(&shown).context("none")?, own);
    assert!(!own.starts_with(&key(&masked).context("none")?));

    let (status, _) = account.get("/v1/projects/unknownabcdefghijklm").await?;
    assert_eq!(status, StatusCode::NOT_FOUND);
    "Bearer another".clone_into(&mut account.authorization);
    for path in ["/v1/projects", "/v1/organizations", &project] {
        let refused = (
            StatusCode::UNAUTHORIZED,
            json!({ "message": "Unauthorized" }),
        );
        assert_eq!(account.get(path).await?, refused, "{path}");
    }
    Ok(())
}

#[tokio::test]
async fn a_new_project_of_supabase_comes_up_and_its_key_opens_its_users() -> Result<()> {
    let account = Account::of(Supabase::default()).await?;
    let mut wanted = json!({
        "name": "New", "organization_slug": "simulated-org", "db_pass": "p",
        "region_selection": {"type": "smartGroup", "code": "apac"},
    });
    for (field, status) in [("db_pass", 400), ("region_selection", 400), ("name", 400)] {
        let mut lacking = wanted.clone();
        lacking.as_object_mut().context("an object")?.remove(field);
        assert_eq!(
            account.post("/v1/projects", lacking).await?.0,
            status,
            "{field}"
        );
    }
    wanted["organization_slug"] = "another".into();
    assert_eq!(account.post("/v1/projects", wanted.clone()).await?.0, 404);
    wanted["organization_slug"] = "simulated-org".into();
    let (status, made) = account.post("/v1/projects", wanted).await?;
    assert_eq!(
        (status, &made["status"]),
        (StatusCode::CREATED, &json!("COMING_UP"))
    );
    let project = format!("/v1/projects/{}", made["ref"].as_str().context("no ref")?);
    assert_eq!(account.get(&project).await?.1["status"], "COMING_UP");
    account.get("/v1/projects").await?;
    assert_eq!(account.get(&project).await?.1["status"], "ACTIVE_HEALTHY");

    let wanted = json!({"type": "secret", "name": "mine",
        "secret_jwt_template": {"role": "service_role"}});
    let keys = format!("{project}/api-keys?reveal=true");
    let (status, key) = account.post(&keys, wanted).await?;
    assert_eq!(status, StatusCode::CREATED);
    let url = format!("{}/auth/v1/admin/users", account.simulator.origin());
    let key = key["api_key"].as_str().context("no key")?;
    let asked = reqwest::Client::new().get(url).header("apikey", key);
    assert_eq!(asked.send().await?.status(), StatusCode::OK);

    // A trigger, as the adapter has it, and other SQL.
    let query = format!("{project}/database/query");
    let (status, _) = account.post(&query, json!({"query": "SELECT 1"})).await?;
    assert_eq!(status, StatusCode::CREATED);
    assert!(account.simulator.destination().is_none());
    let sql =
        "url := 'https://h/it''s', 'Authorization', 'Bearer t' TRIGGER users_sync ON auth.users";
    account.post(&query, json!({ "query": sql })).await?;
    let there = account.simulator.destination().context("nowhere")?;
    assert_eq!((&*there.url, &*there.secret), ("https://h/it's", "t"));
    let (status, _) = account.post(&query, json!({})).await?;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    Ok(())
}

#[tokio::test]
async fn clerk_lists_applications_and_shows_keys_only_where_asked() -> Result<()> {
    let own = Clerk::default();
    let workspace = own.workspace.clone();
    let mut account = Account::of(own).await?;
    let applications = "/v1/platform/applications";
    let (status, listed) = account.get(applications).await?;
    assert_eq!(status, StatusCode::OK);
    let own = Clerk::default();
    let instance = &listed[0]["instances"][0];
    assert_eq!(instance["instance_id"], own.instance);
    assert_eq!(instance["environment_type"], "development");
    assert!(instance.get("secret_key").is_none());
    let id = listed[0]["application_id"].as_str().context("no id")?;
    let with_keys = format!("{applications}/{id}?include_secret_keys=true");
    let (_, shown) = account.get(&with_keys).await?;
    assert_eq!(shown["instances"][0]["secret_key"], own.secret_keys[0]);
    workspace.set_shows_keys(false);
    let (status, refused) = account.get(&with_keys).await?;
    assert_eq!(status, StatusCode::FORBIDDEN);
    assert_eq!(refused["errors"][0]["code"], "authorization_missing_scopes");
    workspace.set_shows_keys(true);
    let unknown = format!("{applications}/app_2unknown");
    assert_eq!(account.get(&unknown).await?.0, StatusCode::NOT_FOUND);

    // The key of a new one opens its own instance.
    assert_eq!(account.post(applications, json!({})).await?.0, 422);
    let (status, made) = account.post(applications, json!({"name": "New"})).await?;
    assert_eq!((status, &made["name"]), (StatusCode::OK, &json!("New")));
    let made = &made["instances"][0];
    "Bearer another".clone_into(&mut account.authorization);
    assert_eq!(account.get(applications).await?.0, StatusCode::UNAUTHORIZED);
    let key = made["secret_key"].as_str().context("no key")?;
    account.authorization = format!("Bearer {key}");
    assert_eq!(
        account.get("/v1/instance").await?.1["id"],
        made["instance_id"]
    );
    // An instance's key is no workspace's token.
    assert_eq!(account.get(applications).await?.0, StatusCode::UNAUTHORIZED);
    Ok(())
}

#[tokio::test]
async fn a_partner_of_stack_makes_a_project_its_keys_and_its_endpoint() -> Result<()> {
    let project = Stack::default();
    let mut account = Account::of(project).await?;
    let credentials = Stack::default().partner.credentials();
    let basic = |text: &str| {
        use base64::Engine as _;
        let encoded = base64::engine::general_purpose::STANDARD.encode(text);
        format!("Basic {encoded}")
    };
    let provision = "/api/v1/integrations/neon/projects/provision";
    let wanted = json!({"display_name": "New"});
    for wrong in ["Bearer t".to_owned(), basic("neon-local:wrong")] {
        account.authorization = wrong;
        let (status, refused) = account.post(provision, wanted.clone()).await?;
        assert_eq!(
            (status.as_u16(), &refused["code"]),
            (400, &json!("SCHEMA_ERROR"))
        );
    }
    account.authorization = basic(&credentials);
    assert_eq!(account.post(provision, json!({})).await?.0, 400);
    let (status, made) = account.post(provision, wanted).await?;
    assert_eq!(status, StatusCode::OK);
    let id = made["project_id"].as_str().context("no id")?;
    let admin_key = made["super_secret_admin_key"].as_str().context("no key")?;

    let admin = [
        ("x-stack-access-type", "admin"),
        ("x-stack-project-id", id),
        ("x-stack-super-secret-admin-key", admin_key),
    ];
    let keys = "/api/v1/internal/api-keys";
    let wanted = json!({"description": "d", "expires_at_millis": 1, "has_secret_server_key": true,
        "has_publishable_client_key": false, "has_super_secret_admin_key": false});
    assert_eq!(account.post(keys, wanted.clone()).await?.0, 400);
    let (_, key) = account.ask(Method::POST, keys, &admin, wanted).await?;
    let key = key["secret_server_key"].as_str().context("no key")?;
    let server = [
        ("x-stack-access-type", "server"),
        ("x-stack-project-id", id),
        ("x-stack-secret-server-key", key),
    ];
    let users = "/api/v1/users";
    let (status, _) = account
        .ask(Method::GET, users, &server, Value::Null)
        .await?;
    assert_eq!(status, StatusCode::OK);
    let wrong = [
        server[0],
        server[1],
        ("x-stack-secret-server-key", admin_key),
    ];
    let (status, _) = account.ask(Method::GET, users, &wrong, Value::Null).await?;
    assert_eq!(status, StatusCode::UNAUTHORIZED);

    let webhooks = "/api/v1/integrations/neon/webhooks";
    let url = json!({"url": "https://h.example/"});
    assert_eq!(account.post(webhooks, url.clone()).await?.0, 400);
    let (_, made) = account.ask(Method::POST, webhooks, &admin, url).await?;
    let there = account.simulator.destination().context("nowhere")?;
    assert_eq!(made["secret"], there.secret);
    assert_eq!(there.url, "https://h.example/");
    Ok(())
}
