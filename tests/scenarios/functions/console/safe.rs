//! Who gets in, and what a form has to prove.

use anyhow::{Result, ensure};
use tests::function::Function;
use tests::stage::Stage;

use super::{Console, TOKEN};

#[tokio::test]
async fn without_a_token_in_the_secret_everything_is_answered_503() -> Result<()> {
    let stage = Stage::new().await?;
    let console = Console::of(&stage).await?;
    stage.change_secret(|secret| {
        secret
            .as_object_mut()
            .expect("an object")
            .remove("console_token");
    })?;
    let function = stage.start("console").await?;
    let closed = Console {
        function,
        ..console
    };
    for path in ["", "users", "sign-in", "connect"] {
        let answer = closed.get(path).await?;
        ensure!(answer.status == 503, "{path}: {}", answer.status);
        answer.shows("console_token")?;
    }
    let answer = closed.post("sign-in", &[("console_token", TOKEN)]).await?;
    ensure!(answer.status == 503 && answer.header("set-cookie").is_empty());
    Ok(())
}

#[tokio::test]
async fn the_token_is_exchanged_for_a_short_lived_cookie() -> Result<()> {
    let stage = Stage::new().await?;
    let mut console = Console::of(&stage).await?;
    for path in ["", "users", "user?id=1", "connect", "nothing"] {
        let answer = console.get(path).await?;
        ensure!(answer.status == 303, "{path}: {}", answer.status);
        ensure!(answer.header("location") == "sign-in", "{path}");
    }
    let below = console.get("connect/clerk").await?;
    ensure!(below.header("location") == "../sign-in");
    let page = console.get("sign-in").await?;
    ensure!(page.status == 200);
    page.shows("name=\"console_token\"")?;
    for wrong in ["", "wrong", &TOKEN[1..], &format!("{TOKEN}x")] {
        let answer = console.post("sign-in", &[("console_token", wrong)]).await?;
        ensure!(answer.status == 401, "{wrong}: {}", answer.status);
        ensure!(answer.header("set-cookie").is_empty());
        answer.shows("This is not the token.")?;
    }
    let answer = console.post("sign-in", &[("console_token", TOKEN)]).await?;
    ensure!(answer.status == 303 && answer.header("location") == "./");
    let set = answer.header("set-cookie");
    ensure!(set.starts_with("__Host-") && !set.contains(TOKEN), "{set}");
    for attribute in [
        "; Path=/;",
        "; Max-Age=3600;",
        "; Secure",
        "; HttpOnly",
        "; SameSite=Strict",
    ] {
        ensure!(set.contains(attribute), "{set}");
    }
    console.cookie = Some(answer.cookie()?);
    console.page("").await?.shows("<h1>Overview</h1>")?;
    // What was changed of a cookie is no session.
    let cookie = answer.cookie()?;
    console.cookie = Some(format!("{cookie}0"));
    ensure!(console.get("").await?.status == 303);
    console.cookie = Some(cookie);
    let page = console.page("").await?;
    let out = console.press(&page, "sign-out", &[]).await?;
    ensure!(out.status == 303 && out.header("set-cookie").contains("Max-Age=0"));
    Ok(())
}

#[tokio::test]
async fn a_session_ends_when_the_token_is_rotated() -> Result<()> {
    let stage = Stage::new().await?;
    let mut console = Console::open(&stage).await?;
    console.page("").await?;
    let rotated = "another-token-of-this-console-98765";
    stage.change_secret(|secret| secret["console_token"] = rotated.into())?;
    ensure!(console.get("").await?.status == 303, "the session goes on");
    let old = console.post("sign-in", &[("console_token", TOKEN)]).await?;
    ensure!(old.status == 401);
    let new = console
        .post("sign-in", &[("console_token", rotated)])
        .await?;
    ensure!(new.status == 303);
    console.cookie = Some(new.cookie()?);
    console.page("").await?;
    Ok(())
}

#[tokio::test]
async fn attempts_are_counted_by_address_and_over_all_instances() -> Result<()> {
    let stage = Stage::new().await?;
    let one = Console::of(&stage).await?;
    let other = Console::of(&stage).await?;
    for number in 1..=10 {
        let console = if number % 2 == 0 { &one } else { &other };
        let answer = console.sign_in_from("192.0.2.66", "wrong").await?;
        ensure!(answer["statusCode"] == 401, "{number}: {answer}");
    }
    for console in [&one, &other] {
        // Not even the token is tried now.
        let answer = console.sign_in_from("192.0.2.66", TOKEN).await?;
        ensure!(answer["statusCode"] == 429, "{answer}");
        let wait: u64 = answer["headers"]["retry-after"]
            .as_str()
            .unwrap_or_default()
            .parse()?;
        ensure!((800..=900).contains(&wait), "{wait}");
    }
    // The owner, from elsewhere.
    let answer = one.sign_in_from("192.0.2.7", TOKEN).await?;
    ensure!(answer["statusCode"] == 303, "{answer}");
    // Addresses of one network are one source.
    for number in 1..=10 {
        let address = format!("2001:db8::{number:x}");
        ensure!(one.sign_in_from(&address, "wrong").await?["statusCode"] == 401);
    }
    let answer = one.sign_in_from("2001:db8::ffff", TOKEN).await?;
    ensure!(answer["statusCode"] == 429, "{answer}");
    ensure!(one.sign_in_from("2001:db8:0:1::1", TOKEN).await?["statusCode"] == 303);
    // When the time is over, it begins anew.
    stage
        .execute("UPDATE neon_identity.console_attempts SET since = since - interval '15 minutes'")
        .await?;
    ensure!(one.sign_in_from("192.0.2.66", "wrong").await?["statusCode"] == 401);
    ensure!(one.sign_in_from("192.0.2.66", TOKEN).await?["statusCode"] == 303);
    // Who knew the token has a clean slate.
    let left = stage
        .json("SELECT source FROM neon_identity.console_attempts WHERE source = '192.0.2.66'")
        .await?;
    ensure!(left.is_empty(), "{left:?}");
    Ok(())
}

#[tokio::test]
async fn attempts_at_once_are_each_counted() -> Result<()> {
    let stage = Stage::new().await?;
    let console = Console::of(&stage).await?;
    console.function.spawn_instance().await?;
    let attempts = (0..30).map(|_| console.sign_in_from("192.0.2.9", "wrong"));
    let answers = futures_util::future::try_join_all(attempts).await?;
    let tried = answers
        .iter()
        .filter(|answer| answer["statusCode"] == 401)
        .count();
    ensure!(tried == 10, "{tried}");
    Ok(())
}

#[tokio::test]
async fn where_nobody_can_be_counted_nobody_is_let_in() -> Result<()> {
    let stage = Stage::new().await?;
    let console = Console::open(&stage).await?;
    stage.change_secret(|secret| {
        secret["database_url"] = "postgres://u:p@127.0.0.1:9/none?connect_timeout=1".into();
    })?;
    let function = stage.start("console").await?;
    let console = Console {
        function,
        ..console
    };
    let answer = console.sign_in_from("192.0.2.9", TOKEN).await?;
    ensure!(answer["statusCode"] == 503, "{answer}");
    Ok(())
}

#[tokio::test]
async fn a_form_is_of_this_session_and_of_this_site() -> Result<()> {
    let stage = Stage::new().await?;
    let console = Console::open(&stage).await?;
    let page = console.page("").await?;
    let form = page.form("sign-out")?;
    let token = form["form_token"].as_str();
    let own = console.function.url().to_owned();
    let refused: [(&str, &str); 6] = [
        ("", &own),
        ("0000", &own),
        (&token[1..], &own),
        (token, "https://evil.example"),
        (token, "null"),
        (token, "http://127.0.0.1:1"),
    ];
    for (form, origin) in refused {
        let answer = console
            .post_from("sign-out", &[("form_token", form)], origin)
            .await?;
        ensure!(answer.status == 403, "{form} {origin}: {}", answer.status);
        ensure!(!answer.header("set-cookie").contains("Max-Age=0"));
    }
    // Of another session of the same token.
    let other = Console::open(&stage).await?;
    let answer = other.post("sign-out", &[("form_token", token)]).await?;
    ensure!(answer.status == 403);
    // The sign-in, too, is a form.
    let fields = [("console_token", TOKEN)];
    let answer = console
        .post_from("sign-in", &fields, "https://evil.example")
        .await?;
    ensure!(answer.status == 403 && answer.header("set-cookie").is_empty());
    let answer = console.post("sign-out", &[("form_token", token)]).await?;
    ensure!(answer.status == 303);
    Ok(())
}

#[tokio::test]
async fn nothing_is_cached_and_no_script_or_style_stands_in_a_page() -> Result<()> {
    let stage = Stage::new().await?;
    stage
        .execute("SELECT neon_identity.ensure_user('u')")
        .await?;
    let console = Console::open(&stage).await?;
    for path in [
        "",
        "sign-in",
        "users",
        "user?id=u",
        "connect",
        "nothing",
        "user?id=none",
    ] {
        let answer = console.get(path).await?;
        ensure!(answer.header("cache-control") == "no-store", "{path}");
        let policy = answer.header("content-security-policy");
        ensure!(
            policy.contains("default-src 'none'") && !policy.contains("unsafe"),
            "{policy}"
        );
        ensure!(policy.contains("frame-ancestors 'none'"), "{policy}");
        ensure!(answer.header("x-content-type-options") == "nosniff");
        for inline in [
            "<style",
            "<script>",
            " style=",
            " onclick=",
            " onload=",
            "javascript:",
        ] {
            answer.hides(inline)?;
        }
    }
    let page = console.page("").await?;
    let mut files = page.links("assets/");
    let script = page
        .body
        .split("src=\"")
        .nth(1)
        .and_then(|rest| rest.split('"').next());
    files.extend(script.map(str::to_owned));
    ensure!(files.len() == 2, "{files:?}");
    for file in files {
        // Without a session, too: the sign-in has them.
        let file = reqwest::get(console.url(&file)).await?;
        ensure!(file.status() == 200);
        ensure!(
            file.headers()["cache-control"]
                .to_str()?
                .contains("immutable")
        );
    }
    Ok(())
}

#[tokio::test]
async fn read_only_takes_no_change() -> Result<()> {
    let stage = Stage::new().await?;
    let console = Console::with(&stage, &[("READ_ONLY", "true")])
        .await?
        .signed_in()
        .await?;
    let page = console.page("").await?;
    page.shows("read-only")?;
    let form = page.form("sign-out")?;
    let token = form["form_token"].as_str();
    for path in [
        "connect",
        "connect/keys",
        "user/erase",
        "runs/now",
        "nothing",
    ] {
        let answer = console.post(path, &[("form_token", token)]).await?;
        ensure!(answer.status == 403, "{path}: {}", answer.status);
        answer.shows("READ_ONLY")?;
    }
    let environment = stage
        .environment()
        .into_iter()
        .chain([("READ_ONLY".to_owned(), "yes".to_owned())]);
    let function = Function::spawn("console", environment).await?;
    let logs = crate::site::does_not_start(&function).await?;
    ensure!(
        logs.contains("READ_ONLY is neither true nor false"),
        "{logs}"
    );
    Ok(())
}
