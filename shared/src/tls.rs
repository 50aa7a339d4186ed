//! TLS to servers whom the system's authorities vouch for.
//!
//! Invariant: the connector is made once, whoever needs it. To read the authorities'
//! certificates takes longer than the rest of a start, and a megabyte.

use std::sync::{Mutex, PoisonError};

use native_tls::{Error, TlsConnector};

/// Verifies chain and host name, with TLS 1.2 or later.
pub(crate) fn trusting_the_system() -> Result<TlsConnector, Error> {
    static MADE: Mutex<Option<TlsConnector>> = Mutex::new(None);
    let mut made = MADE.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(made) = &*made {
        return Ok(made.clone());
    }
    let connector = TlsConnector::new()?;
    *made = Some(connector.clone());
    Ok(connector)
}
