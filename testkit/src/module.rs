// SPDX-License-Identifier: Apache-2.0
//! A plugin's module, built when a test asks for it.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result, bail};

use crate::workspace;

/// The gateway that a module is built for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Gateway {
    /// Higress, which has host functions for Redis.
    Higress,
    /// Envoy as it is, Istio included.
    Envoy,
}

impl Gateway {
    /// The name as on the command line, and of the folder under `target/`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Higress => "higress",
            Self::Envoy => "envoy",
        }
    }
}

/// A plugin to build, or an example of a package: a plugin that only tests use.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Module {
    package: String,
    example: Option<String>,
    gateway: Gateway,
}

/// Builds a plugin unless this process has done so, and gives the path of its module.
///
/// # Errors
/// It does not build; with what cargo said.
pub fn plugin(name: &str, gateway: Gateway) -> Result<PathBuf> {
    Module::plugin(name, gateway).build()
}

/// As [`plugin`], for an example of a package.
///
/// # Errors
/// As [`plugin`].
pub fn example(package: &str, name: &str, gateway: Gateway) -> Result<PathBuf> {
    Module { example: Some(name.to_owned()), ..Module::plugin(package, gateway) }.build()
}

impl Module {
    /// The module of a plugin, for a gateway.
    #[must_use]
    pub fn plugin(name: &str, gateway: Gateway) -> Self {
        Self { package: name.to_owned(), example: None, gateway }
    }

    /// The command that builds it, for release.
    #[must_use]
    pub fn command(&self) -> Command {
        let mut cargo = Command::new("cargo");
        cargo.current_dir(workspace()).args(["build", "--release", "--target", "wasm32-wasip1"]);
        cargo.arg("--target-dir").arg(self.target()).args(["--package", &self.package]);
        if let Some(example) = &self.example {
            cargo.args(["--example", example]);
        }
        if self.gateway == Gateway::Envoy {
            cargo.args(["--features", "shared/stock-envoy"]);
        }
        cargo
    }

    /// Where that command leaves it.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        let folder = self.target().join("wasm32-wasip1/release");
        let module = match &self.example {
            Some(example) => folder.join("examples").join(example),
            None => folder.join(self.package.replace('-', "_")),
        };
        module.with_extension("wasm")
    }

    /// A folder for each gateway, so that building for one does not undo the other.
    fn target(&self) -> PathBuf {
        workspace().join("target").join(self.gateway.name())
    }

    fn build(self) -> Result<PathBuf> {
        static BUILT: Mutex<BTreeSet<Module>> = Mutex::new(BTreeSet::new());
        let mut built = BUILT.lock().unwrap_or_else(PoisonError::into_inner);
        let path = self.path();
        if !built.contains(&self) {
            let output = self.command().arg("--quiet").output().context("cannot run cargo")?;
            if !output.status.success() {
                bail!("{} does not build\n{}", self.package, String::from_utf8_lossy(&output.stderr).trim_end());
            }
            built.insert(self);
        }
        Ok(path)
    }
}
