//! The stylesheet and the script, each under a path that has its content's digest,
//! so that a browser may keep it for good.

use std::sync::OnceLock;

use shared::signature::fingerprint;

use crate::response::Response;

/// A file.
struct Asset {
    name: &'static str,
    kind: &'static str,
    text: &'static str,
    digest: OnceLock<String>,
}

static STYLE: Asset = Asset {
    name: "console.css",
    kind: "text/css; charset=utf-8",
    text: include_str!("../assets/console.css"),
    digest: OnceLock::new(),
};

static SCRIPT: Asset = Asset {
    name: "console.js",
    kind: "text/javascript; charset=utf-8",
    text: include_str!("../assets/console.js"),
    digest: OnceLock::new(),
};

impl Asset {
    fn path(&self) -> String {
        let digest = fingerprint(self.text.as_bytes());
        let digest = self.digest.get_or_init(|| digest[..16].to_owned());
        format!("assets/{digest}/{}", self.name)
    }
}

/// Where the stylesheet is.
pub(crate) fn style() -> String {
    STYLE.path()
}

/// Where the script is.
pub(crate) fn script() -> String {
    SCRIPT.path()
}

/// The file of a path.
pub(crate) fn file(path: &str) -> Option<Response> {
    let asset = [&STYLE, &SCRIPT]
        .into_iter()
        .find(|asset| asset.path() == path)?;
    Some(Response::file(asset.kind, asset.text))
}
