// SPDX-License-Identifier: Apache-2.0
//! The gateway around a plugin, the same for `run`, `demo` and `compose`.

use std::path::Path;

use anyhow::{Context, Error, Result, anyhow};
use testkit::envoy_config::{EnvoyConfig, Plugin as PluginConfig};
use testkit::manifest::{FailStrategy, Spec};
use testkit::{Address, Gateway, Refused};

use crate::catalogue::Plugin;
use crate::services;

/// Where the parts of the stack are.
pub(crate) struct Addresses {
    pub(crate) admin: Address,
    pub(crate) gateway: Address,
    pub(crate) httpbin: Address,
    pub(crate) redis: Address,
}

/// A gateway with the plugin, whose module is built for it, configured as Higress's controller would from this spec.
pub(crate) fn config(
    plugin: &Plugin,
    spec: &Spec,
    gateway: Gateway,
    module: &Path,
    at: Addresses,
) -> Result<EnvoyConfig> {
    let config = spec.config().with_context(|| plugin.name.clone())?.with_context(|| {
        format!("Higress does not start {}: defaultConfigDisable is true and no rule is left", plugin.name)
    })?;
    let clusters = services::clusters(&config, gateway, &at);
    Ok(EnvoyConfig {
        admin: at.admin,
        listen: at.gateway,
        plugin: Some(PluginConfig {
            name: plugin.name.clone(),
            module: module.to_string_lossy().into_owned(),
            gateway,
            config: config.to_string(),
            fail_open: spec.fail_strategy == FailStrategy::FailOpen,
        }),
        upstream: at.httpbin,
        clusters,
    })
}

/// The error when the gateway refuses the plugin: it ends with what the plugin itself said.
pub(crate) fn refused(plugin: &Plugin, refused: &Refused) -> Error {
    match refused.plugin_said() {
        Some(line) => anyhow!("the gateway refuses {}, which says:\n{line}", plugin.name),
        None => anyhow!("the gateway refuses {}:\n{refused}", plugin.name),
    }
}
