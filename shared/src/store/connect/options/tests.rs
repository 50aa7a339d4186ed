use tokio_postgres::config::SslMode;

use super::*;

fn options(text: &str) -> Read<Options> {
    let info = Conninfo::parse(text)?;
    let tls = Tls::read(&info, None)?;
    read(&info, &tls)
}

fn found(text: &str) -> Options {
    options(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn refused(text: &str) -> String {
    options(text).err().unwrap_or_else(|| panic!("{text}"))
}

#[test]
fn hosts_and_ports_are_paired_as_in_libpq() {
    let named = |name: &str, port| Server {
        host: Host::Named(name.to_owned()),
        port,
    };
    let check =
        |text: &str, expected: &[Server]| assert_eq!(found(text).servers, expected, "{text}");
    check("postgres://u@h/d", &[named("h", 5432)]);
    check("postgres://u@h:/d?port=6000", &[named("h", 6000)]);
    check("postgres://u@a,b:6/d", &[named("a", 5432), named("b", 6)]);
    check("postgres://u@a,b/d?port=6", &[named("a", 6), named("b", 6)]);
    check("postgres://u@[::1]:7/d", &[named("::1", 7)]);
    check("postgres:///d?host=h&user=u", &[named("h", 5432)]);
    let socket = Host::Socket(PathBuf::from("/run/pg"));
    let socket = Server {
        host: socket,
        port: 5432,
    };
    check("postgres://u@%2Frun%2Fpg/d", std::slice::from_ref(&socket));
    check("host=/run/pg user=u", &[socket]);
    let at = Host::At("::1".parse().unwrap(), Some("h".to_owned()));
    let at = Server {
        host: at,
        port: 5432,
    };
    check("host=h hostaddr=::1 user=u", &[at]);
    for text in [
        "postgres://u@/d",
        "postgres://u@a,,b/d",
        "postgres://u@a,b:1,c/d?port=1,2",
        "postgres://u@a/d?hostaddr=1.2.3.4,1.2.3.5",
        "postgres://u@a/d?hostaddr=a",
        "postgres://u@a:0/d",
        "postgres://u@a:65536/d",
        "postgres://u@a:x/d",
        "postgres://u@b@a/d",
        "postgres://a/d",
        "postgres://@a/d?user=",
    ] {
        refused(text);
    }
}

#[test]
fn times_are_in_libpqs_units() {
    let config = found("postgres://u@h/d").config;
    let seconds = |time: Option<&Duration>| time.map(Duration::as_secs_f64);
    assert_eq!(seconds(config.get_tcp_user_timeout()), Some(10.0));
    assert_eq!(config.get_keepalives_idle().as_secs(), 10);
    assert_eq!(config.get_keepalives_retries(), Some(3));
    let config = found(
        "postgres://u@h/d?tcp_user_timeout=1500&keepalives_count=7&connect_timeout=%2B3\
         &keepalives_idle=77&keepalives_interval=5&keepalives=1",
    )
    .config;
    assert_eq!(seconds(config.get_tcp_user_timeout()), Some(1.5));
    assert_eq!(seconds(config.get_connect_timeout()), Some(3.0));
    assert_eq!(config.get_keepalives_idle().as_secs(), 77);
    assert_eq!(
        config.get_keepalives_interval(),
        Some(Duration::from_secs(5))
    );
    assert_eq!(config.get_keepalives_retries(), Some(7));
    let config = found("postgres://u@h/d?tcp_user_timeout=0&connect_timeout=-1&keepalives=0");
    assert_eq!(config.config.get_tcp_user_timeout(), None);
    assert_eq!(config.config.get_connect_timeout(), None);
    assert!(!config.config.get_keepalives());
    for name in ["connect_timeout", "keepalives_count", "tcp_user_timeout"] {
        let error = refused(&format!("postgres://u@h/d?{name}=hidden"));
        assert!(error.contains(name) && !error.contains("hidden"), "{error}");
    }
}

/// All parameters of libpq 18, each with a value and what becomes of it.
#[test]
fn each_parameter_has_its_meaning_or_is_refused_by_its_name() {
    let taken = [
        "application_name=x",
        "channel_binding=require",
        "client_encoding=UTF8",
        "client_encoding=utf-8",
        "client_encoding=auto",
        "connect_timeout=5",
        "fallback_application_name=x",
        "gssdelegation=0",
        "gssencmode=disable",
        "gssencmode=prefer",
        "gsslib=gssapi",
        "keepalives=0",
        "keepalives_count=1",
        "keepalives_idle=1",
        "keepalives_interval=1",
        "krbsrvname=postgres",
        "load_balance_hosts=random",
        "max_protocol_version=latest",
        "min_protocol_version=3.0",
        "options=-c%20geqo%3Doff",
        "passfile=/x&password=x",
        "replication=false",
        "requirepeer=x",
        "ssl_max_protocol_version=TLSv1.3",
        "ssl_min_protocol_version=tlsv1.2",
        "sslcertmode=disable",
        "sslcompression=1",
        "sslmode=require",
        "sslnegotiation=direct&sslmode=require",
        "sslrootcert=system",
        "sslsni=0",
        "ssl=true",
        "requiressl=1",
        "target_session_attrs=any",
        "target_session_attrs=primary",
        "target_session_attrs=read-write",
        "tcp_user_timeout=1",
        "sslcert=",
    ];
    for parameter in taken {
        found(&format!("postgres://u@h/d?{parameter}"));
    }
    let refusals = [
        "channel_binding=hidden",
        "channel_binding=",
        "client_encoding=LATIN1",
        "gssencmode=require",
        "load_balance_hosts=hidden",
        "max_protocol_version=2",
        "min_protocol_version=3.2",
        "oauth_client_id=hidden",
        "oauth_client_secret=hidden",
        "oauth_issuer=hidden",
        "oauth_scope=hidden",
        "passfile=/hidden",
        "replication=database",
        "require_auth=scram-sha-256",
        "scram_client_key=hidden",
        "scram_server_key=hidden",
        "service=hidden",
        "ssl_max_protocol_version=hidden",
        "ssl_min_protocol_version=TLSv1.4",
        "sslcert=hidden",
        "sslcertmode=require",
        "sslcrl=hidden",
        "sslcrldir=hidden",
        "sslkey=hidden",
        "sslkeylogfile=hidden",
        "sslmode=allow",
        "sslmode=",
        "sslnegotiation=direct",
        "sslpassword=hidden",
        "sslrootcert=/hidden",
        "target_session_attrs=prefer-standby",
        "target_session_attrs=read-only",
        "target_session_attrs=standby",
    ];
    for parameter in refusals {
        let error = refused(&format!("postgres://u@h/d?{parameter}"));
        let (name, _) = parameter.split_once('=').unwrap();
        assert!(error.contains(name) && !error.contains("hidden"), "{error}");
    }
    let error = refused("postgres://u@%2Ftmp/d?requirepeer=hidden");
    assert!(error.contains("requirepeer"), "{error}");
}

#[test]
fn the_name_of_the_application_falls_back() {
    let name = |parameters: &str| {
        let config = found(&format!("postgres://u@h/d?{parameters}")).config;
        config.get_application_name().unwrap().to_owned()
    };
    assert_eq!(name(""), "users-sync");
    assert_eq!(name("fallback_application_name=b"), "b");
    assert_eq!(name("fallback_application_name=b&application_name=a"), "a");
    assert_eq!(name("application_name=&fallback_application_name=b"), "b");
}

#[test]
fn settings_are_taken_as_they_are_written() {
    let config = found("postgres://u%3A:p%40%ff?w@h/d%2Fe?options=-c%20x%3Dy").config;
    assert_eq!(config.get_user(), Some("u:"));
    assert_eq!(config.get_password(), Some(&b"p@\xff?w"[..]));
    assert_eq!(config.get_dbname(), Some("d/e"));
    assert_eq!(config.get_options(), Some("-c x=y"));
    assert_eq!(config.get_ssl_mode(), SslMode::Prefer);
    assert!(refused("postgres://%ff@h/d").contains("user"));
}
