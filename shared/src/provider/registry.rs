//! The registry of adapters: a new one is one line here.

use std::sync::Arc;

use super::redacting::Redacting;
use super::{Provider, auth0, clerk, stack, supabase, workos};
use crate::pointer::Pointers;
use crate::settings::{Misconfigured, Settings};

/// Makes an adapter of the secret's `provider` fields and `signing_secrets`.
type Connect = fn(&mut Settings, Option<Vec<String>>) -> Result<Arc<dyn Provider>, Misconfigured>;

/// All adapters, by the names that the secret knows them by.
const PROVIDERS: &[(&str, Connect)] = &[
    ("stack", |settings, secrets| {
        Ok(Arc::new(stack::Stack::new(settings, secrets)?))
    }),
    // What Stack Auth is called since May 2026.
    ("hexclave", |settings, secrets| {
        Ok(Arc::new(stack::Stack::new(settings, secrets)?))
    }),
    ("clerk", |settings, secrets| {
        Ok(Arc::new(clerk::Clerk::new(settings, secrets)?))
    }),
    ("workos", |settings, secrets| {
        Ok(Arc::new(workos::WorkOs::new(settings, secrets)?))
    }),
    ("auth0", |settings, secrets| {
        Ok(Arc::new(auth0::Auth0::new(settings, secrets)?))
    }),
    ("supabase", |settings, secrets| {
        Ok(Arc::new(supabase::Supabase::new(settings, secrets)?))
    }),
];

/// Makes the adapter that the secret's `provider` names.
pub fn connect(
    provider: &mut Settings,
    signing_secrets: Option<Vec<String>>,
) -> Result<Arc<dyn Provider>, Misconfigured> {
    let name = provider.required("name")?;
    match PROVIDERS.iter().find(|(known, _)| *known == name) {
        Some((_, connect)) => connect(provider, signing_secrets),
        None => {
            let known: Vec<_> = PROVIDERS.iter().map(|(name, _)| *name).collect();
            let known = known.join(", ");
            Err(provider.refuse(
                "name",
                format!("is not a provider this version knows: {known}"),
            ))
        }
    }
}

/// The same provider, which shows nothing of what these pointers name.
pub fn redact(provider: Arc<dyn Provider>, pointers: Pointers) -> Arc<dyn Provider> {
    Arc::new(Redacting::new(provider, pointers))
}
