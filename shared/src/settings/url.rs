//! One spelling for each http or https address. Addresses that differ only in
//! the case of the host, in a default port or in a `/` at the end are the same.

/// An address to which paths and queries can be appended.
#[derive(Debug, PartialEq, Eq)]
pub struct Url {
    /// The whole address, without a `/` at its end.
    pub base: String,
    /// The host, with the port if it is not the scheme's default.
    pub host: String,
    /// The same with the path, which tells one of a host's tenants from another.
    pub place: String,
}

impl Url {
    /// Parses an address without query and fragment, or says what is wrong.
    pub fn new(url: &str) -> Result<Self, &'static str> {
        const NONE: &str = "is not an http or https URL";
        let parsed: http::Uri = url.parse().map_err(|_| NONE)?;
        let scheme = parsed.scheme_str().unwrap_or_default().to_ascii_lowercase();
        let own_port = match &*scheme {
            "https" => 443,
            "http" => 80,
            _ => return Err(NONE),
        };
        let authority = parsed.authority().ok_or(NONE)?;
        if authority.as_str().contains('@') {
            return Err("contains a user name or a password: leave them out");
        }
        // A URL has 64 KiB at most.
        if parsed.query().is_some() || url.contains('#') || url.len() > 2048 {
            return Err(NONE);
        }
        let mut host = authority.host().to_ascii_lowercase();
        let behind_host = &authority.as_str()[host.len()..];
        match authority.port_u16() {
            Some(port) if port != own_port => host = format!("{host}:{port}"),
            Some(_) => {}
            // `http::Uri` accepts a port that is no number, and then returns none.
            None if matches!(behind_host, "" | ":") => {}
            None => return Err(NONE),
        }
        let path = parsed.path().trim_end_matches('/');
        Ok(Self {
            base: format!("{scheme}://{host}{path}"),
            place: format!("{host}{path}"),
            host,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_one_address_are_one() {
        for (url, base, host) in [
            (
                "https://Ref.Supabase.CO/",
                "https://ref.supabase.co",
                "ref.supabase.co",
            ),
            (
                "HTTPS://ref.supabase.co:443",
                "https://ref.supabase.co",
                "ref.supabase.co",
            ),
            ("http://h:80//", "http://h", "h"),
            ("http://h:443", "http://h:443", "h:443"),
            ("http://H:8000/Auth/V1/", "http://h:8000/Auth/V1", "h:8000"),
            ("http://[::1]:80/x", "http://[::1]/x", "[::1]"),
            ("https://h:", "https://h", "h"),
        ] {
            let expected = Url {
                base: base.to_owned(),
                place: base.split_once("://").unwrap().1.to_owned(),
                host: host.to_owned(),
            };
            assert_eq!(Url::new(url), Ok(expected), "{url}");
        }
    }

    #[test]
    fn a_bad_address_is_refused_without_repeating_it() {
        for url in [
            "ftp://hidden",
            "hidden",
            "https://",
            "https:///hidden",
            "https://h/?hidden",
            "https://h/#hidden",
            "https://h:hidden",
            "https://hidden:hidden@h",
            "https://hidden@h",
        ] {
            let problem = Url::new(url).unwrap_err();
            assert!(!problem.contains("hidden"), "{problem}");
            assert_eq!(problem.contains("password"), url.contains('@'), "{url}");
        }
    }
}
