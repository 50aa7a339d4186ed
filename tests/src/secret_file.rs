//! The secret in a file, as on a developer's machine.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::scratch::Scratch;

/// A file for `SECRET_FILE`, removed on drop.
#[derive(Debug)]
pub struct SecretFile(Scratch);

impl SecretFile {
    /// Writes the secret into a file of its own.
    pub fn new(secret: &Value) -> Result<Self> {
        let file = Self(Scratch::new("secret")?);
        file.write(secret)?;
        Ok(file)
    }

    /// Replaces the secret in one step, as a rotation does.
    pub fn write(&self, secret: &Value) -> Result<()> {
        let draft = self.0.path().join("draft");
        fs::write(&draft, secret.to_string()).context("write the secret")?;
        fs::rename(&draft, self.path()).context("replace the secret")
    }

    /// Where it is.
    pub fn path(&self) -> PathBuf {
        self.0.path().join("secret.json")
    }

    /// The variable that points a function to it.
    pub fn env(&self) -> [(String, String); 1] {
        [("SECRET_FILE".to_owned(), self.path().display().to_string())]
    }
}
