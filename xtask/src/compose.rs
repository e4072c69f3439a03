// SPDX-License-Identifier: Apache-2.0
//! `compose`: the plugin and the gateway's configuration where `docker/docker-compose.yaml` finds them.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use testkit::{Address, Gateway, workspace};

use crate::catalogue::Plugin;
use crate::gateway::{self, Addresses};
use crate::ports::Ports;
use crate::{build, readme};

/// The folder that the compose file mounts from.
const FOLDER: &str = "target/compose";
/// The module in the gateway's container.
const MODULE: &str = "/etc/envoy/plugin.wasm";

/// Builds the plugin for Higress, renders the configuration, and says how to start the stack.
pub(crate) fn compose(plugin: &Plugin, ports: &Ports) -> Result<()> {
    let spec = plugin.spec()?;
    let module = build::module(plugin, Gateway::Higress)?;
    let config = gateway::config(plugin, &spec, Gateway::Higress, Path::new(MODULE), in_containers())?;

    let folder = workspace().join(FOLDER);
    fs::create_dir_all(&folder)?;
    fs::write(folder.join("envoy.yaml"), config.to_yaml()?)?;
    fs::copy(&module, folder.join("plugin.wasm")).with_context(|| format!("cannot copy {}", module.display()))?;
    println!("{}", invitation(plugin, ports)?);
    Ok(())
}

/// Where the containers of the compose file listen, and under which names they find each other.
fn in_containers() -> Addresses {
    let address = |host: &str, port| Address { host: host.to_owned(), port };
    Addresses {
        admin: address("0.0.0.0", 9901),
        gateway: address("0.0.0.0", 10000),
        httpbin: address("httpbin", 80),
        redis: address("redis", 6379),
    }
}

fn invitation(plugin: &Plugin, ports: &Ports) -> Result<String> {
    Ok(format!(
        "\n{} is built for Higress, and the gateway's configuration is in {FOLDER}/envoy.yaml. Start them with\n\n    \
         {}docker compose -f docker/docker-compose.yaml up --force-recreate\n\nand try:\n\n{}\n\n\
         The gateway's own pages are at http://localhost:{}.\n",
        plugin.name,
        ports.variables(),
        readme::invitation(plugin, ports.gateway)?,
        ports.admin,
    ))
}
