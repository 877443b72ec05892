//! Where things lie: the repository's folders and Cargo's target folder.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};

use crate::process;

/// The folders the tasks work in. Made once, at the start.
#[derive(Debug, Clone)]
pub struct Project {
    /// Root of the repository.
    pub root: PathBuf,
    /// Cargo's target folder, wherever the user's configuration puts it.
    pub target: PathBuf,
}

impl Project {
    /// Asks Cargo, so that a target folder set by environment or configuration is respected.
    ///
    /// # Errors
    /// If `cargo metadata` fails or does not say what it has always said.
    pub fn find() -> Result<Self> {
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        let root = here.ancestors().nth(2).context("crate/xtask lies two folders below the root")?;
        let mut cargo = Command::new("cargo");
        cargo.args(["metadata", "--no-deps", "--format-version", "1"]).current_dir(root);
        let answer: serde_json::Value = serde_json::from_str(&process::output(&mut cargo)?)?;
        let target = answer["target_directory"].as_str().context("cargo metadata names no target directory")?;
        Ok(Self { root: root.to_owned(), target: target.into() })
    }

    /// The TypeScript front.
    pub fn web(&self) -> PathBuf {
        self.root.join("web")
    }

    /// Where the bindings generator puts the browser module for the front to import.
    pub fn bindings(&self) -> PathBuf {
        self.web().join("pkg")
    }

    /// The finished page.
    pub fn page(&self) -> PathBuf {
        self.web().join("dist")
    }

    /// The shipped models.
    pub fn models(&self) -> PathBuf {
        self.root.join("assets/models")
    }

    /// The recipe of the training pictures.
    pub fn toon(&self) -> PathBuf {
        self.root.join("assets/toon")
    }

    /// Our own notes on what is built and up to date, beside Cargo's.
    pub fn notes(&self) -> PathBuf {
        self.target.join("xtask")
    }
}
