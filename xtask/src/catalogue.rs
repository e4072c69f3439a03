// SPDX-License-Identifier: Apache-2.0
//! The plugins that there are.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use testkit::manifest::Spec;
use testkit::workspace;

/// A plugin, by its name.
#[derive(Debug, Clone)]
pub(crate) struct Plugin {
    /// The name of its folder and of its package.
    pub(crate) name: String,
}

/// All plugins in the order of their names.
pub(crate) fn all() -> Result<Vec<Plugin>> {
    let folder = workspace().join("plugins");
    let mut names = Vec::new();
    for entry in fs::read_dir(&folder).with_context(|| format!("cannot read {}", folder.display()))? {
        let entry = entry?;
        if entry.path().join("Cargo.toml").is_file() {
            names.push(entry.file_name().to_string_lossy().into_owned());
        }
    }
    names.sort();
    Ok(names.into_iter().map(|name| Plugin { name }).collect())
}

/// The plugin of this name.
pub(crate) fn find(name: &str) -> Result<Plugin> {
    let plugin = all()?.into_iter().find(|plugin| plugin.name == name);
    plugin.map_or_else(|| bail!("no plugin \"{name}\"; there are: {}", names()?), Ok)
}

/// The error where a plugin must be named and is not.
pub(crate) fn none() -> Result<Plugin> {
    bail!("which plugin? PLUGIN=... takes one of: {}", names()?)
}

fn names() -> Result<String> {
    let names: Vec<String> = all()?.into_iter().map(|plugin| plugin.name).collect();
    Ok(names.join(", "))
}

impl Plugin {
    /// A file in the plugin's folder.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        workspace().join("plugins").join(&self.name).join(name)
    }

    /// The spec in its `wasmplugin.yaml`.
    pub(crate) fn spec(&self) -> Result<Spec> {
        Spec::read(&self.file("wasmplugin.yaml"))
    }
}
