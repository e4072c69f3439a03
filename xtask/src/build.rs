// SPDX-License-Identifier: Apache-2.0
//! `build`: modules as they are deployed, and how large they are.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use testkit::module::Module;
use testkit::{Gateway, workspace};

use crate::catalogue::Plugin;

/// Builds the plugins and ends with the path and the size of each module.
pub(crate) fn build(plugins: &[Plugin], gateway: Gateway) -> Result<()> {
    let mut lines = Vec::new();
    for plugin in plugins {
        let path = module(plugin, gateway)?;
        let bytes = fs::metadata(&path)?.len();
        let path = path.strip_prefix(workspace()).unwrap_or(&path);
        lines.push(format!("{}  {bytes} bytes ({:.1} KB)", path.display(), bytes as f64 / 1000.0));
    }
    println!("{}", lines.join("\n"));
    Ok(())
}

/// Builds one plugin, with what cargo has to say, and gives the path of its module.
pub(crate) fn module(plugin: &Plugin, gateway: Gateway) -> Result<PathBuf> {
    let module = Module::plugin(&plugin.name, gateway);
    let status = module.command().status().context("cannot run cargo")?;
    ensure!(status.success(), "{} does not build", plugin.name);
    Ok(module.path())
}
